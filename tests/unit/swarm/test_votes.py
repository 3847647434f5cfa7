"""Whether the quorum survives the outage of a manager, its restart, or the loss of its vote."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.swarm.entries import Member
from recovery.swarm.machines import Node
from recovery.swarm.model import Reach
from recovery.swarm.raft import quorum, tolerates
from recovery.swarm.votes import given_up, is_fading, keeps_quorum, may_restart, survives_outage, survives_without
from tests.unit import factories as make

COUNTS = st.sampled_from((1, 2, 3, 4, 5, 6, 7, 9))
NODES = make.settings(9).managers
WORKERS = make.settings(9).workers


@st.composite
def lists(draw: st.DrawFn) -> tuple[Member, ...]:
    """The node list of a swarm with some of its managers unreachable."""
    names = [node.name for node in NODES[: draw(COUNTS)]]
    down = draw(st.lists(st.sampled_from(names), unique=True))
    return make.members([*NODES[: len(names)], *WORKERS], leader=names[0], unreachable=down)


def entry(members: tuple[Member, ...], name: str) -> Member:
    return next(member for member in members if member.hostname == name)


@given(lists())
def test_a_quorum_is_kept_while_no_more_are_lost_than_it_tolerates(members: tuple[Member, ...]) -> None:
    voters = [member for member in members if member.votes]
    lost = [member for member in voters if not member.reachable]
    assert keeps_quorum(members, len(voters)) is (len(lost) <= tolerates(len(voters)))


@given(lists(), st.sampled_from(NODES))
def test_an_outage_is_one_more_loss(members: tuple[Member, ...], node: Node) -> None:
    voters = [member for member in members if member.votes]
    lost = {member.hostname for member in voters if not member.reachable}
    off = {node.name} & {member.hostname for member in voters}
    assert survives_outage(node, members) is (len(lost | off) <= tolerates(len(voters)))
    assert may_restart(node, members) is (bool(off) and survives_outage(node, members))


@given(lists(), st.sampled_from(NODES))
def test_an_outage_is_a_manager_that_is_unreachable(members: tuple[Member, ...], node: Node) -> None:
    without = tuple(replace(m, reachable=False) if m.hostname == node.name else m for m in members)
    voters = sum(member.votes for member in members)
    assert survives_outage(node, members) is keeps_quorum(without, voters)


@given(lists(), st.data())
def test_without_a_vote_the_quorum_is_that_of_the_others(members: tuple[Member, ...], data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from([member for member in members if member.votes]))
    others = [member for member in members if member.votes and member is not gone]
    reachable = sum(member.reachable for member in others)
    assert survives_without(gone, members) is (reachable >= quorum(len(others)))


@given(lists())
def test_workers_make_no_difference(members: tuple[Member, ...]) -> None:
    alone = tuple(member for member in members if member.votes)
    for node in NODES:
        assert survives_outage(node, members) is survives_outage(node, alone)
    for worker in WORKERS:
        assert not may_restart(worker, members)


def test_a_machine_that_has_no_vote_is_not_restarted() -> None:
    nodes = make.settings().managers
    others = make.members([*nodes[1:], *WORKERS], leader="manager-b")
    assert not may_restart(nodes[0], others)
    assert survives_outage(nodes[0], others)


def test_no_list_has_no_quorum() -> None:
    assert not survives_outage(NODES[0], ())


@pytest.mark.parametrize(
    ("managers", "unreachable", "gone", "survives"),
    [
        (3, (), "manager-a", True),
        (3, ("manager-a",), "manager-a", True),
        (3, ("manager-a",), "manager-b", False),
        (2, (), "manager-a", True),
        (2, ("manager-b",), "manager-a", False),
        (5, ("manager-a", "manager-b"), "manager-a", True),
        (5, ("manager-a", "manager-b"), "manager-c", False),
        (1, (), "manager-a", False),
    ],
)
def test_a_vote_is_taken_only_where_the_others_are_a_quorum(
    managers: int, unreachable: tuple[str, ...], gone: str, survives: bool
) -> None:
    nodes = make.settings(5).nodes
    listed = make.members([*nodes[:managers], *nodes[5:]], leader="manager-a", unreachable=unreachable)
    assert survives_without(entry(listed, gone), listed) is survives


def test_votes_are_given_up_that_nobody_reaches_and_that_the_settings_do_not_want_or_know_to_be_lost() -> None:
    of = make.settings()
    a, b, c = of.managers
    former = replace(NODES[3], name="former")
    listed = make.members([a, b, c, former, *of.workers], leader=a.name, unreachable=[b.name, c.name, former.name])
    answers = [make.manager(a, of.nodes), make.empty(b), make.silent(c)]
    assert [member.hostname for member in given_up(listed, make.survey(answers))] == [b.name, former.name]
    named = [make.manager(a, of.nodes), replace(make.gone(b), reach=Reach.NAMED), make.silent(c)]
    assert [member.hostname for member in given_up(listed, make.survey(named))] == [former.name]
    reached = make.members([a, b, c, former], leader=a.name)
    assert given_up(reached, make.survey(answers)) == []


@pytest.mark.parametrize("count", [3, 5])
@pytest.mark.parametrize("noticed", [False, True])
def test_a_leader_fades_that_counts_on_managers_that_are_lost(count: int, noticed: bool) -> None:
    """Up to the quorum, it may lose managers. A leader that has noticed the loss of its quorum leads nobody."""
    settings = make.settings(count)
    first, *rest = settings.managers
    for lost in range(count):
        gone = rest[:lost]
        down = [node.name for node in gone] if noticed else []
        left = [
            make.manager(node, settings.nodes, leader=first.name, unreachable=down) for node in (first, *rest[lost:])
        ]
        seen = make.survey([*left, *map(make.gone, gone)])
        beyond = lost > tolerates(count)
        assert (is_fading(seen), seen.leader is None) == (beyond and not noticed, beyond and noticed)
