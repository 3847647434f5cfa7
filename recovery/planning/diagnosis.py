"""Decides from the nodes' answers what is wrong with the cluster. The first of the ordered rules that gives a ruling decides."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from recovery.planning.evidence import evidence
from recovery.planning.facts import Facts, gather
from recovery.planning.groups import Groups
from recovery.planning.warnings import warnings
from recovery.swarm.model import ACCESS_FAULTS, NodeReport, Reach, Survey
from recovery.swarm.raft import quorum


class Kind(StrEnum):
    """What state a cluster is in."""

    HEALTHY = "healthy"
    MINORITY_LOST = "minority lost"
    QUORUM_LOST = "quorum lost"
    ALL_LOST = "all lost"
    LOCKED = "locked"
    PARTITIONED = "partitioned"
    FORKED = "forked"
    FOREIGN = "foreign"
    ABSENT = "absent"
    ACCESS = "not seen from here"
    """No manager reports a leader, and managers that Requorum cannot see into may have one. It is no loss."""


NO_QUORUM = frozenset({Kind.QUORUM_LOST, Kind.ALL_LOST, Kind.LOCKED})


@dataclass(frozen=True)
class Ruling:
    """The result of a rule: the kind, and the reasons for it in words."""

    kind: Kind
    reasons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Diagnosis(Groups):
    """What is wrong, the evidence, and the names of the affected nodes."""

    kind: Kind
    evidence: tuple[str, ...]
    cluster_id: str | None = None
    warnings: tuple[str, ...] = ()
    """Warnings that do not depend on the kind: valid declarations of loss, and node IDs that two machines use."""
    prepared_for: str = ""
    """Of a foreign swarm: the other cluster for which all its machines were prepared, if it is one."""

    @property
    def text(self) -> str:
        """The evidence, a line each."""
        return "\n".join(f"  {line}" for line in self.evidence)


def diagnose(survey: Survey, known_id: str | None, *, cluster: str, copies: bool) -> Diagnosis:
    """Decide what is wrong with the cluster.

    ``known_id`` is the cluster ID from the stack file, the state or the copies, or None if no source has one.
    ``cluster`` is the cluster's name. ``copies`` says whether S3 has copies under that name.
    """
    facts = gather(survey, known_id, cluster=cluster, copies=copies)
    ruling = rule(facts)
    return Diagnosis(
        **vars(facts.nodes),
        kind=ruling.kind,
        evidence=(*ruling.reasons, *evidence(survey, facts.nodes.missing)),
        cluster_id=facts.swarm_id if ruling.kind in WITH_LEADER else known_id,
        warnings=warnings(survey),
        prepared_for=prepared_for(survey, cluster) if ruling.kind is Kind.FOREIGN else "",
    )


def rule(facts: Facts) -> Ruling:
    """The ruling of the first rule that gives one."""
    rulings = (judge(facts) for judge in RULES)
    return next((ruling for ruling in rulings if ruling), NOTHING)


def foreign(facts: Facts) -> Ruling | None:
    """A node belongs to another swarm."""
    strangers = [report for report in facts.survey.reports if _is_foreign(report, facts)]
    if not strangers:
        return None
    told = tuple(_stranger(report, facts) for report in strangers)
    if not (other := prepared_for(facts.survey, facts.cluster)):
        return Ruling(Kind.FOREIGN, told)
    names = ", ".join(report.node.name for report in strangers)
    return Ruling(
        Kind.FOREIGN, (f"{names}: prepared for cluster {other}. Is requorum:cluster ({facts.cluster}) misspelt?", *told)
    )


def forked(facts: Facts) -> Ruling | None:
    """Managers follow different leaders."""
    if len(facts.survey.leaders) < 2:
        return None
    named = sorted((cluster_id, name) for (cluster_id, _), name in facts.survey.leaders.items())
    leaders = ", ".join(f"{leader} of {identity}" for identity, leader in named)
    return Ruling(Kind.FORKED, (f"managers follow different leaders: {leaders}",))


def healthy(facts: Facts) -> Ruling | None:
    """Every manager reports the leader, or the leader reaches it and only Requorum cannot see into it."""
    if not facts.leader or facts.nodes.lacking:
        return None
    if facts.nodes.without_leader:
        unseen = ", ".join(facts.nodes.without_leader)
        reached = f"the swarm has leader {facts.leader}, which reaches all managers. Not seen from here: {unseen}"
        return Ruling(Kind.HEALTHY, (reached,))
    return Ruling(Kind.HEALTHY, (f"the swarm has leader {facts.leader}, and all managers answer",))


def partitioned(facts: Facts) -> Ruling | None:
    """The leader reaches every manager that does not report it."""
    if not facts.leader or not set(facts.nodes.without_leader) <= set(facts.nodes.cut_off):
        return None
    reason = f"the leader reaches {', '.join(facts.nodes.without_leader)}, but this machine does not"
    return Ruling(Kind.PARTITIONED, (reason,))


def minority_lost(facts: Facts) -> Ruling | None:
    """There is a leader, and a manager does not report it."""
    if not facts.leader:
        return None
    lacks = f"the swarm has a leader, but lacks {', '.join(facts.nodes.lacking)}"
    return Ruling(Kind.MINORITY_LOST, (lacks + cause(facts.nodes),))


def not_seen(facts: Facts) -> Ruling | None:
    """Nobody reports a leader, and managers that Requorum did not hear may have one, some of which are up.

    Also if nothing at all is known of a swarm, so that none can be lost.
    """
    unseen = [report for report in facts.survey.managers if report.reach in ACCESS_FAULTS]
    silent = [report for report in facts.survey.managers if report.reach is Reach.SILENT]
    known = facts.nodes.holders or facts.nodes.orphans or facts.known_id or facts.copies
    if not unseen or (known and len(unseen + silent) < quorum(len(facts.survey.managers))):
        return None
    names = ", ".join(f"{report.node.name} ({report.reach})" for report in unseen)
    return Ruling(Kind.ACCESS, (f"no leader answers, and Requorum cannot see into {names}. That is no loss",))


def locked(facts: Facts) -> Ruling | None:
    """A quorum of managers holds the log, and at least one of them waits for the unlock key."""
    sound = [name for name in facts.nodes.holders if name not in facts.nodes.damaged]
    if not facts.nodes.locked or len(sound) < quorum(len(facts.survey.managers)):
        return None
    return Ruling(Kind.LOCKED, (f"no leader. These managers wait for the unlock key: {', '.join(facts.nodes.locked)}",))


def held_by_workers(facts: Facts) -> Ruling | None:
    """A worker of the settings holds the raft log."""
    if not facts.nodes.stand_ins:
        return None
    reason = f"no leader. These promoted workers may hold the raft log: {', '.join(facts.nodes.stand_ins)}"
    return Ruling(Kind.QUORUM_LOST, (reason,))


def held_by_managers(facts: Facts) -> Ruling | None:
    """A manager holds the raft log."""
    if not facts.nodes.holders:
        return None
    count = len([name for name in facts.nodes.holders if name not in facts.nodes.damaged])
    needed = quorum(len(facts.survey.managers))
    holders = f"{count} of the {needed} needed managers {'holds' if count == 1 else 'hold'} the raft log"
    election = ". An election may be under way, which takes up to 20 s" if facts.survey.electing else ""
    return Ruling(Kind.QUORUM_LOST, (f"no leader. {holders}{election}{cause(facts.nodes)}",))


def maybe_alive(facts: Facts) -> Ruling | None:
    """A manager is not known to be lost."""
    if all(report.known_lost for report in facts.survey.managers):
        return None
    return Ruling(Kind.QUORUM_LOST, ("no leader answers. Not every manager is known to be lost",))


def all_lost(facts: Facts) -> Ruling | None:
    """There was a swarm: it has copies, an ID or workers."""
    if not (facts.copies or facts.known_id or facts.nodes.orphans):
        return None
    workers = f". Workers that are still in the swarm: {', '.join(facts.nodes.orphans)}" if facts.nodes.orphans else ""
    return Ruling(Kind.ALL_LOST, (f"no manager holds the swarm any more{workers}",))


RULES: tuple[Callable[[Facts], Ruling | None], ...] = (
    foreign,
    forked,
    healthy,
    partitioned,
    minority_lost,
    not_seen,
    locked,
    held_by_workers,
    held_by_managers,
    maybe_alive,
    all_lost,
)
"""The rules in their order. The order is the safety argument.

