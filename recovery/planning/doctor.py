"""Commands that may repair an unhealthy node, least disruptive first. Pure: it only proposes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recovery.planning.access import advice
from recovery.planning.diagnosis import Diagnosis, Kind
from recovery.planning.fencing import heard, start
from recovery.planning.findings.finding import (
    NO_FENCE,
    NO_LEADER,
    NO_MANAGER,
    NO_QUORUM_LEFT,
    NOT_SEEN,
    RECOVER_FIRST,
    Finding,
    Proposal,
    Remedy,
)
from recovery.swarm.machines import Node
from recovery.swarm.model import ACCESS_FAULTS, ENTERED, LocalState, NodeReport, Reach, Survey
from recovery.swarm.raft import quorum
from recovery.swarm.votes import survives_outage

if TYPE_CHECKING:
    from recovery.settings import Settings


UNDECIDED = frozenset({Kind.FOREIGN, Kind.FORKED})
"""Diagnoses after which the operator must first decide which swarm a machine belongs to."""


def examine(settings: Settings, survey: Survey, diagnosis: Diagnosis) -> tuple[Finding, ...]:
    """Every unhealthy node, managers first."""
    if diagnosis.kind in UNDECIDED:
        return ()
    cases = []
    for report in survey.managers + survey.workers:
        if fault := trouble(report, survey):
            cases.append(Finding(report.node.name, fault, _proposals(settings, survey, report, diagnosis.kind)))
    return tuple(cases)


def trouble(report: NodeReport, survey: Survey) -> str:
    """What is wrong with a node that is or may be a member; empty if nothing is, or if the node is known to be lost."""
    node = report.node
    if report.full:
        return f"its disk is full, so that Docker's raft log stopped: {report.full}"
    if report.damage:
        return f"its raft log is damaged ({report.damage}), so that its engine is not in the swarm"
    if report.reach in ACCESS_FAULTS:
        return f"it is up, and Requorum cannot see into it: {report.reach}: {report.detail}"
    if report.reach in (Reach.SILENT, Reach.STOPPED):
        return f"it is {report.reach}" + (f": {report.detail}" if report.detail else "")
    if report.reach is Reach.NO_ENGINE:
        return "its Docker engine does not answer"
    if not report.in_swarm:
        return ""
    if report.state is not LocalState.ACTIVE:
        return f"its engine's swarm state is {report.state}" + (f": {report.detail}" if report.detail else "")
    entry = survey.entry(node)
    if entry is None:
        return ""
    if node.role == "worker":
        return "" if entry.ready else "it is up, but not Ready in the swarm"
    if not entry.votes:
        return "it is in the swarm, but has no vote"
    if not (entry.reachable and report.led):
        return "it is up, but the other managers do not reach it"
    return "" if entry.ready else "it votes, but is not Ready in the swarm"


def reconnect(names: str) -> str:
    """What to do about machines that the leader reaches and Requorum does not. One that has just died looks the same at first."""
    return (
        "wait 30 s, until the leader notices a machine that has died, then: requorum status. If the line stays, repair the "
        f"network from this machine to {names}"
    )


def cut_off(survey: Survey, report: NodeReport) -> bool:
    """Whether a silent machine runs: the leader reaches it. The leader's word may be some seconds old."""
    return report.reach is Reach.SILENT and heard(survey, report.node)


def standby(settings: Settings, survey: Survey) -> Node | None:
    """The worker to promote as a stand-in, preferably in a zone without a manager. None if no worker can stand in."""
    zones = {report.node.zone for report in survey.managers if report.led}
    candidates = [worker for worker in settings.workers if not objection(settings, survey, worker)]
    return next((worker for worker in candidates if worker.zone not in zones), next(iter(candidates), None))


def objection(settings: Settings, survey: Survey, worker: Node) -> str:
    """Why a node cannot stand in for a manager; empty if it can."""
    if worker.role != "worker":
        return f"{worker.name} is already a manager"
    if survey.leader is None:
        return "no manager reports a leader, and only a leader can promote a worker"
    entry = survey.entry(worker)
    if entry is None or not entry.ready or entry.availability != "active":
        return f"{worker.name} is not Ready and active in the swarm"
    if entry.votes:
        return f"{worker.name} already stands in for a manager"
    voters = [member for member in survey.leader.members if member.votes and member.reachable]
    if len(voters) >= len(settings.managers):
        return f"{len(voters)} managers vote, as many as the stack file names. A stand-in is not needed"
    return ""


def awaits_recovery(survey: Survey, report: NodeReport) -> bool:
    """Whether a manager is up and has its log, and so many others are known to be lost that only a recovery helps.

    A manager whose engine is down must be started first: its log can be read only then. One whose disk was full needs a
    restart first, too.
    """
    left = [one for one in survey.managers if not one.known_lost]
    survives = report.node.role == "manager" and report.reach is Reach.ANSWERS and report.holds_raft and not report.full
    return survives and survey.leader is None and len(left) < quorum(len(survey.managers))


