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


def membership_of(seen: NodeReport, leader: NodeReport | None) -> tuple[Membership, Role]:
    """Whether a node is a member of the swarm that ``leader`` reports, and its role there as far as is known.

    A silent node counts as a member with the role that the settings give it.
    """
    role = seen.node.role
    if (seen.known_lost and seen.reach is not Reach.NAMED) or seen.left_over:
        return Membership.LOST, role
    if role == "manager" and leader is not None and seen.is_left_behind(leader):
        return Membership.LOST, role
    return Membership.LOCKED if seen.state is LocalState.LOCKED else Membership.MEMBER, role_now(seen)


def role_now(seen: NodeReport) -> Role:
    """The role in which a node answers; the role in the settings if it does not answer or is not active."""
    if seen.reach is not Reach.ANSWERS or seen.state is not LocalState.ACTIVE:
        return seen.node.role
    return "manager" if manages(seen) else "worker"
