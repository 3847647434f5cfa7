"""Takes a node out of the swarm."""

from collections.abc import Callable, Collection
from contextlib import nullcontext

from recovery.cluster import Cluster
from recovery.copies.taking import take_one
from recovery.errors import Refused, Silent, TransportError
from recovery.node.engine import Engine
from recovery.planning import departures
from recovery.steps import lending, votes
from recovery.survey.nodes import ask, stable_survey
from recovery.swarm.address import known
from recovery.swarm.drained import note
from recovery.swarm.entries import Member, entries_of
from recovery.swarm.machines import Node
from recovery.swarm.votes import survives_without


def remove(cluster: Cluster, node: Node, node_id: str, *, ending: bool, say: Callable[[str], None]) -> None:
    """Remove the node from the swarm: demote, drain, leave, remove. Before a manager is removed for good, copy the leader.

    If the whole swarm is ``ending``, a manager that the quorum needs stays. `quorum.dissolve`, which runs last, ends the
    swarm.

    Raises: Refused if the swarm is not ending, and has no leader or would lose its quorum; StoreError; EngineError.
    """
    with cluster.hold(f"removing {node.name}", say=say):
        _remove(cluster, node, node_id, ending, say)


def depart(cluster: Cluster, node_ids: Collection[str], *, say: Callable[[str], None]) -> tuple[str, ...]:
    """Remove the entries of these IDs that belong to no node of the settings; the host names of the nodes that left.

    Raises: as `remove`, for a single node.
    """
    entries = departures.leaving(stable_survey(cluster), node_ids)
    for entry in entries:
        remove(cluster, _node(entry), entry.node_id, ending=False, say=say)
    return tuple(entry.hostname for entry in entries)


def _node(entry: Member) -> Node:
    """A node that the settings do not have any more, as the swarm lists it. Raises: Refused if it lists no address."""
    address = known(entry.raft_address or entry.address)
    if address is None:
        raise Refused(
            f"removing {entry.hostname} from the swarm",
            "the swarm lists it without an address",
            remedy=f"on a manager: docker node rm --force {entry.node_id}",
            code="no-address",
        )
    return Node(name=entry.hostname, address=address, role="manager" if entry.votes else "worker")


def _remove(cluster: Cluster, node: Node, node_id: str, ending: bool, say: Callable[[str], None]) -> None:
    remaining = tuple(manager for manager in cluster.settings.managers if manager.address != node.address)
    seen = stable_survey(cluster, nodes=remaining)
    leader = seen.leader
    if leader is None:
        if ending:
            return
        raise Refused(
            f"removing {node.name} from the swarm",
            "no manager with a leader answers",
            remedy="find out which managers are down: requorum status",
            code="no-leader",
        )
    with cluster.shell(leader.node) as shell:
        leader_engine = Engine(shell)
        entry = leader_engine.member(node_id)
        if entry is None:
            _leave(cluster, node, node_id)
            return
        others = (other for other in cluster.settings.nodes if other.address != node.address)
        listed = leader_engine.members()
        if moved := next((other for other in others if entry in entries_of(other, listed, seen.told)), None):
            say(f"{node_id} stays in the swarm: it is {moved.name} at {moved.address}")
            return
        if entry.votes:
            if ending and not survives_without(entry, leader_engine.members()):
                return
            if not ending:
                take_one(cluster.catalog(), cluster.settings, leader.node)
            say(f"demoting {node.name}")
            votes.demote(leader_engine, entry)
        say(f"removing {node.name} from the swarm")
        with nullcontext() if ending else lending.moving(leader_engine, entry, say=say):
            leader_engine.update_member(node_id, availability="drain", labels=note(entry))
        _leave(cluster, node, node_id)
        leader_engine.remove_member(node_id)


def _leave(cluster: Cluster, node: Node, node_id: str) -> None:
    try:
        with cluster.shell(node) as shell:
            report = ask(shell)
            if report.in_swarm and report.node_id == node_id:
                Engine(shell).leave()
    except (Silent, TransportError):
        return  # the machine is dead or does not exist. Its entry is removed anyway
