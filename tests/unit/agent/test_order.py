"""Whose turn it is to copy, and what counts as a change."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from recovery.agent import order
from recovery.agent.order import Mark, Order, View
from recovery.agent.state import State
from tests.unit.agent.swarms import SWARM, holdings, node

DECISIONS: dict[str, tuple[int, str, str, Mark | None, Order]] = {
    "the first is content with any manager's copy too": (0, "before", "", Mark("now", "copy-2"), Order.COVERED),
    "nothing changed": (0, "now", "", None, Order.COVERED),
    "the first copies at once": (0, "before", "", None, Order.COPY),
    "the first waits for nobody": (0, "before", "", Mark("before", "copy-1"), Order.COPY),
    "another waits as long as copies come": (1, "before", "copy-1", Mark("between", "copy-2"), Order.WAIT),
    "another is content with any manager's copy": (1, "before", "copy-1", Mark("now", "copy-2"), Order.COVERED),
    "another copies when none came": (1, "before", "copy-1", Mark("before", "copy-1"), Order.COPY),
    "another copies when there never was one": (2, "", "", None, Order.COPY),
}


@pytest.mark.parametrize(("rank", "covered", "seen", "mark", "wanted"), DECISIONS.values(), ids=DECISIONS)
def test_whose_turn_it_is(rank: int, covered: str, seen: str, mark: Mark | None, wanted: Order) -> None:
    assert order.decide(View("now", rank), covered, seen, mark) is wanted
    assert order.decide(View("now", rank), covered, seen, mark, due=True) is Order.COPY
    rests = Order.COVERED if wanted is Order.COVERED else Order.WAIT
    assert order.decide(View("now", rank), covered, seen, mark, resting=True) is rests
    assert order.decide(View("now", rank), covered, seen, mark, due=True, resting=True) is Order.WAIT


def test_the_same_is_tried_again_after_seconds_and_then_after_minutes() -> None:
    pauses = [order.pause(tries) for tries in range(1, 200)]
    assert pauses[:3] == [10.0, 20.0, 40.0]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 600.0


def test_a_try_rests_for_its_pause_and_a_clock_that_is_set_back_does_not_prolong_it() -> None:
    tried = State().trying("now").trying("now")
    assert tried.tries == 2
    assert tried.resting("now", tried.tried_at + 19)
    assert not tried.resting("now", tried.tried_at + 20)
    assert not tried.resting("now", tried.tried_at - 1)
    assert not tried.resting("other", tried.tried_at)
    assert tried.trying("other").tries == 1


@given(
    some.lists(some.tuples(some.integers(0, 2), some.booleans()), max_size=12),
    some.sets(some.integers(0, 2), max_size=2),
)
def test_whoever_fails_the_last_change_is_copied_and_nobody_copies_for_nothing(
    steps: list[tuple[int, bool]], broken: set[int]
) -> None:
    """Steps: whose round it is, and whether something changed before it. The broken ones' copies never get to S3."""
    covered, seen = ["0"] * 3, [""] * 3
    mark, version, copies = Mark("0", "copy-0"), 0, 0

    def round_of(rank: int) -> None:
        nonlocal mark, copies
        decided = order.decide(View(str(version), rank), covered[rank], seen[rank], mark)
        seen[rank] = mark.copy
        if decided is Order.COPY and rank not in broken:
            copies += 1
            mark = Mark(str(version), f"copy-{copies}")
        if decided is Order.COVERED or (decided is Order.COPY and rank not in broken):
            covered[rank] = str(version)

    for rank, changed in steps:
        version += changed
        round_of(rank)
    for rank in (0, 1, 2) * 3:
        round_of(rank)
    assert mark.fingerprint == str(version)
    before = copies
    for rank in (0, 1, 2):
        round_of(rank)
    assert copies == before


SAME: dict[str, dict[str, Any]] = {
    "another order": {"nodes": holdings()["nodes"][::-1], "services": holdings()["services"][::-1]},
    "what a copy itself does: a node's entry written anew": {
        "nodes": [node("b", leader=True, version=9), *holdings()["nodes"][1:]]
    },
    "another leader": {"nodes": [node("b"), node("c", leader=True), *holdings()["nodes"][2:]]},
}
OTHER: dict[str, dict[str, Any]] = {
    "a service changed": {"services": [{"ID": "s1", "Version": {"Index": 8}}, {"ID": "s2", "Version": {"Index": 6}}]},
    "a service is gone": {"services": [{"ID": "s1", "Version": {"Index": 5}}]},
    "a network came": {"networks": [{"Id": "n1"}, {"Id": "n2"}]},
    "a node's label": {"nodes": [node("b", leader=True, Labels={"a": "b"}), *holdings()["nodes"][1:]]},
    "a node is gone": {"nodes": holdings()["nodes"][1:]},
}


@pytest.mark.parametrize("changes", SAME.values(), ids=SAME)
def test_what_no_copy_need_hold_does_not_count_as_a_change(changes: dict[str, Any]) -> None:
    assert order.view(holdings(**changes), SWARM, "a").fingerprint == order.view(holdings(), SWARM, "b").fingerprint


@pytest.mark.parametrize("changes", OTHER.values(), ids=OTHER)
def test_everything_else_counts_as_a_change(changes: dict[str, Any]) -> None:
    assert order.view(holdings(**changes), SWARM, "a").fingerprint != order.view(holdings(), SWARM, "a").fingerprint


def test_a_change_to_the_swarm_itself_counts() -> None:
    later = {**SWARM, "Version": {"Index": 8}}
    assert order.view(holdings(), later, "a").fingerprint != order.view(holdings(), SWARM, "a").fingerprint


def test_the_leader_copies_last_and_who_cannot_be_reached_never() -> None:
    nodes = [node("b", leader=True), node("c"), node("a"), node("0", reachability="unreachable")]
    assert [order.rank(nodes, one) for one in "acb0"] == [0, 1, 2, 3]
