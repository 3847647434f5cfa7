"""The manifest of a data copy: whose data it is, how the copy was made, and its checksums.

Format 1, JSON, signed by the operator who took the copy. As with the copies of managers, a copy exists as soon as its manifest
exists.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from recovery.errors import DamagedCopy
from recovery.swarm import records

FORMAT = 1
NO_REMEDY = "use another copy: requorum data list"


@dataclass(frozen=True)
class DataManifest:
    """Origin and checksums of one copy."""

    name: str
    service: str
    image: str
    node: str
    slot: int
    """The slot of the task whose data was copied; 0 for a global service."""
    command: tuple[str, ...]
    """The command that wrote the data; empty for a volume."""
    volume: str | None
    cluster_id: str
    taken: datetime
    """When the copy began."""
    seconds: float
    """How long the copy took on the node."""
    changed: bool
    """Whether files of the volume changed while they were read."""
    size: int
    """Bytes of the sealed object in S3."""
    sha256: str
    """Digest of the sealed object in S3."""
    plain_size: int
    """Bytes of the data: the output of the command, or the tar file of the volume."""
    plain_sha256: str
    recipients: tuple[str, ...]
    """The age recipients that can open it."""
    unsigned: str = field(default="", kw_only=True)
    """Why no operator's signature is valid on it; empty if one is. Only by name is such a copy restored."""

    @property
    def source(self) -> str:
        """What was copied: the volume, or the command's first word."""
        return f"volume {self.volume}" if self.volume else self.command[0]

    def to_document(self) -> dict[str, Any]:
        """The manifest as it is stored."""
        kept = {name: value for name, value in asdict(self).items() if name != "unsigned"}
        return {"format": FORMAT, **kept, "taken": self.taken.isoformat()}


def from_document(read: Mapping[str, Any], *, source: str, unsigned: str = "") -> DataManifest:
    """The manifest stored at ``source``. Raises: DamagedCopy if it is not a manifest of a known format."""
    try:
        document = {**read, "unsigned": unsigned}
        if document.pop("format") != FORMAT:
            raise ValueError("this release does not know its format")
        found = records.typed(DataManifest, document)
        if bool(found.command) == bool(found.volume):
            raise ValueError("it must name either a command or a volume")
    except records.NO_RECORD as error:
        why = f"its manifest cannot be read: {error}"
        raise DamagedCopy(f"reading {source}", why, remedy=NO_REMEDY, code="copy-damaged") from None
    return found
