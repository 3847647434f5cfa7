"""A machine of the fake swarm: its state, and the files of its engine."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from recovery.swarm.key_file import UnlockKey
from recovery.swarm.model import LocalState
from recovery.swarm.presence import Presence
from tests.fake.raft import Raft


@dataclass(frozen=True)
class Directory:
    """A swarm directory: an identity, and a raft log if the node is or was a manager."""

    node_id: str
    cluster_id: str
    raft: Raft | None = None
    placed: str = ""
    """The marker of a restore: the name of the copy."""
    left_behind: int = 0
    """The rounds for which the node still waits for a vote that it never gets.

    The node deleted its log when it learned that it is no member any more. It is first not Ready, and then Ready.
    """
    remotes: tuple[str, ...] = ()
    """The addresses of the managers that a node without a log knows. It finds the leader only through them."""
    peers: tuple[str, ...] = ()
    """The node IDs of these managers, once a leader has told them."""
    good: int | None = None
    """The last entry of its log whose checksum is right; None if all are. An engine does not come up with such a log, and does
    not even start if no entry is."""
    repaired: str = ""
    """The note that our repair leaves."""
    engine_state: bool = True
    """Whether the engine's state file exists. Without it, a starting engine is in no swarm."""


class Cut(Enum):
    """Which other machines cannot reach a running machine."""

    NOBODY = auto()
    US = auto()
    EVERYBODY = auto()


@dataclass
class Machine:
    """One machine. A rebuilt machine is another one."""

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
    """The redirects: address to the address at which its traffic arrives."""
    note: str = ""
    """What will be noted beside a repaired log on its way into place."""
    halted: bool = False
    """Whether its engine is down."""
    full: bool = False
    """Whether its disk is full."""
    staged: bytes | None = None
    """An unpacked archive that is not in its final place yet."""
    kept: tuple[str, ...] = ()
    """The safety copies next to its swarm directory."""
    former: tuple[float, ...] = ()
    """When each former swarm directory was put next to it."""
    copy: bytes | None = None
    """A copy that was taken on this machine and is still on it."""
    busy_until: float = 0.0
    """The time until which a request about its swarm blocks the engine. Until then, it can neither leave nor force."""
    gossips: bool = True
    """Whether the engine listens for gossip."""
    boots: int = 1
    """How often it has booted."""
    absent: int = 0
    """The rounds until it has booted."""
    tasks: int = 0
    """How many tasks run on it."""
    ran: tuple[str, ...] = ()
    """The operator's commands that ran on it."""
    reports: bool = True
    """Whether the node reports to the leader. A manager may stop to report until its engine restarts, and still votes.
    """
    key: UnlockKey | None = None
    """The key that locks the key file. Without the key, a starting engine has no log."""
    searching: bool = False
    """Whether the engine left a swarm without a leader, and still looks for a leader."""

    @property
    def up(self) -> bool:
        return self.presence is Presence.PRESENT

    @property
    def answers(self) -> bool:
        """Whether Requorum reaches the machine."""
        return self.up and self.cut is Cut.NOBODY

    @property
    def in_swarm(self) -> bool:
        """Whether the engine runs as a node, no matter who reaches it."""
        return self.state is not LocalState.INACTIVE and self.presence is Presence.PRESENT

    @property
    def node_id(self) -> str:
        return self.directory.node_id if self.directory else ""

    @property
    def raft(self) -> Raft | None:
        """The log with which the engine runs. A log that only exists on the disk does not count."""
        directory = self.directory
        stopped = self.state in (LocalState.LOCKED, LocalState.ERROR)
        return directory.raft if directory and self.in_swarm and not stopped else None

    @property
    def doomed(self) -> bool:
        """Whether an engine does not even start on its log: nothing of it can be read."""
        return self.directory is not None and self.directory.good == 0

    def reaches(self, other: "Machine") -> bool:
        """Whether two machines reach each other."""
        apart = Cut.EVERYBODY in (self.cut, other.cut)
        return self is other or (self.up and other.up and not apart)
