"""Restarts engines of managers that do not listen for gossip."""

from collections.abc import Sequence

from recovery.cluster import Cluster
from recovery.errors import RequorumError
from recovery.node.engine import RESTART
from recovery.progress import Say
from recovery.steps import journal, swarm_directory, unlock, votes
from recovery.survey.nodes import ask, stable_survey
from recovery.survey.workload import PAUSE, await_gossip, node_workloads, without_gossip
from recovery.swarm.entries import entries_of
from recovery.swarm.machines import Node
from recovery.swarm.model import LocalState
from recovery.swarm.votes import may_restart
from recovery.waiting import until

READY_SECONDS = 30.0
"""How long a manager that votes may take to be Ready, also during an election (20 s). After this time, its engine may have
stopped reporting. A restart of the engine repairs that (engine 28: its leader logs "heartbeat failure")."""
DEAF = "does not listen for gossip"


def reopen(cluster: Cluster, nodes: Sequence[Node], *, say: Say) -> bool:
    """Restart the engines of managers that do not listen for gossip, one after the other. Returns whether it restarted any.

    After a restart, another manager may lead, which has no heartbeat of any node yet. An earlier survey is then outdated.
    Raises: as `unlock.start`, for an engine that starts locked; TransportError.
    """
    managers = [node for node in nodes if node.role == "manager"]
    looks = await_gossip(cluster, managers, node_workloads(cluster, managers))
    restarts = [restart(cluster, node, DEAF, say=say) for node in without_gossip(managers, looks)]
    return any(restarts)


def rouse(cluster: Cluster, nodes: Sequence[Node], *, say: Say) -> None:
    """Restart the engines of managers that vote and are not Ready, one after the other. Raises: as `restart`."""
    seen = stable_survey(cluster, nodes=cluster.settings.managers)
    members = seen.leader.members if seen.leader else ()
    for node in nodes:
        if any(member.reachable and not member.ready for member in entries_of(node, members, seen.told)):
            restart(cluster, node, "votes and is not Ready", say=say)


def restart(cluster: Cluster, node: Node, fault: str, *, say: Say) -> bool:
    """Restart a manager's engine for its fault if the others hold the quorum, and wait for it. Returns whether it did.

    Raises: as `unlock.start`, for an engine that starts locked; TransportError.
    """
    if why := _objection(cluster, node):
        say(f"{node.name} {fault}. Requorum does not restart its engine: {why}")
        return False
    say(f"{node.name} {fault}. Requorum restarts its engine")
    with journal.step(cluster, "restart", node.name, say), cluster.shell(node) as shell:
        shell.run(["sh", "-c", RESTART], seconds=swarm_directory.RESTART_SECONDS)

        def is_back() -> bool:
            if ask(shell).state is LocalState.LOCKED:
                unlock.start(cluster, shell, say=say)
            return _is_back(cluster, node)

        until(is_back, votes.SECONDS, pause=PAUSE)
    return True


def _objection(cluster: Cluster, node: Node) -> str:
    """Why Requorum must not restart a manager's engine; empty if it may."""
    seen = stable_survey(cluster, nodes=cluster.settings.managers)
    if seen.leader is None or not may_restart(node, seen.leader.members, seen.told):
        return "the quorum would be lost"
    try:
        unlock.require_key(cluster, node)
    except RequorumError as error:
        return f"the engine would stay locked ({error.why})"
    return ""


def _is_back(cluster: Cluster, node: Node) -> bool:
    seen = stable_survey(cluster, nodes=cluster.settings.managers)
    look = node_workloads(cluster, [node]).get(node.name)
    members = seen.leader.members if seen.leader else ()
    reachable = any(member.reachable for member in entries_of(node, members, seen.told))
    return bool(reachable and look and look.listening)
