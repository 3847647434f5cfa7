"""Decides whether a machine may be switched off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recovery.errors import Refused
from recovery.swarm.machines import Node
from recovery.swarm.model import ACCESS_FAULTS, NodeReport, Reach, Survey
from recovery.swarm.votes import survives_outage

if TYPE_CHECKING:
    from recovery.settings import Settings


OFF = frozenset({Reach.SILENT, Reach.STOPPED, Reach.ABSENT, Reach.NAMED})


def check(settings: Settings, survey: Survey, node: Node, *, lost: bool, force: bool) -> None:
    """Check that the node may be fenced. Pure. Raises: Refused, with the command to run instead."""
    name = node.name

    def refuse(why: str, remedy: str, *, code: str) -> Refused:
        return Refused("fencing it", why, remedy=remedy, node=name, code=code)

    report = survey.of(name)
    up = report.reach not in OFF
    answer = "it answers" if report.reach is Reach.ANSWERS else f"it is up ({report.reach})"
    if report.known_lost and up:
        raise refuse("it answers and is in no swarm. There is nothing to fence", "pulumi up", code="nothing-to-fence")
    if lost and up:
        raise refuse(f"{answer}, so it is not lost", "requorum doctor", code="not-lost")
    if settings.hosts.driver != "docker" and not (lost or settings.hosts.fence):
        raise refuse(
            "requorum:hosts.fence is not set, so Requorum cannot switch the machine off",
            f"set requorum:hosts.fence. Or switch the machine off yourself, then: requorum fence {name} --lost",
            code="no-fence-command",
        )
    if report.reach is Reach.STOPPED and node.role == "manager" and survey.leader is None and not force:
        raise refuse(
            "it is stopped, and no manager reports a leader. The swarm may have to be rebuilt from its volume",
            f"{start(settings, node)}. If the machine does not come back: requorum fence {name} --force",
            code="may-hold-swarm",
        )
    if not (up or heard(survey, node)):
        return
    state = answer if up else "it does not answer this machine, but the leader reaches it"
    if not force:
        raise refuse(state, f"requorum doctor. To switch it off anyway: requorum fence {name} --force", code="not-lost")
    if survey.leader is None:
        raise refuse(
            f"{state}, and no manager reports a leader. The swarm may have to be rebuilt from this machine",
            _repair(settings, report),
            code="may-hold-swarm",
        )
    if not survives_outage(node, survey.leader.members, survey.told):
        raise refuse(
            f"{state}, and without it the quorum would be lost",
            "repair the other managers first: requorum doctor",
            code="quorum-at-risk",
        )


def _repair(settings: Settings, report: NodeReport) -> str:
    """What to do instead about a machine that is up while no manager reports a leader."""
    if report.reach in ACCESS_FAULTS:
        return "repair the access to it: requorum doctor"
    name = report.node.name
    if settings.hosts.driver == "docker":
        off = f"docker stop {name}, then requorum fence {name} --force"
    else:
        off = f"switch it off by hand, then requorum fence {name} --lost"
    return f"requorum doctor. If none of its commands helps: {off}"


def heard(survey: Survey, node: Node) -> bool:
    """Whether the leader's node list shows a manager as Reachable, or a worker as Ready. The list may be some seconds old."""
    entry = survey.entry(node)
    return entry is not None and (entry.reachable if entry.votes else entry.ready)


def start(settings: Settings, node: Node) -> str:
    """How to start a machine that is off."""
    if settings.hosts.driver == "docker":
        return f"docker start {node.name} (docker unpause {node.name} if it is paused)"
    return f"switch on {node.name} ({node.address}), or repair its network"
