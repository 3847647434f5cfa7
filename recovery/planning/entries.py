"""Entries of a swarm's node list that nobody uses any more."""

from collections.abc import Iterable

from recovery.swarm.machines import Node
from recovery.swarm.model import Member


def is_forsaken(entry: Member, nodes: Iterable[Node]) -> bool:
    """Whether nobody uses an entry, and no node of the settings is at its address any more."""
    return not entry.ready and not entry.votes and not any(entry.stands_at(node) for node in nodes)


def stale(members: Iterable[Member], node: Node, node_id: str | None, nodes: Iterable[Node]) -> list[Member]:
    """The entries of the node's earlier machines: entries at its address, and forsaken entries under its name.

    ``node_id`` is the ID of the node's own entry, if it has one. ``nodes`` are all nodes of the settings.
    """
    known = tuple(nodes)
    return [
        member
        for member in members
        if member.node_id != node_id
        and (member.stands_at(node) or (member.hostname == node.name and is_forsaken(member, known)))
    ]
