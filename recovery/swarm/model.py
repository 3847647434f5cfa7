"""The state of a swarm at one moment, as frozen values on which decisions are based."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

from recovery.swarm.address import without_port
from recovery.swarm.entries import Member, Told, entries_of
from recovery.swarm.found import SwarmFacts, Validity
from recovery.swarm.on_node import OnNode
from recovery.swarm.raft import quorum

if TYPE_CHECKING:
    from recovery.swarm.machines import Node


class Reach(StrEnum):
    """The answer of a node to the survey."""

    ANSWERS = "answers"
    NO_ENGINE = "engine down"
    SILENT = "silent"
    REFUSED = "ssh refused"
    LIMITED = "ssh limited"
    """It is up, and refuses or drops new connections before the login."""
    SLOW = "slow login"
    """It accepts the connection, and does not let us in or answer within the limit."""
    DENIED = "access denied"
    WRONG_KEY = "host key changed"
    NOT_PINNED = "host key not pinned"
    GARBLED = "garbled answer"
    """The login runs no commands."""
    NO_RIGHTS = "missing rights"
    """The login is not root, and may not use sudo without a password. The report has what a user without rights can see."""
    JUMP = "jump host failed"
    """A jump host does not carry the connection to it."""
    FAILED = "ssh failed"
    ABSENT = "gone"
    NAMED = "lost"
    """Declared lost: it is silent, its driver cannot tell, and the operator confirmed that it is off for good."""
    STOPPED = "stopped"


ACCESS_FAULTS = frozenset(
    {
        Reach.REFUSED,
        Reach.LIMITED,
        Reach.SLOW,
        Reach.DENIED,
        Reach.WRONG_KEY,
        Reach.NOT_PINNED,
        Reach.GARBLED,
        Reach.NO_RIGHTS,
        Reach.JUMP,
        Reach.FAILED,
    }
)
"""The machine is up and we cannot see into it. The operator must repair that; it is never a loss."""

ENTERED = frozenset({Reach.ANSWERS, Reach.NO_ENGINE})
"""Requorum was let in, and sees the machine, with its engine or without."""
OF_HOST_KEYS = frozenset({Reach.WRONG_KEY, Reach.NOT_PINNED})
"""Those that are repaired on the operator's machine."""


class LocalState(StrEnum):
    """The state of an engine in a swarm, in the engine's own words (``Swarm.LocalNodeState``)."""

    INACTIVE = "inactive"
    PENDING = "pending"
    ACTIVE = "active"
    ERROR = "error"
    LOCKED = "locked"


MANAGING = frozenset({LocalState.ACTIVE, LocalState.PENDING})
"""The states in which a manager's engine takes part in raft, or soon will."""