def objection_to_restart(survey: Survey, report: NodeReport) -> str:
    """Why a node's engine or machine must not be restarted now; empty if it may."""
    if awaits_recovery(survey, report):
        return RECOVER_FIRST
    if survey.leader:
        return _risk(survey, report.node)
    return NO_MANAGER if report.in_swarm and not report.raft else ""


def _risk(survey: Survey, node: Node) -> str:
    """That the quorum would be lost without a node; empty if it would not, or if nobody reports a leader."""
    leader = survey.leader
    return NO_QUORUM_LEFT if leader and not survives_outage(node, leader.members, survey.told) else ""


def fence_command(settings: Settings, node: Node, *, up: bool) -> str:
    """The command that fences a node, or that declares it lost where Requorum cannot switch it off."""
    fence = f"requorum fence {node.name}" + (" --force" if up else "")
    declared = settings.hosts.driver != "docker" and not (settings.hosts.fence or up)
    return fence + (" --lost" if declared else "")


def _proposals(settings: Settings, survey: Survey, report: NodeReport, kind: Kind) -> tuple[Proposal, ...]:
    node, name, leader = report.node, report.node.name, survey.leader
    if report.full:
        effect = "lets Docker write its raft log again, and repair its last entry by itself"
        return (
            Proposal(Remedy.FREE, f"remove something from the disk of {name}, then: requorum restart {name}", effect),
        )
    if report.damage and leader:
        effect = "takes a safety copy, lets it give up the damaged log, and lets it rejoin under its own node ID"
        return (Proposal(Remedy.UPDATE, "pulumi up", effect),)
    if report.damage:
        effect = "shows what a repaired log would give back, and forces nothing without the plan's ID"
        return (Proposal(Remedy.RECOVER, "requorum plan", effect),)
    if report.reach in ACCESS_FAULTS:
        return (Proposal(Remedy.ACCESS, advice(report, settings.ssh).remedy, "lets Requorum see into it"),)
    if report.state is LocalState.LOCKED:
        if kind is Kind.QUORUM_LOST:  # if a person unlocks it without a quorum, its engine blocks until a restart
            effect = "shows whether the plan unlocks it with the key in escrow and forces a new cluster from it"
            return (Proposal(Remedy.UNLOCK, "requorum plan", effect),)
        return (Proposal(Remedy.UNLOCK, "pulumi up", "unlocks it with the key in escrow, so that it takes part again"),)
    if cut_off(survey, report):
        effect = "lets Requorum see into it. Nothing is to be done on the machine, because the leader reaches it"
        return (Proposal(Remedy.ACCESS, reconnect(f"{name} ({node.address})"), effect),)
    entry = survey.entry(node)
    if node.role == "manager" and report.reach is Reach.ANSWERS and entry and not entry.votes:
        return (Proposal(Remedy.UPDATE, "pulumi up", "lets it rejoin under its own node ID"),)
    pointless = objection_to_restart(survey, report)
    up = report.reach in ENTERED
    stops = ". Its containers stop, and swarm starts their tasks again"
    later = " once a manager leads" if leader is None else ""
    halts = f"{stops}{later}" if node.role == "worker" else ""
    mild = (
        (
            Proposal(Remedy.RESTART, f"requorum restart {name}", f"restarts its Docker engine{halts}", pointless),
            Proposal(Remedy.REBOOT, f"requorum reboot {name}", f"restarts the machine{halts}", pointless),
        )
        if up
        else (Proposal(Remedy.START, start(settings, node), "brings it back with its own state"),)
    )
    holds = up or (node.role == "manager" and report.reach is Reach.STOPPED)
    return (
        *mild,
        _replacement(settings, node, up, _risk(survey, node) or _objection_without_leader(survey, holds)),
        *_promotion(settings, survey, node),
    )


def _objection_without_leader(survey: Survey, holds: bool) -> str:
    """Why no machine may be replaced while nobody reports a leader; empty if it may, or if somebody does."""
    if survey.leader:
        return ""
    if any(report.reach in ACCESS_FAULTS for report in survey.managers):
        return NOT_SEEN
    return NO_LEADER if holds else ""


def _replacement(settings: Settings, node: Node, up: bool, refused: str) -> Proposal:
    fence = fence_command(settings, node, up=up)
    if settings.hosts.driver != "docker" and up and not settings.hosts.fence:
        refused = refused or NO_FENCE
    if not settings.hosts.made:
        return Proposal(
            Remedy.REPLACE,
            f"{fence}; a fresh machine at {node.address}; pulumi up",
            "switches the machine off. A fresh machine joins as this node",
            refused,
        )
    effect = "makes the machine again. The new machine joins as this node"
    return Proposal(Remedy.REPLACE, f"{fence}; pulumi up", effect, refused)


def _promotion(settings: Settings, survey: Survey, node: Node) -> tuple[Proposal, ...]:
    worker = standby(settings, survey) if node.role == "manager" else None
    if worker is None:
        return ()
    effect = "lets a worker stand in until every manager is back. The next pulumi up then demotes it"
    return (Proposal(Remedy.PROMOTE, f"requorum promote {worker.name}", effect),)
