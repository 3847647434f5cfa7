"""What a look at one machine finds, as values. The program on the node reports them (`recovery.onnode.look`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Taking:
    """What takes space on a disk. ``kind`` is as in `recovery.onnode.look.disks`; ``of`` is the container, file or volume."""

    kind: str
    size: int
    of: str = ""
    counted: bool = True
    """Whether it could be counted in time."""


@dataclass(frozen=True)
class Disk:
    """A file system with something of Docker or of the system on it. What takes space is counted only if little is free."""

    path: str
    size: int
    free: int
    inodes: int = 0
    inodes_free: int = 0
    takes: tuple[Taking, ...] = ()
    volume: str = ""
    """The Docker volume that the file system is, if it is one."""
    options: Mapping[str, str] = field(default_factory=dict)
    """That volume's options."""


@dataclass(frozen=True)
class File:
    """A file within a container's layer, by its path in the container."""

    path: str
    size: int


@dataclass(frozen=True)
class Layer:
    """The writable layer of a running container, and by how many bytes it grew within some seconds."""

    container: str
    name: str
    service: str
    folder: str
    size: int
    grew: int
    seconds: float
    files: tuple[File, ...] = ()
    counted: bool = True
    """Whether it could be counted in time."""


@dataclass(frozen=True)
class Unit:
    """A systemd unit that failed, and the end of its journal."""

    name: str
    why: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ended:
    """A container of a service that ended, and the end of its log."""

    container: str
    service: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Failure:
    """A task that failed. ``age`` is in seconds."""

    task: str
    error: str
    age: float
    node: str = ""
    container: str = ""
    slot: int = 0
    """The number of the replica; 0 for a global service, which has one on each node."""

    @property
    def replica(self) -> tuple[int, str]:
        """What tells the replicas of a service apart."""
        return self.slot, "" if self.slot else self.node


@dataclass(frozen=True)
class ServiceSeen:
    """A service, as a manager lists it. ``waits`` are the reasons of tasks that no node gets."""

    service: str
    name: str
    replicas: int
    constraints: tuple[str, ...] = ()
    rolls_back: bool = False
    """Whether the swarm knows what the tasks were before the last update, and it was something else."""
    since_update: float = 0.0
    """Seconds since the last update began."""
    failures: tuple[Failure, ...] = ()
    waits: tuple[str, ...] = ()
    runs_on: tuple[str, ...] = ()
    """The IDs of the nodes with a running task."""
    everywhere: bool = False
    """Whether it is global, with a task on each node."""


@dataclass(frozen=True)
class NodeSeen:
    """A node as constraints see it: its attributes by the names that constraints use (``node.labels.disk``)."""

    node: str
    hostname: str
    attributes: Mapping[str, str]


@dataclass(frozen=True)
class SwarmSeen:
    """What a manager tells of services and nodes."""

    services: tuple[ServiceSeen, ...] = ()
    nodes: tuple[NodeSeen, ...] = ()


@dataclass(frozen=True)
class Heard:
    """That a packet of another node arrived, after this machine's own firewall. ``large``: one as large as the overlay's."""

    peer: str
    port: int
    large: bool


@dataclass(frozen=True)
class Untaken:
    """A TCP port of another node that does not take a connection from here."""

    peer: str
    port: int
    why: str


@dataclass(frozen=True)
class Ports:
    """What passed between this node and the others while it listened from ``began`` to ``ended``, by its own clock."""

    began: float
    ended: float
    heard: tuple[Heard, ...] = ()
    untaken: tuple[Untaken, ...] = ()
    device: str = ""
    """The network device to the other nodes."""
    mtu: int = 0
    large: int = 0
    """Bytes of the large packets, with their headers."""
    rules: tuple[str, ...] = ()
    """The firewall's rules that close one of the ports, as iptables lists them."""


@dataclass(frozen=True)
class MachineSeen:
    """Memory, the clock, and the size of the raft log."""

    memory: int
    available: int
    swap: int
    swapped: int
    pressure: float = 0.0
    """Percent of the last minute in which all processes waited for memory (/proc/pressure/memory: full avg60)."""
    wal: int = 0
    snapshots: int = 0
    clock_unit: str = ""
    """The unit that keeps the clock right; empty if there is none."""


@dataclass(frozen=True)
class Drbd:
    """What DRBD tells on a machine, in its own words: `/proc/drbd` of version 8, or `drbdsetup status --json` of version 9."""

    proc: str = ""
    status: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    """The resources of version 8 by minor number."""


@dataclass(frozen=True)
class Looked:
    """What a look at one machine found. ``began`` and ``ended`` are seconds since 1970 by the machine's clock."""

    began: float
    ended: float
    root: str = ""
    disks: tuple[Disk, ...] = ()
    layers: tuple[Layer, ...] = ()
    units: tuple[Unit, ...] = ()
    ended_tasks: tuple[Ended, ...] = ()
    swarm: SwarmSeen | None = None
    ports: Ports | None = None
    machine: MachineSeen | None = None
    drbd: Drbd | None = None
    unseen: tuple[str, ...] = ()
    """The parts that were not seen, each with the reason."""


@dataclass(frozen=True)
class Evidence:
    """The look at one node between two moments of this machine's clock, or the reason why there is none."""

    node: str
    asked: float
    answered: float
    looked: Looked | None = None
    fault: str = ""
