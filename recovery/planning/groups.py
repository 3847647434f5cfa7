"""Groups of nodes that share a state, by name."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from recovery.planning.entries import stale
from recovery.swarm.entries import entries_of
from recovery.swarm.model import ACCESS_FAULTS, LocalState, NodeReport, Reach, Survey

_MAY_HIDE = frozenset({Reach.SILENT, Reach.STOPPED, Reach.NO_ENGINE}) | ACCESS_FAULTS
"""The results of a survey after which a node may still hold the swarm's state."""


@dataclass(frozen=True)
class Groups:
    """The names of the nodes in each group. A node can be in several."""

    without_leader: tuple[str, ...] = ()
    """Managers that report no leader with its quorum."""
    cut_off: tuple[str, ...] = ()
    """Managers that are silent here and that the leader reaches."""
    holders: tuple[str, ...] = ()
    """Managers that may still hold the swarm's log."""
    orphans: tuple[str, ...] = ()
    """Workers that are still in a swarm."""
    missing: tuple[str, ...] = ()
    """Nodes that are known to be in no swarm. Their machine is gone, or has no swarm state, or has an outdated log."""
    locked: tuple[str, ...] = ()
    """Managers that wait for the unlock key."""
    silent: tuple[str, ...] = ()
    """Nodes whose state is unknown: they may be dead, stopped or cut off from this machine."""
    unseen: tuple[str, ...] = ()
    """Nodes that are up and that Requorum cannot see into, among the `silent` ones. It is never a loss."""
    away: tuple[str, ...] = ()
    """Nodes that are declared lost. They have no machine that could join."""
    stand_ins: tuple[str, ...] = ()
    """Workers of the settings that were promoted and hold the raft log, the leader last: it hands over once."""
    unfinished: tuple[str, ...] = ()
    """Nodes whose return to the swarm was interrupted: a manager without a vote, or a node with two entries."""
    unlisted: tuple[str, ...] = ()
    """Workers whose engine is in the swarm that has a leader, and that this swarm does not list."""
    misplaced: tuple[str, ...] = ()
    """Managers that vote under an old address, after a new cluster was forced at another one."""
    stranded: tuple[str, ...] = ()
    """Workers in the swarm that know only addresses without a manager."""
    gone: tuple[str, ...] = ()
    """Nodes whose machine does not exist, as the host driver reports."""
    left_behind: tuple[str, ...] = ()
    """Managers that a forced new cluster left behind."""
    old_logs: tuple[str, ...] = ()
    """Managers with a log that no swarm continues: the managers left behind, and the managers in no swarm."""
    unproven: tuple[str, ...] = ()
    """Managers with a restore that is not proven yet: only the leader, or all of them if there is no leader."""
    opened: tuple[str, ...] = ()
    """Managers of a swarm with a leader whose key file Requorum opened. Requorum must switch autolock on again."""

    damaged: tuple[str, ...] = ()
    """Managers whose engine cannot use its raft log, because the log or the snapshot is damaged."""
    halted: tuple[str, ...] = ()
    """Those of them whose engine does not start."""
    full: tuple[str, ...] = ()
    """Managers whose engine stopped because its disk is full."""

    @property
    def lacking(self) -> tuple[str, ...]:
        """Managers that report no leader, without those that only Requorum cannot see into: the leader reaches them."""
        well = set(self.unseen) & set(self.cut_off)
        return tuple(name for name in self.without_leader if name not in well)

    @property
    def left_alone(self) -> tuple[str, ...]:
        """Nodes that Requorum does not change."""
        return self.silent + self.away


def group(survey: Survey) -> Groups:
    """The groups of a survey's nodes."""
    leader = survey.leader

    def names(holds: Callable[[NodeReport], bool], reports: Iterable[NodeReport] = survey.reports) -> tuple[str, ...]:
        return tuple(report.node.name for report in reports if holds(report))

    return Groups(
        without_leader=names(lambda report: not report.led, survey.managers),
        cut_off=names(lambda report: leader is not None and _is_cut_off(report, leader, survey), survey.managers),
        holders=names(lambda report: report.holds_raft, survey.managers),
        orphans=names(lambda report: report.in_swarm, survey.workers),
        missing=names(lambda report: _is_missing(report, leader)),
        locked=names(lambda report: report.state is LocalState.LOCKED, survey.managers),
        silent=names(lambda report: report.reach in _MAY_HIDE and not report.halted),
        unseen=names(lambda report: report.reach in ACCESS_FAULTS),
        away=names(lambda report: report.reach is Reach.NAMED),
        stand_ins=names(lambda report: report.holds_raft, sorted(survey.workers, key=_leads)),
        unfinished=names(lambda report: leader is not None and _is_unfinished(report, leader, survey)),
        unlisted=names(lambda report: leader is not None and report.is_unlisted(leader), survey.workers),
        misplaced=tuple(survey.misplaced),
        stranded=tuple(report.node.name for report in survey.stranded),
        gone=names(lambda report: report.reach is Reach.ABSENT),
        left_behind=names(lambda report: _is_left_behind(report, leader)),
        old_logs=names(lambda report: report.left_over or (report.raft and _is_left_behind(report, leader))),
        unproven=names(
            lambda report: report.in_swarm and bool(report.placed) and leader in (None, report), survey.managers
        ),
        opened=names(lambda report: leader is not None and report.in_swarm and report.opened, survey.managers),
        damaged=names(lambda report: bool(report.damage), survey.managers),
        halted=names(lambda report: report.halted, survey.managers),
        full=names(lambda report: bool(report.full), survey.managers),
    )


def _leads(report: NodeReport) -> bool:
    return any(member.leader and member.node_id == report.node_id for member in report.members)


def _is_missing(report: NodeReport, leader: NodeReport | None) -> bool:
    """Whether a node is known to be in no swarm. An unused log is outdated once there is a leader."""
    outdated = leader is not None and report.left_over
    return outdated or (report.known_lost and report.reach is not Reach.NAMED)


def _is_cut_off(report: NodeReport, leader: NodeReport, survey: Survey) -> bool:
    """Whether a node is silent here, and the leader reaches a manager at its address."""
    return (
        report.reach in _MAY_HIDE
        and not report.halted
        and any(member.reachable for member in entries_of(report.node, leader.members, survey.told))
    )


def _is_unfinished(report: NodeReport, leader: NodeReport, survey: Survey) -> bool:
    """Whether the node's return to the leader's swarm was interrupted."""
    if not report.in_swarm:
        return False
    entries = entries_of(report.node, leader.members, survey.told)
    votes = any(member.votes for member in entries if member.node_id == report.node_id)
    old = stale(leader.members, report.node, report.node_id, survey.nodes, survey.told)
    return bool(old) or (report.node.role == "manager" and bool(entries) and not votes)


def _is_left_behind(report: NodeReport, leader: NodeReport | None) -> bool:
    """Whether a manager of the settings was left behind when a new cluster was forced from another manager."""
    return report.node.role == "manager" and leader is not None and report.is_left_behind(leader)
