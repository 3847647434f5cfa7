"""Decides whether a node is a member of the swarm that the leader describes."""

from enum import StrEnum

from recovery.swarm.machines import Role
from recovery.swarm.model import LocalState, NodeReport, Reach
from recovery.swarm.votes import manages


class Membership(StrEnum):
    """Whether a node is a member of the swarm."""

    MEMBER = "member"
    LOCKED = "locked"
    LOST = "lost"
    """Known to be no member any more, or a member only of the swarm before a forced new cluster."""


def membership_of(report: NodeReport, leader: NodeReport | None) -> tuple[Membership, Role]:
    """Whether a node is a member of the swarm that ``leader`` reports, and its role there if known.

    A silent node counts as a member with the role that the settings give it.
    """
    role = report.node.role
    if (report.known_lost and report.reach is not Reach.NAMED) or report.left_over:
        return Membership.LOST, role
    if role == "manager" and leader is not None and report.is_left_behind(leader):
        return Membership.LOST, role
    return Membership.LOCKED if report.state is LocalState.LOCKED else Membership.MEMBER, role_now(report)


def role_now(report: NodeReport) -> Role:
    """The role in which a node answers; the role in the settings if it does not answer or is not active."""
    if report.reach is not Reach.ANSWERS or report.state is not LocalState.ACTIVE:
        return report.node.role
    return "manager" if manages(report) else "worker"
