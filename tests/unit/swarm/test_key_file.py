"""Key files of autolocked managers, opened offline."""

import base64

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from nacl.secret import SecretBox

from recovery.swarm.key_file import ENCRYPTED, UnlockKey, WrongKey, is_locked, opens, unlock
from recovery.swarm.protobuf import encode, fields

PRIVATE = ec.generate_private_key(ec.SECP256R1())
DEK = bytes(range(32))
AES_256_CBC = bytes.fromhex("60864801650304012a0410")
"""Its OID, and what begins the initial vector."""


def unlock_key(seed: bytes = b"k" * 32) -> UnlockKey:
    return UnlockKey("SWMKEY-1-" + base64.b64encode(seed).decode().rstrip("="))


def key_file(key: UnlockKey | None = None, *, pending: bytes = b"", algorithm: int = 1) -> bytes:
    """A key file as swarmkit writes it."""

    def data_key(plain: bytes) -> str:
        if key is None:
            return base64.b64encode(encode(2, plain)).decode()
        box = SecretBox(key.secret).encrypt(plain)
        sealed = bytes([8, algorithm]) + encode(2, box.ciphertext) + encode(3, box.nonce)
        return base64.b64encode(sealed).decode()

    headers = {"kek-version": "0" if key is None else "12", "raft-dek": data_key(DEK)}
    if pending:
        headers["raft-dek-pending"] = data_key(pending)
    how = serialization.BestAvailableEncryption(key.secret) if key else serialization.NoEncryption()
    text = PRIVATE.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how).decode()
    first, rest = text.split("\n", 1)
    return "\n".join([first, *(f"{name}: {value}" for name, value in headers.items()), "", rest]).encode()


def read(pem: bytes) -> tuple[dict[str, str], object]:
    head, body = pem.decode().split("\n\n")
    headers = dict(line.split(": ") for line in head.splitlines()[1:])
    private = serialization.load_pem_private_key(f"{head.splitlines()[0]}\n{body}".encode(), None)
    return headers, private


@given(seed=st.binary(min_size=32, max_size=32), pending=st.sampled_from([b"", b"p" * 32]))
def test_an_opened_key_file_holds_the_same_keys_in_plain(seed: bytes, pending: bytes) -> None:
    key = unlock_key(seed)
    headers, private = read(unlock(key_file(key, pending=pending), key))
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    assert private.private_numbers() == PRIVATE.private_numbers()
    assert headers["kek-version"] == "0"
    opened = {name: dict(fields(base64.b64decode(headers[name]))) for name in headers if name.startswith("raft-dek")}
    assert opened == {"raft-dek": {2: DEK}} | ({"raft-dek-pending": {2: pending}} if pending else {})


def test_an_opened_key_file_is_what_a_swarm_without_autolock_writes() -> None:
    assert read(unlock(key_file(unlock_key()), unlock_key()))[0] == read(key_file())[0]


def test_a_key_file_that_is_not_locked_stays_as_it_is() -> None:
    assert not is_locked(key_file())
    assert unlock(key_file(), unlock_key()) == key_file()


def test_only_its_own_key_opens_it() -> None:
    assert is_locked(key_file(unlock_key()))
    assert opens(unlock_key(), key_file(unlock_key()))
    assert not opens(unlock_key(b"x" * 32), key_file(unlock_key()))


def test_a_data_key_under_another_algorithm_is_not_guessed_at() -> None:
    with pytest.raises(WrongKey):
        unlock(key_file(unlock_key(), algorithm=2), unlock_key())


def test_a_private_key_of_another_kind_is_not_guessed_at() -> None:
    """A byte of the initial vector altered (AES-256-CBC, PKCS #5) is one altered in the key's algorithm, once it is decrypted."""
    head, body = key_file(unlock_key()).decode().split("\n\n")
    der = bytearray(base64.b64decode("".join(body.splitlines()[:-1])))
    der[der.index(AES_256_CBC) + len(AES_256_CBC) + 10] ^= 1
    with pytest.raises(WrongKey):
        unlock(f"{head}\n\n{base64.b64encode(der).decode()}\n-----END {ENCRYPTED}-----\n".encode(), unlock_key())


@pytest.mark.parametrize("text", ["", "SWMKEY-1-", "SWMKEY-1-abc", "k" * 52, "SWMKEY-1-" + "!" * 43])
def test_what_is_no_unlock_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValueError, match="SWMKEY-1-") as raised:
        UnlockKey(text)
    assert not text or text in "SWMKEY-1-" or text not in str(raised.value)


def test_a_key_does_not_show_itself() -> None:
    key = unlock_key()
    assert key.text not in f"{key!r} {key} {key.fingerprint}"
    assert key.fingerprint != unlock_key(b"x" * 32).fingerprint


@pytest.mark.parametrize("pem", [b"", b"-----BEGIN", b"not a key file"])
def test_what_is_no_key_file_is_said(pem: bytes) -> None:
    with pytest.raises(ValueError, match="not a key file"):
        is_locked(pem)
