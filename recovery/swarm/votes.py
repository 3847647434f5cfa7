"""Decides whether the quorum survives without one manager."""

from collections.abc import Collection

from recovery.swarm.machines import Node
from recovery.swarm.model import Member, NodeReport
from recovery.swarm.raft import quorum


def may_restart(node: Node, members: Collection[Member]) -> bool:
    """Whether the other managers keep the quorum while this manager's engine restarts."""
    voters = [member for member in members if member.votes]
    others = [member for member in voters if not member.stands_at(node)]
    return len(others) < len(voters) and sum(member.reachable for member in others) >= quorum(len(voters))


def survives_without(entry: Member, members: tuple[Member, ...]) -> bool:
    """Whether the reachable managers of a node list are still a quorum after ``entry`` loses its vote."""
    remaining = voters_without(entry, members)
    return sum(member.reachable for member in remaining) >= quorum(len(remaining))


def manages(seen: NodeReport) -> bool:
    """Whether a node's engine manages the swarm, or still holds the log."""
    return seen.control or seen.raft


def voters_without(entry: Member, members: tuple[Member, ...]) -> list[Member]:
    """The voting managers, without this manager."""
    return [member for member in members if member.votes and member.node_id != entry.node_id]
