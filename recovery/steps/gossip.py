"""Restarts engines of managers that do not listen for gossip."""

from collections.abc import Sequence
from time import monotonic, sleep

from recovery.errors import RequorumError
from recovery.node.engine import RESTART
from recovery.node.ssh import Shell
from recovery.progress import Say
from recovery.settings import Settings
from recovery.steps import journal, swarm_directory, unlock, votes
from recovery.survey.nodes import ask, stable_survey
from recovery.survey.workload import PAUSE, await_gossip, node_workloads, without_gossip
from recovery.swarm.machines import Node
from recovery.swarm.model import LocalState
from recovery.swarm.votes import may_restart

READY_SECONDS = 30.0
"""How long a manager that votes may take to be Ready, also through an election (20 s). After that its agent may have stopped to
report, which a restart of its engine repairs (seen with engine 28, whose leader logs "heartbeat failure")."""
DEAF = "does not listen for gossip"


def reopen(settings: Settings, nodes: Sequence[Node], *, say: Say) -> bool:
    """Restart the engines of managers that do not listen for gossip, one after the other; whether any was restarted.

    After a restart another manager may lead that has no heartbeat of any node yet, so an earlier survey is worthless.
    Raises: as `unlock.start`, for an engine that came up locked; TransportError.
    """
    managers = [node for node in nodes if node.role == "manager"]
    looks = await_gossip(settings, managers, node_workloads(settings, managers))
    restarted = [node.name for node in without_gossip(managers, looks) if restart(settings, node, DEAF, say=say)]
    return restarted != []


def rouse(settings: Settings, nodes: Sequence[Node], *, say: Say) -> None:
    """Restart the engines of managers that vote and are not Ready, one after the other. Raises: as `mend`."""
    leader = stable_survey(settings, nodes=settings.managers).leader
    unheard = [member for member in leader.members if member.reachable and not member.ready] if leader else []
    for node in nodes:
        if any(member.stands_at(node) for member in unheard):
            restart(settings, node, "votes and is not Ready", say=say)


def restart(settings: Settings, node: Node, fault: str, *, say: Say) -> bool:
    """Restart a manager's engine for its fault if the others hold the quorum, and wait for it; whether it was restarted.

    Raises: as `mend`.
    """
    if why := _objection(settings, node):
        say(f"{node.name} {fault}. Requorum does not restart its engine: {why}")
        return False
    say(f"{node.name} {fault}: Requorum restarts its engine")
    with journal.step(settings, "restart", node.name, say), Shell(node, settings.ssh) as shell:
        shell.run(["sh", "-c", RESTART], seconds=swarm_directory.RESTART_SECONDS)
        end = monotonic() + votes.SECONDS
        while monotonic() < end:
            if ask(shell).state is LocalState.LOCKED:
                unlock.start(settings, node, shell, say=say)
            if _is_back(settings, node):
                break
            sleep(PAUSE)
    return True


def _objection(settings: Settings, node: Node) -> str:
    """Why a manager's engine must not be restarted; empty if it may."""
    leader = stable_survey(settings, nodes=settings.managers).leader
    if leader is None or not may_restart(node, leader.members):
        return "the quorum would be lost"
    try:
        unlock.require_key(settings, node)
    except RequorumError as error:
        return f"the engine would stay locked ({error.why})"
    return ""


def _is_back(settings: Settings, node: Node) -> bool:
    leader = stable_survey(settings, nodes=settings.managers).leader
    look = node_workloads(settings, [node]).get(node.name)
    reachable = leader and any(member.reachable for member in leader.members if member.stands_at(node))
    return bool(reachable and look and look.listening)
