"""The manifest of a copy: what it holds, whose it is, how to tell that it is whole, and whether that was proven.

Format 4, JSON. A copy exists once its manifest does, so the manifest is written last. It is signed with the node key of
its manager, and holds the certificate of the CA that issued the manager's (docs/decisions/026-signed-copies.md). Format 3
has no certificate of the CA.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from recovery.errors import DamagedCopy
from recovery.onnode.archive import FileEntry
from recovery.onnode.copying import statement
from recovery.swarm import records
from recovery.swarm.certificate import has_signed, identity, is_managers
from recovery.swarm.wal import Position
from recovery.swarm.workload import Inventory

FORMAT = 4
WITHOUT_CA = 3
WITH_INVENTORY = frozenset({"hot", "cold"})
"""Kinds of copies that a whole swarm may be restored from."""
NO_REMEDY = "choose another copy: requorum copies list"


class Verdict(StrEnum):
    """What came of a copy that was restored to see whether it can be."""

    PROVEN = "proven"
    FAILED = "failed"
    UNPROVEN = "unproven"


@dataclass(frozen=True)
class Proof:
    """A copy was restored in a sandbox, or could not be.

    It is `Verdict.FAILED` where the copy is at fault, and `Verdict.UNPROVEN` where the sandbox could not be made.
    """

    verdict: Verdict
    at: datetime
    detail: str = ""
    """Why it is not proven."""
    engine: str = ""
    seconds: float = 0.0
    """Of the whole proof, with the sandbox."""
    recovery_seconds: float = 0.0
    """From files in place to a swarm that answers."""
    version_index: int = 0
    """The highest ``Version.Index`` that the restored swarm holds."""
    beyond: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """IDs by kind of what the restored swarm holds beside the manifest's inventory: what came while the copy was taken.
    Proven, it holds the two together and nothing else."""

    def to_dict(self) -> dict[str, Any]:
        """As it is stored."""
        return {**asdict(self), "at": self.at.isoformat()}


@dataclass(frozen=True)
class Signature:
    """Of a manifest, by the key of a manager's node certificate."""

    certificate: str
    """In PEM, with what intermediates there are: the ``swarm-node.crt`` in the copy."""
    value: str
    """ECDSA over SHA-256 of the statement (`recovery.onnode.copying.statement`), in base64."""


@dataclass(frozen=True)
class Manifest:
    """Identity, inventory and checksums of one copy."""

    cluster_id: str
    node_id: str
    manager: str
    address: str
    engine: str
    taken: datetime
    kind: str
    """``hot`` (the engine ran on), ``cold``, or ``safety`` (of a manager without a leader, inventory unknown)."""
    inventory: Inventory
    files: tuple[FileEntry, ...]
    size: int
    """Bytes of the object as stored, sealed."""
    sha256: str
    """Of the object as stored."""
    archive_size: int
    """Bytes of the archive within."""
    archive_sha256: str
    raw_bytes: int
    """Bytes that the swarm directory took on the manager's disk."""
    ca_sha256: str
    """Of ``swarm-root-ca.crt``: one swarm keeps one CA unless it is rotated. In format 3, nothing but a claim."""
    ca: str = field(default="", kw_only=True)
    """``swarm-root-ca.crt`` in PEM; empty in format 3."""
    position: Position
    """Where the raft log in the copy ends."""
    autolock: bool
    stopped_seconds: float = 0.0
    """For how long the engine was stopped for a cold copy."""
    key_fingerprint: str | None = None
    ca_rotations: int | None = None
    """How often somebody had the swarm rotate its CA (`recovery.swarm.rotation.count`). None where nobody could tell: of a safety copy, and
    of a copy that an earlier release took."""
    recipients: tuple[str, ...] = ()
    """Age recipients that can open it."""
    proof: Proof | None = None
    strange: bool = field(default=False, kw_only=True, compare=False)
    """Whether it is known to be under another CA than the swarm's. Not stored: whoever reads it tells (`Catalog.trust`)."""
    signature: Signature | None = None
    """None where the key file was locked and no unlock key at hand: of an autolocked manager without a leader."""

    @property
    def verdict(self) -> Verdict:
        """What is known of it: a copy that nobody restored is unproven, and so is one that none of the swarm's managers made."""
        return self.proof.verdict if self.proof and not self.strange else Verdict.UNPROVEN

    @property
    def restores_proven(self) -> bool:
        """Whether a whole swarm may be restored from it, and that was proven."""
        return self.kind in WITH_INVENTORY and self.verdict is Verdict.PROVEN

    @property
    def shortfall(self) -> str:
        """Why a copy that was just made is not proven; empty when it is."""
        detail = self.proof.detail if self.proof else "it was not restored in a sandbox"
        match self.verdict:
            case Verdict.PROVEN:
                return ""
            case Verdict.FAILED:
                return f"its copy FAILED its proof and is kept as the last choice: {detail}"
            case Verdict.UNPROVEN:
                return f"Requorum could not prove its copy: {detail}"

    def check_sealed(self, path: Path, *, source: str) -> None:
        """Compare the size and digest of a stored, sealed object with this manifest. Raises: DamagedCopy."""
        check_bytes(path, self.size, self.sha256, "the object", f"verifying {source}")

    def to_dict(self) -> dict[str, Any]:
        """The manifest as it is stored."""
        return {
            "format": FORMAT,
            **{
                key: value
                for key, value in asdict(self).items()
                if key not in ("inventory", "taken", "proof", "strange")
            },
            "taken": self.taken.isoformat(),
            "proof": self.proof.to_dict() if self.proof else None,
            "inventory": {kind: sorted(ids) for kind, ids in sorted(self.inventory.objects.items())},
            "version_index": self.inventory.index,
        }

    def to_json(self) -> bytes:
        """The manifest as JSON text, as it is stored."""
        return json.dumps(self.to_dict(), indent=1, sort_keys=True).encode()


