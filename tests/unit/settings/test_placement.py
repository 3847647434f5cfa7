"""Where managers are placed, and what their names are."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.settings import placement
from recovery.swarm.raft import quorum, tolerates

ZONES = ("a", "b", "c")


@pytest.mark.parametrize(("count", "spread"), [(3, (1, 1, 1)), (5, (2, 2, 1)), (7, (3, 2, 2)), (9, (3, 3, 3))])
def test_managers_are_spread_as_the_guide_says(count: int, spread: tuple[int, ...]) -> None:
    placed = Counter(placement.placement(count, ZONES))
    assert tuple(placed[zone] for zone in ZONES) == spread


@given(st.sampled_from(placement.MANAGER_COUNTS[1:]))
def test_no_zone_takes_the_quorum_with_it(count: int) -> None:
    assert placement.survives_any_zone(placement.placement(count, ZONES))


@given(st.integers(1, 50))
def test_losing_what_is_tolerated_keeps_the_quorum_and_one_more_loses_it(count: int) -> None:
    assert count - tolerates(count) >= quorum(count) > count - tolerates(count) - 1


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=9))
def test_a_zone_decides_if_the_others_are_no_quorum(zones_of: list[str]) -> None:
    left = {zone: [other for other in zones_of if other != zone] for zone in zones_of}
    lost = {zone for zone, others in left.items() if len(others) < quorum(len(zones_of))}
    assert set(placement.deciding_zones(zones_of)) == lost
    assert placement.survives_any_zone(zones_of) is not bool(lost)


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=9))
def test_only_managers_that_requorum_would_create_have_no_weakness(zones_of: list[str]) -> None:
    created = len(zones_of) in placement.MANAGER_COUNTS[1:] and placement.survives_any_zone(zones_of)
    assert created is not bool(placement.weaknesses(zones_of))


@pytest.mark.parametrize(
    ("zones_of", "told"),
    [
        ("a", ["1 manager tolerates no loss. 3 managers tolerate the loss of 1"]),
        ("ab", ["2 managers tolerate no loss. 3 managers tolerate the loss of 1"]),
        ("aab", ["the quorum is lost with zone a"]),
        (
            "aabb",
            [
                "4 managers tolerate the loss of 1 of them. 5 managers tolerate the loss of 2",
                "the quorum is lost with zone a or b",
            ],
        ),
        ("aabbcc", ["6 managers tolerate the loss of 2 of them. 7 managers tolerate the loss of 3"]),
        ("abcabcabcabc", ["12 managers tolerate the loss of 5 of them"]),
    ],
)
def test_what_managers_do_not_tolerate_is_named(zones_of: str, told: list[str]) -> None:
    assert list(placement.weaknesses(zones_of)) == told


def test_names_follow_the_zones() -> None:
    placed = placement.placement(5, ZONES)
    assert placement.names(placed) == ("manager-a", "manager-b", "manager-c", "manager-a2", "manager-b2")


def test_two_of_three_in_one_zone_do_not_survive_it() -> None:
    assert not placement.survives_any_zone(["a", "a", "b"])
