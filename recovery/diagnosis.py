"""From what the nodes say to what is wrong: pure, and with its evidence in words."""

from dataclasses import dataclass
from enum import StrEnum

from recovery.model import ACCESS_FAULTS, LocalState, Reach, Report, Survey
from recovery.zones import quorum


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


NO_QUORUM = frozenset({Kind.QUORUM_LOST, Kind.ALL_LOST, Kind.LOCKED})


@dataclass(frozen=True)
class Diagnosis:
    """One kind, why, and who is concerned (names of nodes)."""

    kind: Kind
    evidence: tuple[str, ...]
    cluster_id: str | None = None
    missing: tuple[str, ...] = ()
    """Nodes known to be in no swarm: their machine is gone, or answers without swarm state, or with a log that a living swarm has outrun."""
    locked: tuple[str, ...] = ()
    """Managers that wait for the unlock key."""
    silent: tuple[str, ...] = ()
    """Nodes of which nothing is known: they may be dead, stopped or cut off from here."""

    @property
    def text(self) -> str:
        """The evidence, a line each."""
        return "\n".join(f"  {line}" for line in self.evidence)


def diagnose(survey: Survey, known_id: str | None, *, cluster: str, copies: bool) -> Diagnosis:
    """What is wrong with the cluster.

    ``known_id`` is the cluster ID from the stack file, the state or the copies, ``None`` when nobody knows
    one; ``cluster`` is its name; ``copies`` says whether S3 holds copies under that name.
    """
    led = [report for report in survey.managers if report.led]
    missing = tuple(r.node.name for r in survey.reports if r.known_lost or (led and r.left_over))
    silent = tuple(report.node.name for report in survey.reports if _may_hide(report))
    locked = tuple(report.node.name for report in survey.managers if report.state is LocalState.LOCKED)
    evidence = tuple(_says(report) for report in survey.reports)

    def found(kind: Kind, *first: str, cluster_id: str | None = known_id) -> Diagnosis:
        return Diagnosis(kind, first + evidence, cluster_id, missing, locked, silent)

    if strangers := [report for report in survey.reports if _is_foreign(report, known_id, cluster)]:
        return found(Kind.FOREIGN, *(_stranger(report, known_id) for report in strangers))
    if len(survey.leaders) > 1:
        shown = ", ".join(f"{leader} of {identity}" for identity, leader in sorted(survey.leaders))
        return found(Kind.FORKED, f"managers follow different leaders: {shown}")
    if led:
        cluster_id = led[0].cluster_id
        absent = [report.node.name for report in survey.managers if report not in led]
        hidden = {
            report.node.name
            for report in survey.managers
            if report.node.name in silent and any(m.reachable and m.stands_at(report.node) for m in led[0].members)
        }
        if not absent:
            return found(
                Kind.HEALTHY, f"one swarm, led by {_leader(led[0])}, all managers answer", cluster_id=cluster_id
            )
        if set(absent) <= hidden:
            return found(
                Kind.PARTITIONED,
                f"{', '.join(absent)}: not reached from here, but by the leader",
                cluster_id=cluster_id,
            )
        return found(Kind.MINORITY_LOST, f"the swarm has a leader; without {', '.join(absent)}", cluster_id=cluster_id)
    holders = [report for report in survey.managers if report.holds_raft]
    needed = quorum(len(survey.managers))
    if locked and len(holders) >= needed:
        return found(Kind.LOCKED, f"no leader; {', '.join(locked)} wait for the unlock key")
    if holders:
        waiting = "; an election may be under way, which takes up to 20 s" if survey.electing else ""
        return found(Kind.QUORUM_LOST, f"no leader; {len(holders)} of {needed} needed managers hold the log{waiting}")
    if not all(report.known_lost for report in survey.managers):
        return found(Kind.QUORUM_LOST, "no leader answers, and not every manager is known to be lost")
    orphans = [report.node.name for report in survey.workers if report.in_swarm]
    if copies or known_id or orphans:
        joined = f"; workers still in it: {', '.join(orphans)}" if orphans else ""
        return found(Kind.ALL_LOST, f"no manager holds the swarm any more{joined}")
    return found(Kind.ABSENT, "no node is in a swarm and S3 holds no copy")


def access_fault(survey: Survey) -> Report | None:
    """A node that is up and does not let us in: for the operator to mend before anything else. Managers first."""
    faults = (report for report in survey.managers + survey.workers if report.reach in ACCESS_FAULTS)
    return next(faults, None)


def _is_foreign(report: Report, known_id: str | None, cluster: str) -> bool:
    if not (report.in_swarm or report.left_over) or not report.cluster_id:
        return False
    return report.cluster_id != known_id if known_id else report.marked != cluster


def _may_hide(report: Report) -> bool:
    return report.reach in {Reach.SILENT, Reach.STOPPED, Reach.NO_ENGINE} | ACCESS_FAULTS


def _stranger(report: Report, known_id: str | None) -> str:
    whose = f"this cluster is {known_id}" if known_id else "nobody prepared it for this cluster"
    return f"{report.node.name} ({report.node.address}) belongs to swarm {report.cluster_id}; {whose}"


def _leader(report: Report) -> str:
    return next((member.hostname for member in report.members if member.leader), "nobody")


def _says(report: Report) -> str:
    name = report.node.name
    if report.reach is not Reach.ANSWERS:
        return f"{name}: {report.reach}" + (f" ({report.detail})" if report.detail else "")
    if not report.in_swarm:
        return f"{name}: up, in no swarm" + (", a log on its disk that nobody uses" if report.left_over else "")
    place = "manager with a leader" if report.led else "manager without a leader" if report.raft else "worker"
    return f"{name}: up, {report.state}, {place}"
