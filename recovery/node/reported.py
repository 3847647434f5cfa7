"""The forms of what the program on a node reports (`recovery.onnode`), one for each verb."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recovery.swarm.evidence import Looked


@dataclass(frozen=True)
class Taken:
    """A copy on the node."""

    folder: str
    files: tuple[tuple[str, int, str], ...]
    certificate: str
    locked_key: str | None
    ca: str
    ca_sha256: str
    position: tuple[int, int, int]
    raw_bytes: int
    stopped_seconds: float
    size: int
    sha256: str
    cut: str = ""
    claimed: int = 0


@dataclass(frozen=True)
class Sealed:
    """The sealed copy on the node."""

    file: str
    signature: str | None
    size: int
    sha256: str


@dataclass(frozen=True)
class Proved:
    """What came up in the sandbox."""

    cluster_id: str
    node_id: str
    engine: str
    version_index: int
    inventory: Mapping[str, tuple[str, ...]]
    recovery_seconds: float
    seconds: float


@dataclass(frozen=True)
class Examined:
    """What is wrong with a raft log."""

    fault: str
    mends: bool
    runs_out: bool


@dataclass(frozen=True)
class Received:
    """Where a copy is on the node."""

    folder: str


@dataclass(frozen=True)
class DataTaken:
    """A stream of data."""

    plain_size: int
    plain_sha256: str
    size: int
    sha256: str
    changed: bool
    seconds: float


@dataclass(frozen=True)
class DataGiven:
    """How long a restore of data took."""

    seconds: float


FORMS: Mapping[str, Any] = {
    "take": Taken,
    "seal": Sealed,
    "prove": Proved,
    "examine": Examined,
    "look": Looked,
    "removable": tuple[str, ...],
    "receive": Received,
    "take-data": DataTaken,
    "give-data": DataGiven,
}
