"""Which copy is newer, and which holds more, where the clocks of managers differ."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta

import hypothesis
import pytest
from hypothesis import strategies as st

from recovery.copies.copy import Copy
from recovery.copies.order import APART, furthest, furthest_first, is_later, may_be_newest
from recovery.spans import SKEW
from recovery.swarm.wal import Position
from tests.unit import factories as make


def copy(manager: str, minute: float, stored: float | None = None) -> Copy:
    """A copy that a manager took at that minute by its clock, and that S3 stored at another one by its own."""
    made = make.copy_of(make.manifest(manager, ago=timedelta(minutes=-minute)))
    return replace(made, written=make.NOW + timedelta(minutes=minute if stored is None else stored))


def test_two_clocks_differ_by_twice_what_one_may_be_wrong() -> None:
    assert timedelta(minutes=10) == APART == 2 * SKEW


@pytest.mark.parametrize(
    ("later", "earlier", "certain"),
    [
        (copy("b", 4), copy("a", 0), False),
        (copy("b", 10), copy("a", 0), False),
        (copy("b", 11), copy("a", 0), True),
        (copy("b", 11), copy("a", -60, stored=5), False),
        (copy("b", 60, stored=4), copy("a", 0), False),
        (copy("b", 60), copy("a", 300, stored=0), True),
        (copy("a", 1), copy("a", 0), True),
        (copy("a", 1, stored=-2), copy("a", 0, stored=-1), False),
        (copy("a", 300, stored=9), copy("a", 299, stored=8), True),
    ],
    ids=[
        "clocks may differ so much",
        "and so much",
        "and not so much",
        "a clock that is behind: S3 stored it in between",
        "a clock that is ahead says nothing of others",
        "a clock that was ahead: S3 stored it long before",
        "one manager",
        "one manager whose clock was set back",
        "one manager whose clock is ahead",
    ],
)
def test_a_copy_is_later_if_no_clock_can_deceive(later: Copy, earlier: Copy, certain: bool) -> None:
    assert is_later(later, earlier) is certain
    assert not is_later(earlier, later)


@pytest.mark.parametrize(
    ("copies", "newest"),
    [
        ((), ""),
        (("a", 0), "a0"),
        (("a", 0, "b", 4), "a0 b4"),
        (("a", 0, "b", 4, "a", 2), "a2 b4"),
        (("a", 0, "b", 11), "b11"),
        (("a", 0, "b", 8, "c", 16), "b8 c16"),
    ],
    ids=["none", "one", "close together", "one of each manager", "far apart", "three, two of them close to the newest"],
)
def test_those_may_be_the_newest_after_which_none_was_certainly_taken(
    copies: tuple[str | int, ...], newest: str
) -> None:
    given = [copy(str(name), float(minute)) for name, minute in zip(copies[::2], copies[1::2], strict=True)]
    assert names(sorted(may_be_newest(given), key=lambda one: one.taken)) == newest


MINUTES = st.integers(-30, 30)


@hypothesis.given(st.dictionaries(st.tuples(st.sampled_from("abc"), MINUTES), MINUTES, max_size=8))
def test_no_other_copy_is_later_than_those_that_may_be_the_newest(times: Mapping[tuple[str, int], int]) -> None:
    copies = [copy(*own, stored) for own, stored in times.items()]
    expected = {one for one in copies if not any(is_later(other, one) for other in copies)}
    assert set(may_be_newest(copies)) == expected
    assert bool(expected) is bool(copies)


def test_a_clock_that_was_ahead_hides_no_copy_and_is_not_left_out() -> None:
    wrong, right = copy("a", 300, stored=0), copy("b", 2)
    assert set(may_be_newest([wrong, right])) == {wrong, right}
    assert may_be_newest([wrong, copy("b", 20)]) == (copy("b", 20),)
    only = [copy("a", minute + 300, stored=minute) for minute in (0, 1, 2)]
    assert may_be_newest(only) == (only[2],)


def test_of_those_that_may_be_the_newest_the_one_counts_that_is_committed_furthest() -> None:
    given = {copy("a", 0): (3, 50), copy("b", 4): (3, 40), copy("c", -20): (9, 900)}
    manifests = {one: make.manifest(position=Position(term, 99, commit)) for one, (term, commit) in given.items()}
    assert furthest(manifests) == copy("a", 0)
    assert furthest({}) is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"b4": (3, 40), "a0": (3, 50)}, "a0 b4"),
        ({"b4": (3, 40), "a0": (3, 40)}, "b4 a0"),
        ({"b11": (3, 40), "a0": (3, 50)}, "b11 a0"),
        ({"b4": (2, 90), "a0": (3, 50)}, "a0 b4"),
        ({"a12": (3, 50), "a11": (3, 49), "a10": (3, 48), "c2": (3, 30)}, "a12 a11 a10 c2"),
        ({"b14": (3, 40), "b13": (3, 38), "a10": (3, 50), "a9": (3, 45)}, "a10 a9 b14 b13"),
        ({"b7": (3, 46), "a6": (3, 45), "b2": (3, 61), "a1": (3, 60)}, "b7 a6 b2 a1"),
        ({"b4": None, "a0": (3, 50)}, "b4 a0"),
        ({"b4": (3, 40), "a0": None}, "b4 a0"),
        ({"b4": (3, 40), "a3": None, "a0": (3, 50)}, "a3 a0 b4"),
        ({"a3": (3, 45), "a2": (3, 50), "b1": (3, 47)}, "b1 a3 a2"),
    ],
    ids=[
        "the clock of b is ahead",
        "equals",
        "too far apart for that",
        "a later term",
        "each change is copied",
        "two of each",
        "a recovery gave up what was copied before it",
        "the newest says nothing",
        "the older one says nothing",
        "one that says nothing hides none",
        "a clock that was set back",
    ],
)
def test_close_together_the_copy_comes_first_that_is_committed_furthest(
    given: Mapping[str, tuple[int, int] | None], expected: str
) -> None:
    read = [(copy(name[0], float(name[1:])), position) for name, position in given.items()]
    assert names(one for one, _ in furthest_first(read, lambda position: position)) == expected


def test_copies_whose_clock_was_ahead_stay_behind_the_others() -> None:
    read = [(copy("b", 4), (3, 40)), (copy("a", 300, stored=4), (3, 50)), (copy("c", 299, stored=4), (3, 60))]
    assert [one for one, _ in furthest_first(read, lambda position: position)] == [one for one, _ in read]


def names(copies: Iterable[Copy]) -> str:
    return " ".join(f"{one.manager}{(one.taken - make.NOW) // timedelta(minutes=1)}" for one in copies)
