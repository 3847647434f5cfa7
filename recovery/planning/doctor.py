"""What can be done about a node that is up and unhealthy, the mildest first: pure. Nothing here is ever done unasked."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from recovery.planning.diagnosis import Diagnosis, Kind
from recovery.swarm.machines import Node
from recovery.swarm.model import LocalState, NodeReport, Reach, Survey

if TYPE_CHECKING:
    from recovery.settings import Settings


UNDECIDED = frozenset({Kind.FOREIGN, Kind.FORKED})
"""Whose machine it is must be decided before anything is done to one."""
NO_QUORUM_LEFT = "the quorum would be lost"
NO_LEADER = "no manager answers with a leader: it may hold what the swarm is rebuilt from"


class Remedy(StrEnum):
    """What a proposal is."""

    START = "start"
    UNLOCK = "unlock"
    UPDATE = "update"
    RESTART = "restart"
    REBOOT = "reboot"
    REPLACE = "replace"
    PROMOTE = "promote"


@dataclass(frozen=True)
class Proposal:
    """One thing to try, by its exact command; ``refused`` says why it cannot be done now."""

    remedy: Remedy
    command: str
    effect: str
    refused: str = ""


@dataclass(frozen=True)
class Finding:
    """A node, what ails it, and what can be tried, in this order."""

    node: str
    trouble: str
    proposals: tuple[Proposal, ...]


def examine(settings: Settings, survey: Survey, diagnosis: Diagnosis) -> tuple[Finding, ...]:
    """Every node that ails, managers first."""
    if diagnosis.kind in UNDECIDED:
        return ()
    cases = []
    for report in survey.managers + survey.workers:
        if ailment := trouble(report, survey):
            cases.append(Finding(report.node.name, ailment, _proposals(settings, survey, report, diagnosis.kind)))
    return tuple(cases)


def trouble(report: NodeReport, survey: Survey) -> str:
    """What ails a node that is a member or may be one; empty when nothing does, or when it is known to be lost."""
    node = report.node
    if report.reach in (Reach.SILENT, Reach.STOPPED):
        return f"{report.reach}: {report.detail}"
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
        return "" if entry.ready else "it is up, and not Ready in the swarm"
    if not entry.votes:
        return "it is in the swarm without a vote"
    return "" if entry.reachable and report.led else "it is up, and the other managers do not reach it"


def standby(settings: Settings, survey: Survey) -> Node | None:
    """The worker to promote for want of a manager: one without objection, of a zone that has no manager where there is one."""
    zones = {report.node.zone for report in survey.managers if report.led}
    able = [worker for worker in settings.workers if not objection(settings, survey, worker)]
    return next((worker for worker in able if worker.zone not in zones), next(iter(able), None))


def objection(settings: Settings, survey: Survey, worker: Node) -> str:
    """Why a node must not be promoted to stand in for a manager; empty when it may."""
    if worker.role != "worker":
        return f"{worker.name} is a manager already"
    if survey.leader is None:
        return "no manager answers with a leader, and only a leader can promote"
    entry = survey.entry(worker)
    if entry is None or not entry.ready or entry.availability != "active":
        return f"{worker.name} is not Ready and active in the swarm"
    if entry.votes:
        return f"{worker.name} stands in for a manager already"
    voters = [member for member in survey.leader.members if member.votes and member.reachable]
    if len(voters) >= len(settings.managers):
        return "as many managers vote as there should be: there is nobody to stand in for"
    return ""


def _proposals(settings: Settings, survey: Survey, report: NodeReport, kind: Kind) -> tuple[Proposal, ...]:
    node, name, led = report.node, report.node.name, survey.leader is not None
    if report.state is LocalState.LOCKED:
        if kind is Kind.QUORUM_LOST:  # there an engine that is given its key by hand is blocked until it is restarted
            effect = "the plan says whether its log is opened with the key in escrow, and a new cluster forced from it"
            return (Proposal(Remedy.UNLOCK, "pulumi preview --config recover=true", effect),)
        return (Proposal(Remedy.UNLOCK, "pulumi up", "it is opened with the key in escrow, and takes part again"),)
    entry = survey.entry(node)
    if node.role == "manager" and report.reach is Reach.ANSWERS and entry and not entry.votes:
        return (Proposal(Remedy.UPDATE, "pulumi up", "it rejoins under its own identity"),)
    risk = NO_QUORUM_LEFT if led and not survey.survives_without(node) else ""
    up = report.reach in (Reach.ANSWERS, Reach.NO_ENGINE)
    halts = "; its containers end and are started again, here or elsewhere" if node.role == "worker" else ""
    mild = (
        (
            Proposal(Remedy.RESTART, f"requorum restart {name}", f"the Docker engine is restarted{halts}", risk),
            Proposal(Remedy.REBOOT, f"requorum reboot {name}", f"the machine is restarted{halts}", risk),
        )
        if up
        else (Proposal(Remedy.START, _start(settings, node), "it takes part again as it was"),)
    )
    holds = up or (node.role == "manager" and report.reach is Reach.STOPPED)
    return (
        *mild,
        _replacement(settings, node, up, risk or (NO_LEADER if holds and not led else "")),
        *_promotion(settings, survey, node),
    )


def _start(settings: Settings, node: Node) -> str:
    if settings.hosts.driver == "docker":
        return f"docker start {node.name} (docker unpause {node.name} where it is paused)"
    return f"switch {node.name} ({node.address}) on, or mend its network"


def _replacement(settings: Settings, node: Node, up: bool, refused: str) -> Proposal:
    fence = f"requorum fence {node.name}" + (" --force" if up else "")
    if settings.hosts.driver == "existing":
        fence += "" if settings.hosts.fence or up else " --lost"
        return Proposal(
            Remedy.REPLACE,
            f"{fence}; a fresh machine at {node.address}; pulumi up",
            "the machine is switched off and another rejoins in its place",
            refused or ("requorum:hosts.fence is not set" if up and not settings.hosts.fence else ""),
        )
    return Proposal(Remedy.REPLACE, f"{fence}; pulumi up", "the machine is made anew and rejoins in its place", refused)


def _promotion(settings: Settings, survey: Survey, node: Node) -> tuple[Proposal, ...]:
    worker = standby(settings, survey) if node.role == "manager" else None
    if worker is None:
        return ()
    effect = "it stands in until every manager is back; the next pulumi up then demotes it"
    return (Proposal(Remedy.PROMOTE, f"requorum promote {worker.name}", effect),)
