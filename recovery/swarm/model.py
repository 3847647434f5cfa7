"""What is known of a swarm at one moment: frozen values that decisions are made from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from recovery.swarm.raft import quorum

if TYPE_CHECKING:
    from recovery.swarm.machines import Node


class Presence(StrEnum):
    """What the host driver knows of a machine without asking the machine."""

    PRESENT = "present"
    STOPPED = "stopped"
    GONE = "gone"
    UNKNOWN = "unknown"
    """The driver cannot tell: only the machine itself can answer."""


class Reach(StrEnum):
    """How far we got with a node."""

    ANSWERS = "answers"
    NO_ENGINE = "engine down"
    SILENT = "silent"
    REFUSED = "ssh refused"
    DENIED = "access denied"
    WRONG_KEY = "host key changed"
    ABSENT = "gone"
    NAMED = "lost"
    """Declared lost: it is silent, its driver cannot tell, and the operator confirmed that it is off for good."""
    STOPPED = "stopped"


ACCESS_FAULTS = frozenset({Reach.REFUSED, Reach.DENIED, Reach.WRONG_KEY})
"""The machine is up and does not let us in. The operator must repair that; it is never a loss."""


class LocalState(StrEnum):
    """The engine's own word for its place in a swarm (``Swarm.LocalNodeState``)."""

    INACTIVE = "inactive"
    PENDING = "pending"
    ACTIVE = "active"
    ERROR = "error"
    LOCKED = "locked"


MANAGING = frozenset({LocalState.ACTIVE, LocalState.PENDING})
"""States in which a manager's engine takes part in raft, or will."""


@dataclass(frozen=True)
class Member:
    """One entry of a swarm's node list, as its leader has it."""

    node_id: str
    hostname: str
    address: str
    role: str
    availability: str
    ready: bool
    leader: bool = False
    reachable: bool = False
    manager_address: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def votes(self) -> bool:
        """Whether it is a raft member: after a forced new cluster, other managers keep their role without a vote."""
        return bool(self.manager_address)

    @property
    def raft_address(self) -> str:
        """The address at which the other managers look for it, without the port; empty where it does not vote."""
        return self.manager_address.rsplit(":", 1)[0]

    def stands_at(self, node: "Node") -> bool:
        """Whether this entry is of a machine at the node's address."""
        return str(node.address) in (self.address, self.raft_address)

    def is_misplaced(self, node: "Node") -> bool:
        """Whether the node votes here and the log has it elsewhere: a forced new cluster keeps the address of before."""
        return self.votes and self.address == str(node.address) != self.raft_address


