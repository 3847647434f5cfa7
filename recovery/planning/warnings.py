"""Warnings that do not depend on the diagnosis: declarations of loss, node IDs that two machines use, unnamed managers."""

from datetime import datetime

from recovery.swarm import rotation
from recovery.swarm.entries import entries_of, of_nobody
from recovery.swarm.maintenance import DRAINED, Maintenance
from recovery.swarm.model import ACCESS_FAULTS, NodeReport, Reach, Survey

OLD_MANAGER = "docs/runbooks/old-manager-returned.md"


def warnings(survey: Survey) -> tuple[str, ...]:
    """Every warning about the nodes of a survey."""
    return (
        declared_lost(survey)
        + doubles(survey)
        + unnamed(survey)
        + unseen(survey)
        + maintained(survey)
        + rotated(survey)
    )


def rotated(survey: Survey) -> tuple[str, ...]:
    """Warnings about certificates that end soon, and about rotations that are not finished."""
    leader, now = survey.leader, survey.taken
    found = [
        _certificate(report.node.name, report.certificate.ends, now)
        for report in survey.reports
        if report.in_swarm and report.certificate and report.certificate.is_overdue(now)
    ]
    if leader and leader.ca and leader.ca.is_near_end(now):
        found.append(f"the swarm's CA ends at {leader.ca.ends:%Y-%m-%d %H:%M} UTC. next: requorum rotate ca")
    if leader and leader.swarm and leader.swarm.rotating:
        found.append(
            "the swarm's CA is being rotated, and nodes still lack a new certificate. next: requorum rotate ca"
        )
    if leader and leader.swarm and rotation.is_noted(leader.swarm.spec):
        found.append("the unlock key was rotated, and may not be in escrow. next: requorum rotate unlock-key")
    return tuple(found)


def _certificate(name: str, ends: datetime, now: datetime) -> str:
    """The warning about a certificate that the swarm has not renewed. No engine starts with one that has ended."""
    if ends <= now:
        return f"{name}: its certificate ended at {ends:%Y-%m-%d %H:%M} UTC. Do not restart its engine. next: requorum doctor"
    until = f"its certificate ends at {ends:%Y-%m-%d %H:%M} UTC, and the swarm has not renewed it"
    return f"{name}: {until}. next: requorum restart {name}"


def maintained(survey: Survey) -> tuple[str, ...]:
    """Warnings about nodes whose maintenance should have ended, or that are not drained although they are in maintenance."""
    found = []
    for node in survey.nodes:
        entry = survey.entry(node)
        if entry is None or (kept := Maintenance.of(entry)) is None:
            continue
        undrain = f"next: requorum undrain {node.name}"
        if entry.availability != DRAINED:
            found.append(f"{node.name} is in maintenance, but somebody made it {entry.availability}. {undrain}")
        elif kept.is_over(survey.taken):
            found.append(f"{node.name} is drained, although its {kept.text} is over. {undrain}")
    return tuple(found)


def unseen(survey: Survey) -> tuple[str, ...]:
    """Warnings about nodes that Requorum cannot see into while the swarm has a leader."""
    reports = survey.managers + survey.workers if survey.leader else ()
    return tuple(
        f"{report.node.name} is not seen from here: {report.reach} ({report.detail})"
        for report in reports
        if report.reach in ACCESS_FAULTS
    )


def declared_lost(survey: Survey) -> tuple[str, ...]:
    """The valid declarations of loss, in words."""
    waits = ". It rejoins when a machine answers at its address"
    return tuple(
        f"{report.node.name} is {report.named}{waits if report.reach is Reach.NAMED else ''}"
        for report in survey.reports
        if report.named
    )


def doubles(survey: Survey) -> tuple[str, ...]:
    """Warnings about node IDs that two machines use: an old machine came back after a new one replaced it.

    Then the node ID reports to the leader from two addresses in turn (moby#46167), or two nodes report the same ID.
    """
    return _heard_elsewhere(survey) + _shared(survey)


def unnamed(survey: Survey) -> tuple[str, ...]:
    """Warnings about voting managers that Requorum does not survey, because the stack file does not name them."""
    return tuple(
        f"{entry.hostname} at {entry.raft_address} is a voting manager that the stack file does not name. "
        f"A recovery does not survey it. next: add it to requorum:managers, or docker node demote {entry.node_id}"
        for entry in of_nobody(survey.nodes, survey.leader.members if survey.leader else (), survey.told)
        if entry.votes
    )


UNTOLD = ("", "0.0.0.0", "::")  # noqa: S104 - an entry's, and not bound to
"""The address of an entry whose node has not reported, or reports to itself."""


def _addresses(report: NodeReport) -> tuple[str, ...]:
    """The node's own addresses, as far as it tells."""
    return (report.advertised, *(report.on_node.addresses if report.on_node else ()))


def _heard_elsewhere(survey: Survey) -> tuple[str, ...]:
    """Warnings about managers whose ID reports to the leader from an address that is not theirs.

    A worker may well be heard from another address than the settings name: its identity is in no copy.
    """
    return tuple(
        f"{report.node.name}: its node ID {entry.node_id} reports to the leader from {entry.address}, not from "
        f"{report.node.address}. Another machine with the same identity runs. next: see {OLD_MANAGER}"
        for report in survey.managers
        for entry in entries_of(report.node, survey.leader.members if survey.leader else (), survey.told)
        if entry.address not in (*UNTOLD, str(report.node.address), *_addresses(report))
    )


def _shared(survey: Survey) -> tuple[str, ...]:
    """Warnings about node IDs that several nodes report as their own."""
    names: dict[str, list[str]] = {}
    for report in survey.reports:
        if report.in_swarm and report.node_id:
            names.setdefault(report.node_id, []).append(report.node.name)
    return tuple(
        f"{' and '.join(owners)} use the same node ID {node_id}. next: see {OLD_MANAGER}"
        for node_id, owners in names.items()
        if len(owners) > 1
    )
