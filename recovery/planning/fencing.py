"""Decides whether a machine may be switched off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recovery.errors import Refused
from recovery.swarm.machines import Node
from recovery.swarm.model import Reach, Survey

if TYPE_CHECKING:
    from recovery.settings import Settings


OFF = frozenset({Reach.SILENT, Reach.STOPPED, Reach.ABSENT, Reach.NAMED})


def check(settings: Settings, seen: Survey, node: Node, *, lost: bool, force: bool) -> None:
    """Whether the node may be fenced: pure. Raises: Refused, with what to do instead."""
    doing, name = f"fencing {node.name}", node.name

    def refuse(why: str, remedy: str) -> Refused:
        return Refused(doing, why, remedy=remedy, node=name)

    report = seen.of(name)
    up = report.reach not in OFF
    if report.known_lost and up:
        raise refuse("it answers and is in no swarm: there is nothing to fence", "pulumi up")
    if lost and up:
        raise refuse(f"it is no lost machine: {report.reach}", "requorum doctor")
    if settings.hosts.driver == "existing" and not (lost or settings.hosts.fence):
        raise refuse(
            "no command is configured that switches a machine off",
            f"set requorum:hosts.fence; or see to it that the machine is off and stays off, then: requorum fence {name} --lost",
        )
    if report.reach is Reach.STOPPED and node.role == "manager" and seen.leader is None and not force:
        raise refuse(
            "it is stopped, and no manager answers with a leader: the swarm may have to be rebuilt from what its volume holds",
            f"docker start {name} (docker unpause {name} where it is paused); or, where that does not help: requorum fence {name} --force",
        )
    if not (up or heard(seen, node)):
        return
    state = f"it answers ({report.reach})" if up else "it does not answer here, but the leader reaches it"
    if not force:
        raise refuse(state, f"requorum doctor; to switch it off all the same: requorum fence {name} --force")
    if seen.leader is None:
        docker = settings.hosts.driver == "docker"
        off = (
            f"docker stop {name}, then requorum fence {name} --force"
            if docker
            else f"switch it off by hand, then requorum fence {name} --lost"
        )
        raise refuse(
            f"{state}, and no manager answers with a leader: the swarm may have to be rebuilt from what it holds",
            f"requorum doctor; where nothing of that helps: {off}",
        )
    if not seen.survives_without(node):
        raise refuse(f"{state}, and without it the quorum would be lost", "bring the other managers back first")


def heard(seen: Survey, node: Node) -> bool:
    """Whether the leader reaches the node, as far as it has noticed."""
    entry = seen.entry(node)
    return entry is not None and (entry.reachable if entry.votes else entry.ready)
