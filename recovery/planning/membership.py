"""Decides how a node stands to the swarm that the leader describes."""

from enum import StrEnum

from recovery.swarm.machines import Role
from recovery.swarm.model import LocalState, NodeReport, Reach
from recovery.swarm.votes import manages


class Membership(StrEnum):
    """What a node is to the swarm."""

    MEMBER = "member"
    LOCKED = "locked"
    LOST = "lost"
    """Known to be no member any more, or only of what was before a forced new cluster."""


def is_orphan(seen: NodeReport, leader: NodeReport) -> bool:
    """Whether a manager of our swarm was left behind when a new cluster was forced.

    It has no vote, and either still its log, or has thrown it away on being told that it is no member, and
    waits, in the swarm, first not Ready and then Ready, for a vote that nobody gives it. Where the one that was
    forced led it before, it goes on listing nodes through that one for up to 20 s: that it is led says nothing.
    """
    if not seen.in_swarm or seen.cluster_id != leader.cluster_id:
        return False
    entry = next((member for member in leader.members if member.node_id == seen.node_id), None)
    return entry is not None and not entry.votes and (seen.raft or not entry.ready or entry.role == "manager")


def membership_of(seen: NodeReport, leader: NodeReport | None) -> tuple[Membership, Role]:
    """How a node stands to the swarm that has that leader, and the role it has in it, as far as is known.

    A silent one is taken for the member that it was, in the role that it is given here.
    """
    role = seen.node.role
    if (seen.known_lost and seen.reach is not Reach.NAMED) or seen.left_over:
        return Membership.LOST, role
    if role == "manager" and leader is not None and is_orphan(seen, leader):
        return Membership.LOST, role
    return Membership.LOCKED if seen.state is LocalState.LOCKED else Membership.MEMBER, role_now(seen)


def role_now(seen: NodeReport) -> Role:
    """The role that a report amounts to."""
    if seen.reach is not Reach.ANSWERS or seen.state is not LocalState.ACTIVE:
        return seen.node.role
    return "manager" if manages(seen) else "worker"