@dataclass(frozen=True)
class NodeReport:
    """What the machine at one address reported in a survey."""

    node: "Node"
    reach: Reach
    detail: str = ""
    machine: str = ""
    """The content of ``/etc/machine-id``. Another value means another machine."""
    marked: str = ""
    """The cluster for which the machine was prepared, from Requorum's marker on it."""
    engine: str = ""
    """The engine's version."""
    unsupported: str = ""
    """What kind of engine it is, if Requorum cannot copy and restore the managers of such an engine."""
    state: LocalState = LocalState.INACTIVE
    control: bool = False
    """Whether the engine can manage the swarm: the node is a manager and has a leader."""
    node_id: str = ""
    advertised: str = ""
    """The address that its engine gives other nodes for it (``Swarm.NodeAddr``)."""
    cluster_id: str = ""
    ca_sha256: str = ""
    """The digest of the swarm's CA certificate on the node."""
    certificate: Validity | None = None
    """From when until when the node's own certificate is valid."""
    certified: str = ""
    """The role in that certificate; empty if nobody could tell."""
    ca: Validity | None = None
    """The same of the swarm's CA certificate; a manager with a leader tells it."""
    raft: bool = False
    """Whether the swarm directory holds a raft log."""
    placed: str = ""
    """The copy that a restore put into the swarm directory and that is not proven yet."""
    opened: bool = False
    """Whether a marker says that autolock was on before the key file was opened. A recovery switches it on again."""
    damage: str = ""
    """Why its engine cannot use its raft log, if the log or the snapshot is damaged."""
    full: str = ""
    """That its disk is full or was, and what may be removed, if its engine stopped because of that."""
    repaired: str = ""
    """What was wrong with the log that Requorum has cut and put in place, and from which no cluster was forced yet."""
    members: tuple[Member, ...] = ()
    remotes: tuple[str, ...] = ()
    """The addresses of the managers that the engine knows."""
    peers: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The node IDs of these managers, by address without port."""
    swarm: SwarmFacts | None = None
    """The options of the swarm; a manager with a leader tells them."""
    on_node: OnNode | None = None
    """What Requorum put on the machine and what became of it; None if nobody looked."""
    named: str = ""
    """When, by whom and how the node was declared lost, if the declaration is valid."""
    scan: str = ""
    """The command that prints its host keys, if they are not the pinned ones."""

    @property
    def in_swarm(self) -> bool:
        """Whether the engine belongs to a swarm, working or not."""
        return self.reach is Reach.ANSWERS and self.state is not LocalState.INACTIVE

    @cached_property
    def led(self) -> bool:
        """Whether the node answers as a manager of a swarm whose leader has a quorum.

        A leader that has just lost its quorum still answers for about 20 s. Its own list then shows the loss.
        """
        voters = [member for member in self.members if member.votes]
        reachable = sum(member.reachable for member in voters)
        return self.control and any(member.leader for member in voters) and reachable >= quorum(len(voters))

    @property
    def left_over(self) -> bool:
        """Whether the engine is in no swarm, but a raft log exists that no restore put there.

        A failed forced start leaves such a log, which may be the newest one.
        """
        idle = self.reach is Reach.ANSWERS and self.state is LocalState.INACTIVE
        return idle and self.raft and not self.placed

    def is_stranded(self, managers: Collection[str]) -> bool:
        """Whether the node is a worker in the swarm that knows managers, but none at one of these addresses."""
        known = {without_port(address) for address in self.remotes}
        return self.in_swarm and not self.raft and bool(known) and known.isdisjoint(managers)

    @property
    def holds_raft(self) -> bool:
        """Whether the node may still hold the swarm's log."""
        return self.raft and (self.in_swarm or self.left_over or self.reach is Reach.NO_ENGINE)

    @property
    def mended(self) -> str:
        """What was wrong with its log, if Requorum has put a repaired one in place that no engine has used yet."""
        failed = self.reach is Reach.NO_ENGINE or (self.reach is Reach.ANSWERS and self.state is LocalState.ERROR)
        return self.repaired if not self.damage and (failed or self.left_over) else ""

    @property
    def halted(self) -> bool:
        """Whether the engine does not start because its raft log is damaged, or was when it tried last."""
        return bool(self.damage or self.mended) and self.reach is Reach.NO_ENGINE

    def must_rejoin(self, leader: "NodeReport") -> bool:
        """Whether it is a manager of ``leader``'s swarm that can only give its damaged log up and rejoin."""
        return bool(self.damage) and self.raft and self.cluster_id == leader.cluster_id

    def is_left_behind(self, leader: "NodeReport") -> bool:
        """Whether a manager of ``leader``'s swarm was left behind when a new cluster was forced from another manager.

        Such a manager has no vote in the new cluster. Either it still has its old log, or it deleted the log when it learned
        that it is no member, and waits for a vote. A worker that was promoted waits for the certificate of a manager, and then
        for a vote. A leader in the node's own report is no proof: it can list nodes through its old leader for up to 20 s.
        """
        if not self.in_swarm or self.cluster_id != leader.cluster_id:
            return False
        entry = next((member for member in leader.members if member.node_id == self.node_id and not member.votes), None)
        return bool(entry and (self.raft or (entry.role == "manager" and self.certified != "worker")))

    def is_unlisted(self, leader: "NodeReport") -> bool:
        """Whether it is a worker of ``leader``'s swarm that this swarm does not list: it joined after the copy that was restored
        was taken, or somebody removed its entry."""
        worker = self.in_swarm and self.state is LocalState.ACTIVE and not self.raft
        listed = {member.node_id for member in leader.members}
        return worker and bool(self.node_id) and self.cluster_id == leader.cluster_id and self.node_id not in listed

    @property
    def known_lost(self) -> bool:
        """Whether Requorum *knows* that the machine holds no swarm state any more."""
        idle = self.reach is Reach.ANSWERS and self.state is LocalState.INACTIVE
        return self.reach in (Reach.ABSENT, Reach.NAMED) or (idle and not self.left_over)


