"""A machine of the fake swarm: whether it is there, and what its engine has on disk."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from recovery.swarm.key_file import UnlockKey
from recovery.swarm.model import LocalState, Presence
from tests.fake.raft import Raft


@dataclass(frozen=True)
class Directory:
    """A swarm directory: an identity, and a raft log where the node is or was a manager."""

    node_id: str
    cluster_id: str
    raft: Raft | None = None
    placed: str = ""
    """The mark that our restore leaves."""
    left_behind: int = 0
    """For how many rounds the node waits for a vote that nobody gives it: it has thrown its log away on hearing
    that it is no member any more. First it is not Ready, then it is."""
    remotes: tuple[str, ...] = ()
    """Addresses of the managers that a node without a log knows: it finds the leader through these alone."""
    good: int | None = None
    """The last entry of its log whose checksum is right; None if all are. An engine does not come up with such a log, and does
    not even start if no entry is."""
    repaired: str = ""
    """The note that our repair leaves."""
    engine_state: bool = True
    """Whether the engine's own state file is there: without it a starting engine is in no swarm."""


class Cut(Enum):
    """Who does not reach a machine that runs."""

    NOBODY = auto()
    US = auto()
    EVERYBODY = auto()


@dataclass
class Machine:
    """One machine; a rebuilt one is another."""

    name: str
    address: str
    machine_id: str
    presence: Presence = Presence.PRESENT
    cut: Cut = Cut.NOBODY
    marked: str = ""
    engine: str = "20.10.24"
    state: LocalState = LocalState.INACTIVE
    directory: Directory | None = None
    detours: Mapping[str, str] = field(default_factory=dict)
    """Where what is sent to an address arrives instead."""
    note: str = ""
    """What will be noted beside a repaired log on its way into place."""
    halted: bool = False
    """Whether its engine is down."""
    full: bool = False
    """Whether its disk is full."""
    staged: bytes | None = None
    """An archive on its way into place."""
    copy: bytes | None = None
    """A copy that was taken here and lies here still."""
    busy_until: float = 0.0
    """When it will have answered what it was asked about its swarm: before, its engine neither leaves nor forces anything."""
    gossips: bool = True
    """Whether it listens for gossip."""
    reports: bool = True
    """Whether its agent reports to the leader: a manager's may stop to, until its engine is started again, and it votes all the same."""
    key: UnlockKey | None = None
    """What its key file is locked with: without it a starting engine has no log."""
    searching: bool = False
    """It has left a swarm without a leader, and still looks for one."""

    @property
    def up(self) -> bool:
        return self.presence is Presence.PRESENT

    @property
    def answers(self) -> bool:
        """Whether we reach it."""
        return self.up and self.cut is Cut.NOBODY

    @property
    def in_swarm(self) -> bool:
        """Whether its engine runs as a node, whoever reaches it."""
        return self.state is not LocalState.INACTIVE and self.presence is Presence.PRESENT

    @property
    def node_id(self) -> str:
        return self.directory.node_id if self.directory else ""

    @property
    def raft(self) -> Raft | None:
        """The log its engine runs on, not one that merely lies there."""
        directory = self.directory
        stopped = self.state in (LocalState.LOCKED, LocalState.ERROR)
        return directory.raft if directory and self.in_swarm and not stopped else None

    @property
    def doomed(self) -> bool:
        """Whether an engine does not even start on its log: nothing of it can be read."""
        return self.directory is not None and self.directory.good == 0

    def reaches(self, other: "Machine") -> bool:
        """Whether two machines hear each other."""
        apart = Cut.EVERYBODY in (self.cut, other.cut)
        return self is other or (self.up and other.up and not apart)
