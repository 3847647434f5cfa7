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


@given(st.sampled_from(placement.MANAGER_COUNTS))
def test_no_zone_takes_the_quorum_with_it(count: int) -> None:
    assert placement.survives_any_zone(placement.placement(count, ZONES))


@given(st.integers(1, 50))
def test_losing_what_is_tolerated_keeps_the_quorum_and_one_more_loses_it(count: int) -> None:
    assert count - tolerates(count) >= quorum(count) > count - tolerates(count) - 1


def test_names_follow_the_zones() -> None:
    placed = placement.placement(5, ZONES)
    assert placement.names(placed) == ("manager-a", "manager-b", "manager-c", "manager-a2", "manager-b2")


def test_two_of_three_in_one_zone_do_not_survive_it() -> None:
    assert not placement.survives_any_zone(["a", "a", "b"])
