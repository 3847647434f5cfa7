"""The manifest of a copy of a service's data: whose it is, how it was made, and how to tell that it is whole.

Format 1, JSON. As with the copies of managers, a copy exists once its manifest does.
"""

import json
from dataclasses import asdict, dataclass
from datetime import datetime

from recovery.errors import DamagedCopy

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
    """Of the task that was asked; 0 for a global service."""
    command: tuple[str, ...]
    """That wrote the data; empty for a volume."""
    volume: str | None
    cluster_id: str
    taken: datetime
    """When it was begun."""
    seconds: float
    """How long it took on the node."""
    changed: bool
    """Whether files of the volume changed as they were read."""
    size: int
    """Bytes of the object as stored, sealed."""
    sha256: str
    """Of the object as stored."""
    plain_size: int
    """Bytes of the data, as its command wrote them; of a volume, its tar file."""
    plain_sha256: str
    recipients: tuple[str, ...]
    """Age recipients that can open it."""

    @property
    def source(self) -> str:
        """What was copied, for eyes."""
        return f"volume {self.volume}" if self.volume else self.command[0]

    def to_json(self) -> bytes:
        """The manifest as it is stored."""
        document = {"format": FORMAT, **asdict(self), "taken": self.taken.isoformat()}
        return json.dumps(document, indent=1, sort_keys=True).encode()


def from_json(text: bytes, *, source: str) -> DataManifest:
    """The manifest stored at ``source``. Raises: DamagedCopy when it is not one of a format we know."""
    try:
        document = json.loads(text)
        if document.pop("format") != FORMAT:
            raise ValueError("the format is not known to this version")
        document["taken"] = datetime.fromisoformat(document["taken"])
        if document["taken"].tzinfo is None:
            raise ValueError("the time has no zone")
        for key in ("command", "recipients"):
            document[key] = tuple(document[key])
        found = DataManifest(**document)
        if bool(found.command) == bool(found.volume):
            raise ValueError("it names neither a command nor a volume, or both")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DamagedCopy(f"reading {source}", f"not a manifest: {error}", remedy=NO_REMEDY) from None
    return found
