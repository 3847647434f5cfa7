"""Opens a manager's key file (``swarm-node.key``) of an autolocked swarm offline with the unlock key.

Docker cannot force a new cluster from a locked manager (moby#36852). Requorum therefore rewrites the key file to its
form without autolock. The format is swarmkit's (ca/keyreadwriter.go, manager/deks.go): PEM whose headers hold the raft
log's data keys. Data keys and private key are encrypted under the unlock key.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from recovery.swarm.protobuf import encode, fields

PREFIX = "SWMKEY-1-"
"""The prefix of an unlock key. The key follows in unpadded base64 (swarmkit, manager/encryption/encryption.go)."""
KEY_BYTES = 32
NONE, NACL_SECRETBOX = 0, 1
"""Algorithms of a MaybeEncryptedRecord {1: algorithm, 2: data, 3: nonce} (swarmkit, api/types.proto)."""
DATA_KEYS = ("raft-dek", "raft-dek-pending")
KEY_VERSION = "kek-version"
"""Must be 0 for a key that is not encrypted. Otherwise the manager refuses: "candidate KEK has the same version"."""
ENCRYPTED = "ENCRYPTED PRIVATE KEY"
PEM = re.compile(r"-----BEGIN ([A-Z ]+)-----\n(?:(.*?)\n\n)?(.*?)-----END ", re.DOTALL)
LINE = 64
"""Characters of a line of base64 in PEM."""


class WrongKey(ValueError):
    """The unlock key is not the one under which the key file is encrypted."""


@dataclass(frozen=True)
class UnlockKey:
    """The unlock key of an autolocked swarm. It is a secret, and no representation of this object shows it.

    Raises: ValueError if ``text`` is no unlock key.
    """

    text: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.text.startswith(PREFIX) or len(self.secret) != KEY_BYTES:
            raise ValueError(f"an unlock key starts with {PREFIX} and encodes {KEY_BYTES} bytes")

    @property
    def secret(self) -> bytes:
        """The bytes of the key."""
        digits = self.text.removeprefix(PREFIX)
        try:
            return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
        except binascii.Error:
            return b""

    @property
    def fingerprint(self) -> str:
        """The first 16 hexadecimal digits of the key's SHA-256. They reveal nothing about the key."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    def escrowed(self, recipients: Sequence[str]) -> str:
        """The name of the key's object in escrow, sealed to these recipients. Other recipients give another name."""
        digest = hashlib.sha256("\n".join(sorted(recipients)).encode()).hexdigest()[:8]
        return f"{self.fingerprint}-{digest}.age"


Opening = Callable[[bytes], UnlockKey]
"""Returns the unlock key that opens a locked key file. Raises: NoUnlockKey, and what its source raises."""


def is_locked(pem: bytes) -> bool:
    """Whether a key file is encrypted under an unlock key. Raises: ValueError if ``pem`` is no key file."""
    kind, _, _ = _parse(pem)
    return kind == ENCRYPTED


def public_key(pem: bytes) -> bytes:
    """The public key, in DER, of a key file that is not locked. Raises: ValueError if ``pem`` is no such file."""
    _, _, body = _parse(pem)
    try:
        private = serialization.load_der_private_key(base64.b64decode(body), password=None)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(str(error)) from None
    return private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def opens(key: UnlockKey, pem: bytes) -> bool:
    """Whether the unlock key opens the key file, or the key file is not locked.

    Raises: ValueError if ``pem`` is no key file.
    """
    try:
        unlock(pem, key)
    except WrongKey:
        return False
    return True


def unlock(pem: bytes, key: UnlockKey) -> bytes:
    """Return the key file in its form without autolock. A key file that is not locked stays as it is.

    Raises: WrongKey; ValueError if ``pem`` is no key file.
    """
    kind, headers, body = _parse(pem)
    if kind != ENCRYPTED:
        return pem
    try:
        private = serialization.load_der_private_key(base64.b64decode(body), password=key.secret)
        opened = {name: _open(value, key.secret) if name in DATA_KEYS else value for name, value in headers.items()}
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise WrongKey("the unlock key does not open the key file") from None
    der = private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return _format("PRIVATE KEY", {**opened, KEY_VERSION: "0"}, der)


def _open(header: str, secret: bytes) -> str:
    """Decrypt the data key in a header. Returns the new header. Raises: ValueError."""
    from nacl.exceptions import CryptoError  # few commands open a key file
    from nacl.secret import SecretBox

    record = dict(fields(base64.b64decode(header)))
    algorithm, data, nonce = record.get(1, NONE), record.get(2, b""), record.get(3, b"")
    if algorithm != NACL_SECRETBOX or not isinstance(data, bytes) or not isinstance(nonce, bytes):
        raise ValueError(f"a data key is encrypted with algorithm {algorithm!r}, which Requorum does not support")
    try:
        opened = SecretBox(secret).decrypt(data, nonce)
    except CryptoError as error:
        raise ValueError(f"a data key cannot be decrypted: {error}") from None
    return base64.b64encode(encode(2, opened)).decode()


def _parse(pem: bytes) -> tuple[str, Mapping[str, str], str]:
    match = PEM.search(pem.decode(errors="replace"))
    if match is None:
        raise ValueError("the content is not a key file")
    kind, head, body = match.groups()
    return kind, dict(line.split(": ", 1) for line in (head or "").splitlines()), body


def _format(kind: str, headers: Mapping[str, str], der: bytes) -> bytes:
    body = base64.b64encode(der).decode()
    lines = [body[at : at + LINE] for at in range(0, len(body), LINE)]
    head = [f"{name}: {value}" for name, value in headers.items()]
    return "\n".join([f"-----BEGIN {kind}-----", *head, "", *lines, f"-----END {kind}-----", ""]).encode()
