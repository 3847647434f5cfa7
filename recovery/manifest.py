"""The manifest of a copy: what it holds, whose it is, and how to tell that it is whole.

Format 1, JSON. A copy exists once its manifest does, so the manifest is written last.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from recovery.errors import DamagedCopy
from recovery.model import Inventory
from recovery.wal import Position

FORMAT = 1
WITH_INVENTORY = frozenset({"hot", "cold"})
"""Kinds of copies that a whole swarm may be restored from."""
NO_REMEDY = "use another copy: requorum backups"


@dataclass(frozen=True)
class FileEntry:
    """One regular file of the archive; the path begins with ``swarm/``, the size is in bytes."""

    path: str
    size: int
    sha256: str


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
    """Bytes of the archive as stored."""
    sha256: str
    """Of the archive as stored."""
    raw_bytes: int
    """Bytes that the swarm directory took on the manager's disk."""
    ca_sha256: str
    """Of ``swarm-root-ca.crt``: one swarm keeps one CA unless it is rotated."""
    position: Position
    """Where the raft log in the copy ends."""
    autolock: bool
    key_fingerprint: str | None = None
    recipient: str | None = None
    proof: Mapping[str, Any] | None = None

    def to_json(self) -> bytes:
        """The manifest as it is stored."""
        document = {
            "format": FORMAT,
            **{key: value for key, value in asdict(self).items() if key not in ("inventory", "taken")},
            "taken": self.taken.isoformat(),
            "inventory": {kind: sorted(ids) for kind, ids in sorted(self.inventory.objects.items())},
            "version_index": self.inventory.index,
        }
        return json.dumps(document, indent=1, sort_keys=True).encode()


def from_json(text: bytes, *, source: str) -> Manifest:
    """The manifest stored at ``source``.

    Raises: DamagedCopy when it is not a manifest of a format we know.
    """
    try:
        document = json.loads(text)
        if document.pop("format") != FORMAT:
            raise ValueError("the format is not known to this version")
        inventory = Inventory(
            {kind: frozenset(ids) for kind, ids in document.pop("inventory").items()}, document.pop("version_index")
        )
        document["taken"] = datetime.fromisoformat(document["taken"])
        if document["taken"].tzinfo is None:
            raise ValueError("the time has no zone")
        document["position"] = Position(**document["position"])
        document["files"] = tuple(FileEntry(**entry) for entry in document["files"])
        return Manifest(inventory=inventory, **document)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DamagedCopy(f"reading {source}", f"not a manifest: {error}", remedy=NO_REMEDY) from None