1. `foreign` and `forked` come first: no other rule may judge answers that come from more than one swarm.
2. A leader comes before every loss, so nothing is restored or forced while a swarm lives.
3. Managers that may have a leader and that nobody could look into come before every loss, for the same reason.
4. A log on any node comes before the loss of all, so nothing is restored while newer state may be left.
5. A manager that may be alive comes before the loss of all, for the same reason.
6. `all_lost` comes before an empty cluster, so no new swarm is created while the old one can be restored.
"""
NOTHING = Ruling(Kind.ABSENT, ("no node is in a swarm, and S3 has no copy",))
"""The ruling if no rule gives one: there never was a swarm."""
WITH_LEADER = frozenset({Kind.HEALTHY, Kind.PARTITIONED, Kind.MINORITY_LOST})
"""The kinds of a swarm that has one leader, whose ID is the cluster's ID."""


def prepared_for(survey: Survey, cluster: str) -> str:
    """The other cluster for which all machines that are in a swarm were prepared; empty if there is no such cluster."""
    marks = {report.marked for report in survey.reports if report.in_swarm or report.left_over}
    return next(iter(marks)) if len(marks) == 1 and not marks & {"", cluster} else ""


def cause(nodes: Groups) -> str:
    """Which managers cannot use their logs, and why, in words; empty if all can."""
    damaged, full = ", ".join(nodes.damaged), ", ".join(nodes.full)
    return (f". The raft log is damaged on {damaged}" if damaged else "") + (
        f". The disk is full on {full}" if full else ""
    )


def _is_foreign(report: NodeReport, facts: Facts) -> bool:
    """Whether the node belongs to another swarm. Without a known ID, only a machine prepared for the cluster is ours."""
    if report.reach is Reach.NO_RIGHTS and facts.known_id:
        return bool(report.cluster_id) and report.cluster_id != facts.known_id
    if not (report.in_swarm or report.left_over) or not report.cluster_id:
        return False
    return report.cluster_id != facts.known_id if facts.known_id else report.marked != facts.cluster


def _stranger(report: NodeReport, facts: Facts) -> str:
    """Which swarm the node belongs to, in words."""
    whose = f"This cluster is swarm {facts.known_id}" if facts.known_id else "It was not prepared for this cluster"
    return f"{report.node.name} ({report.node.address}) belongs to swarm {report.cluster_id}. {whose}"