@dataclass(frozen=True)
class NodeReport:
    """What one address says right now."""

    node: "Node"
    reach: Reach
    detail: str = ""
    machine: str = ""
    """``/etc/machine-id``: another value is another machine."""
    marked: str = ""
    """The cluster the machine was prepared for, from our own mark on it."""
    engine: str = ""
    """The engine's version."""
    data_root: str = ""
    """Where the engine keeps its data, where that is no folder by the name of ``/var/lib/docker``."""
    state: LocalState = LocalState.INACTIVE
    control: bool = False
    """Whether the engine can manage: it is a manager and sees a leader."""
    node_id: str = ""
    cluster_id: str = ""
    ca_sha256: str = ""
    """Of the swarm's CA certificate, as the node has it."""
    raft: bool = False
    """Whether a raft log lies in the engine's swarm directory."""
    placed: str = ""
    """The copy that our restore put in the swarm directory and that was not proven since."""
    opened: bool = False
    """Whether our mark says that autolock was on before the manager's key file was opened: it is to be switched on again."""
    damage: str = ""
    """Why its engine cannot use its raft log, if the log or the snapshot is damaged."""
    full: str = ""
    """That its disk is full or was, and what may be removed, if its engine stopped because of that."""
    repaired: str = ""
    """What was wrong with the log that Requorum has cut and put in place, and from which no cluster was forced yet."""
    members: tuple[Member, ...] = ()
    remotes: tuple[str, ...] = ()
    """Addresses of the managers that the engine knows of."""
    named: str = ""
    """When, by whom and how it was declared lost, if the declaration is valid."""

    @property
    def in_swarm(self) -> bool:
        """Whether the engine belongs to a swarm, working or not."""
        return self.reach is Reach.ANSWERS and self.state is not LocalState.INACTIVE

    @property
    def led(self) -> bool:
        """Whether the node answers as a manager of a swarm that has a leader, and that leader has its quorum.

        A leader that has just lost its quorum goes on answering for about 20 s; its own list tells.
        """
        voters = [member for member in self.members if member.votes]
        reachable = sum(member.reachable for member in voters)
        return self.control and any(member.leader for member in voters) and reachable >= quorum(len(voters))

    @property
    def left_over(self) -> bool:
        """Whether a log lies beside an engine that is in no swarm, and not because we put it there: a failed
        forced start leaves it so, and it may be the newest there is."""
        idle = self.reach is Reach.ANSWERS and self.state is LocalState.INACTIVE
        return idle and self.raft and not self.placed

    def is_stranded(self, managers: "Iterable[Node]") -> bool:
        """Whether it is a worker in the swarm that knows of managers, and of none at an address of these."""
        known = {address.rsplit(":", 1)[0] for address in self.remotes}
        knows = known & {str(manager.address) for manager in managers}
        return self.in_swarm and not self.raft and bool(known) and not knows

    @property
    def holds_raft(self) -> bool:
        """Whether the node may still hold the swarm's log."""
        return self.raft and (self.in_swarm or self.left_over or self.reach is Reach.NO_ENGINE)

    @property
    def mended(self) -> str:
        """What was wrong with its log, if Requorum has put a repaired one in place that no engine has used yet."""
        failed = self.reach is Reach.NO_ENGINE or (self.reach is Reach.ANSWERS and self.state is LocalState.ERROR)
        return self.repaired if failed or self.left_over else ""

    @property
    def halted(self) -> bool:
        """Whether the engine does not start because its raft log is damaged, or was when it tried last."""
        return bool(self.damage or self.mended) and self.reach is Reach.NO_ENGINE

    def must_rejoin(self, leader: "NodeReport") -> bool:
        """Whether it is a manager of ``leader``'s swarm that can only give its damaged log up and rejoin."""
        return bool(self.damage) and self.raft and self.cluster_id == leader.cluster_id

    def is_left_behind(self, leader: "NodeReport") -> bool:
        """Whether a manager of ``leader``'s swarm was left behind when a new cluster was forced from another manager.

        It has no vote in the new cluster. Either it still has its old log, or it deleted the log when it learned that it
        is no member, and now waits for a vote, first not Ready and then Ready. If the forced manager was its leader
        before, it can list nodes through that manager for up to 20 s, so a leader in its own report proves nothing.
        """
        if not self.in_swarm or self.cluster_id != leader.cluster_id:
            return False
        entry = next((member for member in leader.members if member.node_id == self.node_id), None)
        return entry is not None and not entry.votes and (self.raft or not entry.ready or entry.role == "manager")

    @property
    def known_lost(self) -> bool:
        """Whether it is *known* that the machine holds no swarm state any more."""
        idle = self.reach is Reach.ANSWERS and self.state is LocalState.INACTIVE
        return self.reach in (Reach.ABSENT, Reach.NAMED) or (idle and not self.left_over)


