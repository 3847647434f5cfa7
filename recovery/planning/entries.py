"""Entries of a swarm's node list that nobody uses any more."""

from collections.abc import Iterable

from recovery.swarm.entries import NOBODY, Member, Told
from recovery.swarm.machines import Node


def is_forsaken(entry: Member, nodes: Iterable[Node]) -> bool:
    """Whether nobody uses an entry, and no node of the settings is at its address any more."""
    return not entry.ready and not entry.votes and not any(entry.stands_at(node) for node in nodes)


def stale(
    members: Iterable[Member], node: Node, node_id: str | None, nodes: Iterable[Node], told: Told = NOBODY
) -> list[Member]:
    """The entries that the node's earlier machines left behind.

    ``node_id`` is the ID of the node's own entry, if it has one. ``nodes`` are all nodes of the settings, and ``told`` are the
    IDs that they tell. An entry that a node tells to be its own is never stale. At the node's address, an entry is stale if
    it is not Ready, votes there, or has the host name of the node's own entry: otherwise another node may be heard from there.
    Elsewhere, it is stale if it is the forsaken entry of a manager with that host name: the node was moved.
    """
    listed, known = tuple(members), tuple(nodes)
    name = next((member.hostname for member in listed if member.node_id == node_id), node.name)
    others = frozenset(told.values()) - ({told[node.name]} if node.name in told else set())

    def left(entry: Member) -> bool:
        if entry.stands_at(node):
            return not entry.ready or entry.raft_address == str(node.address) or entry.hostname == name
        return entry.hostname == name and entry.role == "manager" and is_forsaken(entry, known)

    return [entry for entry in listed if entry.node_id != node_id and entry.node_id not in others and left(entry)]