def from_json(text: bytes, *, source: str) -> Manifest:
    """The manifest stored at ``source``.

    Raises: DamagedCopy when it is not a manifest of a supported format, or its signature does not match.
    """
    try:
        document = records.parsed(text)
        signed = statement(document)
        if (made := document.pop("format")) not in (FORMAT, WITHOUT_CA) or (made == FORMAT) is not ("ca" in document):
            raise ValueError("this version of Requorum does not support its format")
        if "strange" in document:
            raise ValueError("it has a field of nobody's")
        inventory = {"objects": document.pop("inventory"), "index": document.pop("version_index")}
        found = records.typed(Manifest, {**document, "inventory": inventory})
        ip_address(found.address)
        fault = _unsigned(found, signed) or (why_not_issued(found, found.ca) if made == FORMAT else "")
    except records.NO_RECORD as error:
        raise DamagedCopy(
            f"reading {source}", f"not a manifest: {error}", remedy=NO_REMEDY, code="manifest-invalid"
        ) from None
    if fault:
        raise DamagedCopy(f"reading {source}", fault, remedy=NO_REMEDY, code="copy-forged")
    return found


def _unsigned(manifest: Manifest, signed: bytes) -> str:
    """Why the signature of a manifest is not valid; empty when it is. Raises: ValueError when the signature is malformed."""
    if manifest.signature is None:
        return "" if manifest.kind not in WITH_INVENTORY else "the manifest is not signed"
    certificate, value = manifest.signature.certificate, manifest.signature.value
    if identity(certificate) != (manifest.node_id, manifest.cluster_id):
        return "the manifest is signed by another node"
    if not has_signed(certificate, base64.b64decode(value), signed):
        return "the signature does not match: the manifest was altered after it was signed"
    return ""


def why_not_issued(manifest: Manifest, ca: str) -> str:
    """Why a CA, in PEM, is not the one that the manifest names, or did not issue its manager's certificate; else empty.

    Raises: ValueError if a text is no certificate.
    """
    if hashlib.sha256(ca.encode()).hexdigest() != manifest.ca_sha256:
        return "its CA is not the one that its manifest names"
    if manifest.signature and not is_managers(manifest.signature.certificate.encode(), ca.encode()):
        return "its CA did not issue the manager's certificate"
    return ""


def check_bytes(path: Path, size: int, sha256: str, what: str, doing: str, *, remedy: str = NO_REMEDY) -> None:
    """Compare a local file with its size in bytes and its digest. Raises: DamagedCopy."""
    if (found := path.stat().st_size) != size:
        raise DamagedCopy(
            doing, f"{what} has {found} bytes, its manifest says {size}", remedy=remedy, code="copy-damaged"
        )
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise DamagedCopy(
                doing, f"{what}'s SHA-256 differs from the manifest's", remedy=remedy, code="copy-damaged"
            )


def drilled(document: Mapping[str, Any]) -> Proof | None:
    """The proof in the result of a drill (`recovery.operations.drill`); None where there is none."""
    try:
        return records.typed(Proof, document["proof"])
    except records.NO_RECORD:
        return None


def claimed(name: str, read: Manifest, cas: Mapping[str, str]) -> Manifest:
    """The manifest of the copy of that name, unless it claims a CA that did not issue its manager's certificate. ``cas`` has certificates by digest.

    Raises: DamagedCopy.
    """
    if (ca := cas.get(read.ca_sha256)) and not read.ca and (why := why_not_issued(read, ca)):
        raise DamagedCopy(f"reading {name}", why, remedy=NO_REMEDY, code="copy-forged")
    return read