@dataclass(frozen=True)
class Survey:
    """The reports of all nodes, taken within one moment."""

    reports: tuple[NodeReport, ...]
    taken: datetime
    unasked: tuple["Node", ...] = ()
    """Nodes of the settings that were not looked at."""

    @property
    def nodes(self) -> tuple["Node", ...]:
        """Every node of the settings, looked at or not."""
        return (*(report.node for report in self.reports), *self.unasked)

    @property
    def of_managers(self) -> "Survey":
        """The same without the workers."""
        return replace(self, reports=self.managers, unasked=(*self.unasked, *(r.node for r in self.workers)))

    @property
    def managers(self) -> tuple[NodeReport, ...]:
        """The reports of the addresses that the settings call managers."""
        return tuple(report for report in self.reports if report.node.role == "manager")

    @property
    def workers(self) -> tuple[NodeReport, ...]:
        """The reports of the addresses that the settings call workers."""
        return tuple(report for report in self.reports if report.node.role == "worker")

    def of(self, name: str) -> NodeReport:
        """The report of the node of that name; `KeyError` when there is none."""
        return {report.node.name: report for report in self.reports}[name]

    @property
    def electing(self) -> bool:
        """Whether there is no leader, and enough managers are up to elect one."""
        able = [r for r in self.managers if r.reach is Reach.ANSWERS and r.state in MANAGING]
        return self.leader is None and sum(report.raft for report in able) >= quorum(len(self.managers))

    @property
    def leaders(self) -> frozenset[tuple[str, str]]:
        """Cluster ID and leader, as each manager that sees one names them: more than one is a fork, or a change of leader."""
        return frozenset(
            (report.cluster_id, member.hostname)
            for report in self.managers
            if report.led
            for member in report.members
            if member.leader
        )

    @property
    def leader(self) -> NodeReport | None:
        """The report of a manager that sees a leader; the leader's own when it answers."""
        led = [report for report in self.managers if report.led]
        own = [r for r in led if any(m.leader and m.node_id == r.node_id for m in r.members)]
        return next(iter(own + led), None)

    def cas(self, cluster_id: str | None) -> frozenset[str]:
        """The digests of the CA that nodes in that swarm know, several while it is rotated. What we restored and
        did not prove yet says nothing.
        """
        ours = [r for r in self.reports if r.in_swarm and r.cluster_id == cluster_id and not r.placed]
        return frozenset(report.ca_sha256 for report in ours if report.ca_sha256)

    @property
    def misplaced(self) -> Mapping[str, Member]:
        """Managers, by name, that the leader's list has at an address of before: others that join look for them there."""
        listed = self.leader.members if self.leader else ()
        return {m.node.name: entry for m in self.managers for entry in listed if entry.is_misplaced(m.node)}

    @property
    def stranded(self) -> tuple[NodeReport, ...]:
        """Workers in the swarm that know no address at which there is a manager: they never find one by themselves."""
        return tuple(report for report in self.workers if report.is_stranded([m.node for m in self.managers]))

    def entry(self, node: "Node") -> Member | None:
        """The node's entry in the leader's list; of several, the one that is Ready."""
        found = [m for m in (self.leader.members if self.leader else ()) if m.stands_at(node)]
        return next((member for member in found if member.ready), next(iter(found), None))


@dataclass(frozen=True)
class Inventory:
    """Which objects a swarm holds: IDs by kind, and the highest ``Version.Index`` over all of them."""

    objects: Mapping[str, frozenset[str]]
    index: int

    def common_with(self, later: "Inventory") -> "Inventory":
        """What this inventory and a later one both have, at this one's index."""
        return Inventory(
            {kind: ids & later.objects.get(kind, frozenset()) for kind, ids in self.objects.items()}, self.index
        )

    def missing_from(self, other: "Inventory") -> dict[str, list[str]]:
        """The IDs by kind that this inventory has and ``other`` lacks."""
        lost = {kind: sorted(ids - other.objects.get(kind, frozenset())) for kind, ids in self.objects.items()}
        return {kind: ids for kind, ids in lost.items() if ids}


@dataclass(frozen=True)
class Service:
    """One service, as far as a proof looks at it. Jobs, which end by themselves, are none here."""

    service_id: str
    name: str
    replicas: int | None
    """None for a global service: one task on each node that takes it."""
    virtual_ips: tuple[tuple[str, str], ...] = ()
    """Network ID and address."""
    networks: frozenset[str] = frozenset()
    """IDs of the networks on which it is known by its name."""
    update: str = ""
    """State of its last update; empty when there was none."""


@dataclass(frozen=True)
class Task:
    """One task that the swarm wants to run."""

    service_id: str
    node_id: str
    running: bool
    slot: int = 0
    """Which of a replicated service's tasks it is, from 1; 0 for a global service."""
    container: str = ""
    image: str = ""


@dataclass(frozen=True)
class NodeWorkload:
    """What one node does: whether it listens for gossip (None if unknown), and its service containers (ID to service)."""

    listening: bool | None
    containers: Mapping[str, str]


@dataclass(frozen=True)
class Workload:
    """What the leader reports: the services, their tasks, and, if it was asked for, its whole inventory."""

    services: tuple[Service, ...] = ()
    tasks: tuple[Task, ...] = ()
    inventory: Inventory | None = None


@dataclass(frozen=True)
class AddressChange:
    """A manager, the identity that its copy holds, the address at which that was taken, and the one in the settings."""

    manager: str
    node_id: str
    old: str
    new: str

    @property
    def text(self) -> str:
        """As plans and refusals show it."""
        return f"{self.manager} from {self.old} to {self.new}"


def still_in_swarm(seen: NodeReport, cluster_id: str | None) -> bool:
    """Whether a machine at an old address is still in this swarm, or holds its log."""
    return seen.cluster_id == cluster_id and (seen.in_swarm or seen.holds_raft)
