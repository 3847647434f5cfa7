"""Restarts engines of managers that do not listen for gossip."""

from collections.abc import Sequence
from time import monotonic, sleep

from recovery.errors import RequorumError
from recovery.node.engine import RESTART
from recovery.node.ssh import Shell
from recovery.progress import Say
from recovery.settings import Settings
from recovery.steps import journal, unlock, votes
from recovery.survey.nodes import ask, stable_survey
from recovery.survey.workload import PAUSE, await_gossip, node_workloads, without_gossip
from recovery.swarm.machines import Node
from recovery.swarm.model import LocalState
from recovery.swarm.votes import may_restart


def reopen(settings: Settings, nodes: Sequence[Node], *, say: Say) -> bool:
    """Restart the engines of managers that do not listen for gossip, one after the other; whether any was restarted.

    Where one was, somebody else may lead by now, who has heard of no node yet: what was seen of the swarm before is worth
    nothing. Raises: as `unlock.start`, of one that came up locked; TransportError.
    """
    managers = [node for node in nodes if node.role == "manager"]
    looks = await_gossip(settings, managers, node_workloads(settings, managers))
    restarted = [node.name for node in without_gossip(managers, looks) if _restart(settings, node, say)]
    return restarted != []


def _restart(settings: Settings, node: Node, say: Say) -> bool:
    """Restart a manager's engine, where the others hold the quorum, and wait for it; whether it was restarted."""
    if why := _objection(settings, node):
        say(f"{node.name} does not listen for gossip; its engine is not restarted: {why}")
        return False
    say(f"{node.name} does not listen for gossip: its engine is restarted")
    with journal.step(settings, "restart", node.name, say), Shell(node, settings.ssh) as shell:
        shell.run(["sh", "-c", RESTART], seconds=unlock.RESTART_SECONDS)
        end = monotonic() + votes.SECONDS
        while monotonic() < end:
            if ask(shell).state is LocalState.LOCKED:
                unlock.start(settings, node, shell, say=say)
            if _is_back(settings, node):
                break
            sleep(PAUSE)
    return True


def _objection(settings: Settings, node: Node) -> str:
    """Why a manager's engine must not be restarted; empty where it may."""
    leader = stable_survey(settings, nodes=settings.managers).leader
    if leader is None or not may_restart(node, leader.members):
        return "the quorum would be lost"
    try:
        unlock.require_key(settings, node)
    except RequorumError as error:
        return f"it would stay locked ({error.why})"
    return ""


def _is_back(settings: Settings, node: Node) -> bool:
    leader = stable_survey(settings, nodes=settings.managers).leader
    look = node_workloads(settings, [node]).get(node.name)
    reachable = leader and any(member.reachable for member in leader.members if member.stands_at(node))
    return bool(reachable and look and look.listening)
