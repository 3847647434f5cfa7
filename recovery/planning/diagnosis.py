"""Decides from the nodes' answers what is wrong, and gives the evidence in words. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from recovery.planning.entries import stale
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
    """What is wrong, the evidence, and the names of the affected nodes."""

    kind: Kind
    evidence: tuple[str, ...]
    cluster_id: str | None = None
    missing: tuple[str, ...] = ()
    """Nodes that are known to be in no swarm. Their machine is gone, or has no swarm state, or has an outdated log."""
    locked: tuple[str, ...] = ()
    """Managers that wait for the unlock key."""
    silent: tuple[str, ...] = ()
    """Nodes whose state is unknown: they may be dead, stopped or cut off from this machine."""
    away: tuple[str, ...] = ()
    """Nodes that are declared lost. They have no machine that could join."""
    stand_ins: tuple[str, ...] = ()
    """Workers of the settings that were promoted and hold the raft log."""
    unfinished: tuple[str, ...] = ()
    """Nodes whose return to the swarm was interrupted: a manager without a vote, or a node with two entries."""
    misplaced: tuple[str, ...] = ()
    """Managers that vote under an old address, after a new cluster was forced at another one."""
    stranded: tuple[str, ...] = ()
    """Workers in the swarm that know only addresses without a manager."""
    gone: tuple[str, ...] = ()
    """Nodes whose machine does not exist, as the host driver reports."""
    left_behind: tuple[str, ...] = ()
    """Managers that a forced new cluster left behind."""
    old_logs: tuple[str, ...] = ()
    """Managers with a log that no swarm goes on from: those left behind, and those in no swarm."""
    unproven: tuple[str, ...] = ()
    """Managers that a restore made, and that nobody compared with the copy since: the leader, or all without one."""
    opened: tuple[str, ...] = ()
    """Managers of a swarm with a leader whose key file Requorum opened: autolock is to be switched on again."""
    warnings: tuple[str, ...] = ()
    """Warnings that do not depend on the kind: valid declarations of loss, and node IDs that two machines use."""

    @property
    def left_alone(self) -> tuple[str, ...]:
        """Nodes that Requorum does not change."""
        return self.silent + self.away

    @property
    def text(self) -> str:
        """The evidence, a line each."""
        return "\n".join(f"  {line}" for line in self.evidence)


def diagnose(survey: Survey, known_id: str | None, *, cluster: str, copies: bool) -> Diagnosis:
    """Decide what is wrong with the cluster.

    ``known_id`` is the cluster ID from the stack file, the state or the copies, or None if no source has one.
    ``cluster`` is the cluster's name. ``copies`` says whether S3 has copies under that name.
    """
    led = [report for report in survey.managers if report.led]
    missing = tuple(
        r.node.name for r in survey.reports if (r.known_lost and r.reach is not Reach.NAMED) or (led and r.left_over)
    )
    away = tuple(report.node.name for report in survey.reports if report.reach is Reach.NAMED)
    stand_ins = tuple(report.node.name for report in survey.workers if report.holds_raft)
    waits = ". It rejoins when a machine answers at its address"
    named = tuple(
        f"{r.node.name} is {r.named}{waits if r.node.name in away else ''}" for r in survey.reports if r.named
    )
    warnings = named + doubles(survey) + unnamed(survey)
    silent = tuple(report.node.name for report in survey.reports if _may_hide(report))
    locked = tuple(report.node.name for report in survey.managers if report.state is LocalState.LOCKED)
    unfinished = tuple(report.node.name for report in survey.reports if _is_unfinished(report, survey))
    misplaced = tuple(survey.misplaced)
    stranded = tuple(report.node.name for report in survey.stranded)
    gone = tuple(report.node.name for report in survey.reports if report.reach is Reach.ABSENT)
    left_behind = tuple(report.node.name for report in survey.managers if _is_orphan(report, survey.leader))
    old_logs = tuple(r.node.name for r in survey.reports if r.left_over or (r.raft and r.node.name in left_behind))
    unproven = tuple(r.node.name for r in survey.managers if r.in_swarm and r.placed and survey.leader in (None, r))
    opened = tuple(r.node.name for r in survey.managers if led and r.in_swarm and r.opened)
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
            gone,
            left_behind,
            old_logs,
            unproven,
            opened,
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
                Kind.HEALTHY, f"the swarm has leader {_leader(led[0])}, and all managers answer", cluster_id=cluster_id
            )
        if set(absent) <= hidden:
            return found(
                Kind.PARTITIONED,
                f"the leader reaches {', '.join(absent)}, but this machine does not",
                cluster_id=cluster_id,
            )
        return found(
            Kind.MINORITY_LOST, f"the swarm has a leader, but lacks {', '.join(absent)}", cluster_id=cluster_id
        )
    holders = [report for report in survey.managers if report.holds_raft]
    needed = quorum(len(survey.managers))
    if locked and len(holders) >= needed:
        return found(Kind.LOCKED, f"no leader. These managers wait for the unlock key: {', '.join(locked)}")
    if stand_ins:
        return found(
            Kind.QUORUM_LOST, f"no leader. These promoted workers may hold the raft log: {', '.join(stand_ins)}"
        )
    if holders:
        waiting = ". An election may be under way, which takes up to 20 s" if survey.electing else ""
        held = f"{len(holders)} of the {needed} needed managers {'hold' if len(holders) > 1 else 'holds'} the raft log"
        return found(Kind.QUORUM_LOST, f"no leader. {held}{waiting}")
    if not all(report.known_lost for report in survey.managers):
        return found(Kind.QUORUM_LOST, "no leader answers. Not every manager is known to be lost")
    orphans = [report.node.name for report in survey.workers if report.in_swarm]
    if copies or known_id or orphans:
        joined = f". Workers that are still in it: {', '.join(orphans)}" if orphans else ""
        return found(Kind.ALL_LOST, f"no manager holds the swarm any more{joined}")
    return found(Kind.ABSENT, "no node is in a swarm, and S3 has no copy")


def doubles(survey: Survey) -> tuple[str, ...]:
    """Warnings about node IDs that two machines use: an old machine came back after a new one took its place.

    Then the leader hears from the node ID at two addresses in turn (moby#46167), or two nodes name the same ID.
    """
    members = survey.leader.members if survey.leader else ()
    runbook = "docs/runbooks/old-manager-returned.md"
    heard = tuple(
        f"{report.node.name}: its node ID {entry.node_id} reports to the leader from {entry.address}, not from "
        f"{report.node.address}. An old machine with the same identity is on again. next: see {runbook}"
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
    return heard + tuple(
        f"{' and '.join(names)} use the same node ID {node_id}. next: see {runbook}" for node_id, names in shared
    )


def unnamed(survey: Survey) -> tuple[str, ...]:
    """Warnings about voting managers that Requorum does not ask, because the stack file does not name them."""
    return tuple(
        f"{entry.hostname} at {entry.raft_address} is a voting manager that the stack file does not name. "
        f"A recovery does not look at it. next: add it to requorum:managers, or docker node demote {entry.node_id}"
        for entry in (survey.leader.members if survey.leader else ())
        if entry.votes and not any(entry.stands_at(report.node) for report in survey.reports)
    )


def access_fault(survey: Survey) -> NodeReport | None:
    """A node that is up but does not let Requorum log in, managers first. The operator must repair the access first."""
    faults = (report for report in survey.managers + survey.workers if report.reach in ACCESS_FAULTS)
    return next(faults, None)


def _is_foreign(report: NodeReport, known_id: str | None, cluster: str) -> bool:
    if not (report.in_swarm or report.left_over) or not report.cluster_id:
        return False
    return report.cluster_id != known_id if known_id else report.marked != cluster


def _may_hide(report: NodeReport) -> bool:
    return report.reach in {Reach.SILENT, Reach.STOPPED, Reach.NO_ENGINE} | ACCESS_FAULTS


def _lost_zones(survey: Survey, missing: tuple[str, ...]) -> Iterator[str]:
    """Zones whose nodes are all lost, if another zone has nodes left."""
    zones: dict[str, list[str]] = {}
    for report in survey.reports:
        zones.setdefault(report.node.zone, []).append(report.node.name)
    lost = {zone: names for zone, names in zones.items() if set(names) <= set(missing)}
    if len(lost) < len(zones):
        yield from (f"zone {zone} is lost: {', '.join(names)}" for zone, names in lost.items())


def _is_unfinished(report: NodeReport, survey: Survey) -> bool:
    leader = survey.leader
    if leader is None or not report.in_swarm:
        return False
    entries = [member for member in leader.members if member.stands_at(report.node)]
    votes = any(member.votes for member in entries if member.node_id == report.node_id)
    old = stale(leader.members, report.node, report.node_id, survey.nodes)
    doubled = len(entries) > 1 or any(not entry.stands_at(report.node) for entry in old)
    return doubled or (report.node.role == "manager" and bool(entries) and not votes)


def _is_orphan(report: NodeReport, leader: NodeReport | None) -> bool:
    return leader is not None and report.is_left_behind(leader)


def _stranger(report: NodeReport, known_id: str | None) -> str:
    whose = f"This cluster is swarm {known_id}" if known_id else "It was not prepared for this cluster"
    return f"{report.node.name} ({report.node.address}) belongs to swarm {report.cluster_id}. {whose}"


def _leader(report: NodeReport) -> str:
    return next((member.hostname for member in report.members if member.leader), "nobody")


def _says(report: NodeReport) -> str:
    name = report.node.name
    if report.reach is not Reach.ANSWERS:
        detail = report.named or report.detail
        return f"{name}: {report.reach}" + (f" ({detail})" if detail else "")
    if not report.in_swarm:
        return f"{name}: up, in no swarm" + (", with an unused raft log on its disk" if report.left_over else "")
    place = "manager with a leader" if report.led else "manager without a leader" if report.raft else "worker"
    return f"{name}: up, {report.state}, {place}"
