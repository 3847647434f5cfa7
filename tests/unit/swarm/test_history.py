"""Histories: spans of time, and what several observers saw together."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from recovery.swarm.history import (
    HOUR,
    MOST_COPIES,
    MOST_SPANS,
    History,
    common,
    hourly,
    length,
    longest_gap,
    union,
    without,
)

SECONDS = 60
SPANS = st.lists(st.tuples(st.integers(0, SECONDS), st.integers(0, SECONDS)), max_size=8)


def seconds(spans: object) -> set[int]:
    return {second for begun, ended in spans for second in range(begun, ended)}  # type: ignore[attr-defined]


@given(SPANS, SPANS)
def test_spans_are_sets_of_seconds(some: list[tuple[int, int]], others: list[tuple[int, int]]) -> None:
    assert seconds(union(some, others)) == seconds(some) | seconds(others)
    assert seconds(common(some, others)) == seconds(some) & seconds(others)
    assert seconds(without(some, others)) == seconds(some) - seconds(others)
    for found in (union(some, others), common(some, others), without(some, others)):
        assert length(found) == len(seconds(found))
        assert all(one[1] <= other[0] for one, other in pairwise(found))


@given(SPANS, SPANS)
def test_two_histories_are_one_whoever_tells_first(some: list[tuple[int, int]], others: list[tuple[int, int]]) -> None:
    one, other = History(tuple(some), proven=(7, HOUR)), History(tuple(others), proven=(9,))
    assert one.joined(other) == other.joined(one)
    assert one.joined(other).joined(other) == one.joined(other)
    assert one.joined(other).proven == (9, HOUR)


def test_a_history_keeps_the_newest() -> None:
    spans = tuple((2 * at, 2 * at + 1) for at in range(2 * MOST_SPANS))
    copies = tuple(HOUR * at for at in range(2 * MOST_COPIES))
    kept = History().joined(History(spans, spans, copies))
    assert (kept.watched, kept.lost, kept.proven) == (spans[-MOST_SPANS:], spans[-MOST_SPANS:], copies[-MOST_COPIES:])


def test_nobody_saw_the_future() -> None:
    assert History(((0, 9), (20, 30)), ((5, 12),), (3, 11)).until(10) == History(((0, 9),), ((5, 10),), (3,))


def test_the_longest_time_without_a_copy() -> None:
    times = hourly([0, HOUR, HOUR + 5, 4 * HOUR])
    assert times == [0, HOUR + 5, 4 * HOUR]
    assert longest_gap(times, (HOUR + 10, 5 * HOUR)) == 3 * HOUR - 5
    assert longest_gap(times, (HOUR + 10, 3 * HOUR)) == 2 * HOUR - 5
    assert longest_gap([], (HOUR, 5 * HOUR)) == 4 * HOUR
