"""Takes a node out of the swarm."""

from collections.abc import Callable

from recovery.copies.taking import take_one
from recovery.errors import Refused, Silent, TransportError
from recovery.node.engine import Engine
from recovery.node.ssh import Shell
from recovery.s3 import cluster_lease
from recovery.s3.store import Store
from recovery.settings import Settings
from recovery.steps import votes
from recovery.survey.nodes import ask, stable_survey
from recovery.swarm.machines import Node
from recovery.swarm.votes import survives_without


def remove(settings: Settings, node: Node, node_id: str, *, ending: bool, say: Callable[[str], None]) -> None:
    """Remove the node from the swarm: demote, drain, leave, remove. Before a manager is removed for good, copy the leader.

    If the whole swarm is ``ending``, a manager that the quorum needs stays. `quorum.dissolve`, which runs last, ends the
    swarm.

    Raises: Refused if the swarm is not ending, and has no leader or would lose its quorum; StoreError; EngineError.
    """
    with cluster_lease.hold(Store(settings.backup.sites), settings.keys, f"removing {node.name}", say=say):
        _remove(settings, node, node_id, ending, say)


def _remove(settings: Settings, node: Node, node_id: str, ending: bool, say: Callable[[str], None]) -> None:
    remaining = tuple(manager for manager in settings.managers if manager.address != node.address)
    leader = stable_survey(settings, nodes=remaining).leader
    if leader is None:
        if ending:
            return
        raise Refused(
            f"removing {node.name} from the swarm",
            "no manager with a leader answers",
            remedy="find out which managers are down: requorum status",
            code="no-leader",
        )
    with Shell(leader.node, settings.ssh) as shell:
        leader_engine = Engine(shell)
        entry = leader_engine.member(node_id)
        if entry is None:
            return
        if entry.votes:
            if ending and not survives_without(entry, leader_engine.members()):
                return
            if not ending:
                take_one(settings, leader.node)
            say(f"demoting {node.name}")
            votes.demote(leader_engine, entry)
        say(f"removing {node.name} from the swarm")
        leader_engine.update_member(node_id, availability="drain")
        _leave(settings, node)
        leader_engine.remove_member(node_id)


def _leave(settings: Settings, node: Node) -> None:
    try:
        with Shell(node, settings.ssh) as shell:
            if ask(shell).in_swarm:
                Engine(shell).leave()
    except (Silent, TransportError):
        return  # the machine is dead or does not exist. Its entry is removed anyway