@dataclass(frozen=True)
class Survey:
    """The reports of all nodes at one moment."""

    reports: tuple[NodeReport, ...]
    taken: datetime
    unasked: tuple["Node", ...] = ()
    """The nodes of the settings that the survey did not ask."""

    @property
    def nodes(self) -> tuple["Node", ...]:
        """Every node of the settings, whether the survey asked it or not."""
        return (*(report.node for report in self.reports), *self.unasked)

    @property
    def of_managers(self) -> "Survey":
        """This survey without the reports of the workers, but for those that manage a swarm with a leader."""
        left = tuple(report for report in self.workers if not report.led)
        kept = tuple(report for report in self.reports if report not in left)
        return replace(self, reports=kept, unasked=(*self.unasked, *(report.node for report in left)))

    @cached_property
    def managers(self) -> tuple[NodeReport, ...]:
        """The reports of the nodes that the settings list as managers."""
        return tuple(report for report in self.reports if report.node.role == "manager")

    @cached_property
    def workers(self) -> tuple[NodeReport, ...]:
        """The reports of the nodes that the settings list as workers."""
        return tuple(report for report in self.reports if report.node.role == "worker")

    def of(self, name: str) -> NodeReport:
        """The report of the node with this name. Raises: KeyError."""
        return {report.node.name: report for report in self.reports}[name]

    @property
    def electing(self) -> bool:
        """Whether there is no leader, and enough managers are up to elect one."""
        able = [r for r in self.managers if r.reach is Reach.ANSWERS and r.state in MANAGING and r.raft]
        unseen = [r for r in self.managers if r.reach in ACCESS_FAULTS]
        return self.leader is None and bool(able) and len(able + unseen) >= quorum(len(self.managers))

    @property
    def leaders(self) -> Mapping[tuple[str, str], str]:
        """The leaders' host names by cluster ID and node ID, as managers tell. Several mean a fork, or a change."""
        return {
            (report.cluster_id, member.node_id): member.hostname
            for report in self.reports
            if report.led
            for member in report.members
            if member.leader
        }

    @cached_property
    def leader(self) -> NodeReport | None:
        """The leader's report, or, if the leader does not answer, that of a manager that has a leader.

        A worker of the settings that still manages the swarm comes last: it will lose its vote.
        """
        led = [report for report in (*self.managers, *self.workers) if report.led]
        leading = [r for r in led if any(m.leader and m.node_id == r.node_id for m in r.members)]
        return min(led, key=lambda report: (report.node.role != "manager", report not in leading), default=None)

    def cas(self, cluster_id: str | None) -> frozenset[str]:
        """The digests of the CA that nodes in this swarm know. During a rotation, several exist."""
        return frozenset(report.ca_sha256 for report in self.knowing_ca(cluster_id))

    @property
    def told_cas(self) -> frozenset[str]:
        """The digests of the CA that the living nodes know, if all of them are in one swarm."""
        swarms = {report.cluster_id for report in self.reports if report.in_swarm and report.ca_sha256}
        return self.cas(swarms.pop()) if len(swarms) == 1 else frozenset()

    def knowing_ca(self, cluster_id: str | None) -> tuple[NodeReport, ...]:
        """The reports of the nodes in this swarm that know its CA. A node with a restored copy that is not proven does not count."""
        ours = (r for r in self.reports if r.in_swarm and r.cluster_id == cluster_id and not r.placed)
        return tuple(report for report in ours if report.ca_sha256)

    @property
    def misplaced(self) -> Mapping[str, Member]:
        """The managers, by name, that the leader lists at an earlier address. Joining managers look for them there."""
        listed = self.leader.members if self.leader else ()
        return {
            m.node.name: entry
            for m in self.managers
            for entry in entries_of(m.node, listed, self.told)
            if entry.is_misplaced(m.node, m.advertised)
        }

    @property
    def stranded(self) -> tuple[NodeReport, ...]:
        """The workers in the swarm that know no address of a manager. They never find a manager by themselves."""
        return tuple(report for report in self.workers if report.is_stranded(self.managed_at))

    @property
    def managed_at(self) -> frozenset[str]:
        """The addresses of the settings' managers, and those at which the leader reaches other managers that vote there."""
        listed = self.leader.members if self.leader else ()
        voters = {m.address for m in listed if m.reachable and m.raft_address == m.address}
        return frozenset(voters | {str(manager.node.address) for manager in self.managers})

    @property
    def known_managers(self) -> frozenset[str]:
        """The addresses of the managers that the engines of nodes know."""
        return frozenset(without_port(remote) for report in self.reports for remote in report.remotes)

    @cached_property
    def told(self) -> Told:
        """The node IDs that nodes tell, by the nodes' names."""
        return {report.node.name: report.node_id for report in self.reports if report.node_id}

    def entry(self, node: "Node") -> Member | None:
        """The node's entry in the leader's list. Of several entries, the one that is Ready."""
        entries = entries_of(node, self.leader.members if self.leader else (), self.told)
        return next((member for member in entries if member.ready), next(iter(entries), None))
