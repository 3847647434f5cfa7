"""What preview says of the votes for the answers of nodes, and where it refuses."""

from dataclasses import replace

import pytest

from recovery.errors import Refused
from recovery.planning import departures, votes
from recovery.settings import Settings
from recovery.swarm.model import LocalState, NodeReport, Survey
from tests.unit import factories as make

S, MORE = make.settings(), make.settings(5)
A, B, C = S.managers
D, E = MORE.managers[3:]


def led(*, unreachable: tuple[str, ...] = (), leader: str = A.name) -> list[NodeReport]:
    """The managers of before that answer."""
    there = [node for node in S.managers if node.name not in unreachable]
    return [make.manager(node, S.nodes, leader=leader, unreachable=unreachable) for node in there]


def shown(settings: Settings, seen: Survey) -> list[str]:
    return list(votes.lines(settings, seen))


def test_a_lost_manager_comes_back_and_that_is_no_edit() -> None:
    seen = make.survey([*led(unreachable=(C.name,)), make.empty(C)])
    assert shown(S, seen) == [
        "votes 3 -> 2, tolerates 0: manager-c loses its vote",
        "votes 2 -> 3, tolerates 1: manager-c gets a vote",
    ]
    assert not votes.is_edited(S, seen)


def test_a_manager_that_is_locked_or_silent_keeps_its_vote() -> None:
    locked = replace(make.leaderless(C), state=LocalState.LOCKED)
    for last in (locked, make.silent(C)):
        assert shown(S, make.survey([*led(unreachable=(C.name,)), last])) == []


def test_more_managers_get_votes() -> None:
    seen = make.survey([*led(), make.empty(D), make.empty(E)])
    assert shown(MORE, seen) == [
        f"votes 3 -> 4, tolerates 1: {D.name} gets a vote",
        f"votes 4 -> 5, tolerates 2: {E.name} gets a vote",
    ]
    assert votes.is_edited(MORE, seen)
    votes.require_safe(MORE, seen)


def test_a_manager_is_not_added_beside_one_that_stays_away() -> None:
    seen = make.survey([*led(unreachable=(C.name,)), make.silent(C), make.empty(D), make.empty(E)])
    with pytest.raises(Refused, match=rf"votes 3 -> 4, tolerates 0(?s:.*){C.name}(?s:.*)code: quorum-at-risk"):
        votes.require_safe(MORE, seen)


def test_one_that_leaves_has_its_change_of_votes_with_it_and_the_leader_is_the_last() -> None:
    only = S.model_copy(update={"managers": (C,)})
    seen = make.survey([replace(one) for one in led() if one.node == C])
    told = votes.of_leaving(only, seen)
    gone = departures.leaving(seen, {entry.node_id for entry in seen.reports[0].members if entry.votes})
    lines = list(departures.lines(gone, told))
    assert [line.rpartition(": ")[2] for line in lines] == [
        "votes 3 -> 2, tolerates 0",
        "votes 2 -> 1, tolerates 0, the leader hands over first",
    ]
    assert [entry.hostname for entry in gone] == [B.name, A.name]
    assert shown(only, seen) == []


def test_without_a_leader_nothing_is_said() -> None:
    assert shown(S, make.survey([make.leaderless(node) for node in S.managers])) == []
