"""Decides whether the quorum survives without one manager."""

from collections.abc import Collection

from recovery.swarm.entries import NOBODY, Member, Told, entries_of, of_nobody
from recovery.swarm.machines import Node
from recovery.swarm.model import NodeReport, Reach, Survey
from recovery.swarm.raft import quorum


def keeps_quorum(left: Collection[Member], voters: int) -> bool:
    """Whether enough of the managers that are ``left`` vote and are reachable, for a quorum of ``voters``."""
    return sum(member.votes and member.reachable for member in left) >= quorum(voters)


def survives_outage(node: Node, members: Collection[Member], told: Told = NOBODY) -> bool:
    """Whether the swarm keeps its quorum while the node is off. Its vote still counts, so the quorum is as large as before."""
    own = entries_of(node, members, told)
    others = [member for member in members if member not in own]
    return keeps_quorum(others, sum(member.votes for member in members))


def may_restart(node: Node, members: Collection[Member], told: Told = NOBODY) -> bool:
    """Whether the node votes, and the other managers keep the quorum while its engine restarts."""
    votes = any(member.votes for member in entries_of(node, members, told))
    return votes and survives_outage(node, members, told)


def survives_without(entry: Member, members: tuple[Member, ...]) -> bool:
    """Whether the swarm keeps its quorum after ``entry`` loses its vote. The quorum is then that of the others."""
    remaining = voters_without(entry, members)
    return keeps_quorum(remaining, len(remaining))


def manages(seen: NodeReport) -> bool:
    """Whether a node's engine manages the swarm, or still holds the log."""
    return seen.control or seen.raft


def voters_without(entry: Member, members: tuple[Member, ...]) -> list[Member]:
    """The voting managers, without this manager."""
    return [member for member in members if member.votes and member.node_id != entry.node_id]


def given_up(members: Collection[Member], survey: Survey) -> list[Member]:
    """The votes that will not come back: the leader does not reach them, and the settings have no manager there or it is lost.

    A manager that is only declared lost keeps its vote. ``survey`` has every manager of the settings.
    """
    kept = [r.node for r in survey.managers if not r.known_lost or r.reach is Reach.NAMED]
    return [m for m in of_nobody(kept, members, survey.told) if m.votes and not m.reachable]


def is_fading(survey: Survey) -> bool:
    """Whether the leader still counts on managers that are known to be lost, and has no quorum without them.

    A leader notices after some seconds that a manager does not answer, and gives up after 10 s without a quorum.
    """
    if survey.leader is None:
        return False
    members = survey.leader.members
    lost = [m for r in survey.managers if r.known_lost for m in entries_of(r.node, members, survey.told)]
    return not keeps_quorum([m for m in members if m not in lost], sum(m.votes for m in members))
