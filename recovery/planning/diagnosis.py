"""From what the nodes say to what is wrong: pure, and with its evidence in words."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from recovery.swarm.model import ACCESS_FAULTS, LocalState, NodeReport, Reach, Survey
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
    away: tuple[str, ...] = ()
    """Nodes named lost: nothing is to be expected of them, and no machine is there to be joined."""
    stand_ins: tuple[str, ...] = ()
    """Workers of the settings that hold the swarm's log: they were promoted."""
    unfinished: tuple[str, ...] = ()
    """Nodes whose return to a swarm with a leader broke off: a manager without a vote, or two entries of one node."""
    misplaced: tuple[str, ...] = ()
    """Managers that vote at an address of before, after a new cluster was forced elsewhere."""
    stranded: tuple[str, ...] = ()
    """Workers in the swarm that know only addresses at which there is no manager any more."""
    warnings: tuple[str, ...] = ()
    """What the operator should know whatever the kind is: words that count, identities that are used twice."""

    @property
    def left_alone(self) -> tuple[str, ...]:
        """Nodes that nothing can be done to."""
        return self.silent + self.away

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
    missing = tuple(
        r.node.name for r in survey.reports if (r.known_lost and r.reach is not Reach.NAMED) or (led and r.left_over)
    )
    away = tuple(report.node.name for report in survey.reports if report.reach is Reach.NAMED)
    stand_ins = tuple(report.node.name for report in survey.workers if report.holds_raft)
    waits = "; it rejoins once a machine answers at its address"
    named = tuple(
        f"{r.node.name} is {r.named}{waits if r.node.name in away else ''}" for r in survey.reports if r.named
    )
    warnings = named + doubles(survey) + unnamed(survey)
    silent = tuple(report.node.name for report in survey.reports if _may_hide(report))
    locked = tuple(report.node.name for report in survey.managers if report.state is LocalState.LOCKED)
    unfinished = tuple(report.node.name for report in survey.reports if _is_unfinished(report, survey.leader))
    misplaced = tuple(survey.misplaced)
    stranded = tuple(report.node.name for report in survey.stranded)
    evidence = (*_lost_zones(survey, missing), *(_says(report) for report in survey.reports))

    def found(kind: Kind, *first: str, cluster_id: str | None = known_id) -> Diagnosis:
        return Diagnosis(
            kind,
            first + evidence,
            cluster_id,
            missing,
            locked,
            silent,
            away,
            stand_ins,
            unfinished,
            misplaced,
            stranded,
            warnings,
        )

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
    if stand_ins:
        standing = f"{', '.join(stand_ins)}, promoted to stand in for a manager, may hold the log too"
        return found(Kind.QUORUM_LOST, f"no leader; {standing}")
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


def doubles(survey: Survey) -> tuple[str, ...]:
    """Identities that two machines use: an old machine came back after its node was given to a new one.

    The leader then hears of one node ID from two addresses in turn (moby#46167); or two nodes name the same ID.
    """
    members = survey.leader.members if survey.leader else ()
    runbook = "docs/runbooks/old-manager-returned.md"
    heard = tuple(
        f"{report.node.name}: the leader hears its node ID {entry.node_id} from {entry.address}, not from "
        f"{report.node.address}: an old machine with this identity is on again there; {runbook}"
        for report in survey.reports
        for entry in members
        if entry.address not in ("", str(report.node.address))
        and (entry.node_id == report.node_id or (entry.votes and entry.stands_at(report.node)))
    )
    ids: dict[str, list[str]] = {}
    for report in survey.reports:
        if report.in_swarm and report.node_id:
            ids.setdefault(report.node_id, []).append(report.node.name)
    shared = ((node_id, names) for node_id, names in ids.items() if len(names) > 1)
    return heard + tuple(f"{' and '.join(names)} use one node ID, {node_id}; {runbook}" for node_id, names in shared)


def unnamed(survey: Survey) -> tuple[str, ...]:
    """Managers that vote and that nobody asks, since the stack file does not name them."""
    return tuple(
        f"{entry.hostname} at {entry.raft_address} votes and is no node of the stack file, so no recovery looks at it: name it in "
        f"requorum:managers, or docker node demote {entry.node_id}"
        for entry in (survey.leader.members if survey.leader else ())
        if entry.votes and not any(entry.stands_at(report.node) for report in survey.reports)
    )


def access_fault(survey: Survey) -> NodeReport | None:
    """A node that is up and does not let us in: for the operator to mend before anything else. Managers first."""
    faults = (report for report in survey.managers + survey.workers if report.reach in ACCESS_FAULTS)
    return next(faults, None)


def _is_foreign(report: NodeReport, known_id: str | None, cluster: str) -> bool:
    if not (report.in_swarm or report.left_over) or not report.cluster_id:
        return False
    return report.cluster_id != known_id if known_id else report.marked != cluster


def _may_hide(report: NodeReport) -> bool:
    return report.reach in {Reach.SILENT, Reach.STOPPED, Reach.NO_ENGINE} | ACCESS_FAULTS


def _lost_zones(survey: Survey, missing: tuple[str, ...]) -> Iterator[str]:
    """Zones of which nothing is left while there is something elsewhere."""
    zones: dict[str, list[str]] = {}
    for report in survey.reports:
        zones.setdefault(report.node.zone, []).append(report.node.name)
    lost = {zone: names for zone, names in zones.items() if set(names) <= set(missing)}
    if len(lost) < len(zones):
        yield from (f"zone {zone} is lost: {', '.join(names)}" for zone, names in lost.items())


def _is_unfinished(report: NodeReport, leader: NodeReport | None) -> bool:
    if leader is None or not report.in_swarm:
        return False
    entries = [member for member in leader.members if member.stands_at(report.node)]
    votes = any(member.votes for member in entries if member.node_id == report.node_id)
    return len(entries) > 1 or (report.node.role == "manager" and bool(entries) and not votes)


def _stranger(report: NodeReport, known_id: str | None) -> str:
    whose = f"this cluster is {known_id}" if known_id else "nobody prepared it for this cluster"
    return f"{report.node.name} ({report.node.address}) belongs to swarm {report.cluster_id}; {whose}"


def _leader(report: NodeReport) -> str:
    return next((member.hostname for member in report.members if member.leader), "nobody")


def _says(report: NodeReport) -> str:
    name = report.node.name
    if report.reach is not Reach.ANSWERS:
        detail = report.named or report.detail
        return f"{name}: {report.reach}" + (f" ({detail})" if detail else "")
    if not report.in_swarm:
        return f"{name}: up, in no swarm" + (", a log on its disk that nobody uses" if report.left_over else "")
    place = "manager with a leader" if report.led else "manager without a leader" if report.raft else "worker"
    return f"{name}: up, {report.state}, {place}"
