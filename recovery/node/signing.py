"""Objects in S3 that an operator signs with the SSH key of the settings: what decides something, and no node wrote it.

The signature is in the object, in OpenSSH's format (PROTOCOL.sshsig), under a namespace for each kind of object. It is of the
object's key too, so it is valid at no other place and for no other cluster. Who writes to S3 without this key can delete a
signed object, or store an older one again, and nothing else (docs/decisions/047-operators-sign.md).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from recovery.errors import SettingError
from recovery.node import ssh_keys
from recovery.node.ssh_library import asyncssh
from recovery.swarm.machines import Ssh
from recovery.swarm.records import NO_RECORD

SIGNATURE = "signature"
"""The field of a document that has its signature."""
WHO = "operator"
"""Whom the signatures are of, in the list that OpenSSH calls allowed signers."""


class Kind(StrEnum):
    """The kinds of objects that an operator signs, by the namespace of their signatures."""

    LOST = "lost@requorum"
    KEEP = "keep@requorum"
    DRILL = "drill@requorum"
    CONSENT = "consent@requorum"
    PLAN = "plan@requorum"
    NOTIFIED = "notified@requorum"
    DATA = "data@requorum"
    JOURNAL = "journal@requorum"
    REPORT = "report@requorum"


@dataclass(frozen=True)
class Signed:
    """A document as it was read, and why it is not an operator's."""

    document: Mapping[str, Any]
    """Without its signature. Empty if the object is no document."""
    fault: str = ""
    """Empty if an operator signed it for this place."""


class Operators:
    """The operators of a cluster by their public keys, and the key with which this one signs."""

    def __init__(self, ssh: Ssh, keys: Sequence[str]) -> None:
        self._ssh, self._keys = ssh, tuple(keys)

    def require(self) -> None:
        """Check that what is signed here is valid, before the effect that it is about.

        Raises: SettingError if the SSH key cannot be used, or is no operator's.
        """
        self._mine()

    def sign(self, kind: Kind, key: str, document: Mapping[str, Any]) -> bytes:
        """The document with its signature, as JSON to store under the key. Raises: SettingError, as `require`."""
        signature = ssh_keys.sshsig(self._ssh.private_key_file, self._mine(), statement(key, document), kind)
        return json.dumps({**document, SIGNATURE: signature}, indent=1, sort_keys=True).encode()

    def read(self, kind: Kind, key: str, content: bytes) -> Signed:
        """The document that is stored under the key, and whether an operator signed it."""
        try:
            document = json.loads(content)
        except NO_RECORD:
            document = None
        if not isinstance(document, dict):
            return Signed({}, "it cannot be read")
        if (signature := document.pop(SIGNATURE, None)) is None:
            return Signed(document, "it is not signed")
        if not (known := self._known()):
            return Signed(document, "Requorum has no public key to check its signature (requorum:operators)")
        allowed = "".join(f'{WHO} namespaces="{kind}" {one}\n' for one in known).encode()
        try:
            valid = asyncssh.validate_sshsig(statement(key, document), signature.encode(), WHO, allowed)
        except NO_RECORD:
            valid = False
        return Signed(
            document, "" if valid else "its signature is by no operator (requorum:operators), or of another object"
        )

    def _mine(self) -> str:
        """The public key with which this operator signs. Raises: SettingError, as `require`."""
        file, known, mine = self._ssh.private_key_file, self._known(), self._own
        if found := next((key for key in mine if key in known), None):
            return found
        whose = f"the public key of requorum:ssh.privateKeyFile ({file})" if file else "any key of the SSH agent"
        raise SettingError(
            "operators",
            f"does not have {whose}, so what Requorum signs with it would not count",
            remedy=f"add this line to requorum:operators: {mine[0]}",
            code="not-an-operator",
        )

    def _known(self) -> tuple[str, ...]:
        """The public keys of the settings; without any, those of this operator. Empty if these cannot be used."""
        if self._keys:
            return tuple(" ".join(line.split()[:2]) for line in self._keys)
        try:
            return self._own
        except SettingError:
            return ()

    @cached_property
    def _own(self) -> tuple[str, ...]:
        """The public keys of this operator, read once for all objects. Raises: SettingError."""
        return ssh_keys.public_keys(self._ssh.private_key_file)


def statement(key: str, document: Mapping[str, Any]) -> bytes:
    """What is signed: the document without its signature, and the key of its object. Raises: one of `NO_RECORD`."""
    return json.dumps({"document": document, "key": key}, sort_keys=True, separators=(",", ":")).encode()
