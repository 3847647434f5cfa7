"""Where the steps of a recovery are drawn."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from recovery.operations.page.timeline import THIN, chart

BEGIN = datetime(2026, 1, 2, tzinfo=UTC)


def step(begun: float, seconds: float | None, outcome: str = "done") -> dict[str, Any]:
    at = (BEGIN + timedelta(seconds=begun)).isoformat()
    return {"action": "join", "node": "a", "begun": at, "seconds": seconds, "outcome": outcome, "error": ""}


def test_steps_are_drawn_to_scale() -> None:
    found = chart([step(0, 5), step(5, 10), step(10, 10)], 5)
    assert [(bar.left, bar.width) for bar in found.bars] == [(0, 25), (25, 50), (50, 50)]
    assert found.quorum == 25
    assert [(tick.left, tick.label) for tick in found.ticks] == [
        (0, "0 s"),
        (25, "5 s"),
        (50, "10 s"),
        (75, "15 s"),
        (100, "20 s"),
    ]


def test_a_long_pause_is_drawn_short_and_named() -> None:
    found = chart([step(0, 10), step(7210, 10)], None)
    assert [bar.pause for bar in found.bars] == ["", "2 h"]
    assert found.bars[0].width > 45
    assert found.bars[1].left + found.bars[1].width == 100
    assert not [tick for tick in found.ticks if found.bars[0].width + 1 < tick.left < found.bars[1].left - 1]
    assert found.ticks[-1].label == "2:00:20"


def test_only_a_pause_is_drawn_short_and_the_marks_keep_apart() -> None:
    runs = range(18000, 90001, 18000)
    steps = [step(0, 5), *(one for at in runs for one in (step(at + 0.1, None), step(at + 3.2, 2)))]
    found = chart(steps, None)
    assert [bar.pause for bar in found.bars if bar.pause] == ["4 h"] * 5
    extents = [tick.extent for tick in found.ticks]
    assert all(begin > end for (_, end), (begin, _) in pairwise(extents))
    assert len({tick.label for tick in found.ticks}) == len(found.ticks) > 2


def test_a_short_pause_is_drawn_as_it_was() -> None:
    found = chart([step(0, 10), step(20, 10)], None)
    assert [(bar.left, bar.pause) for bar in found.bars] == [(0, ""), (66.67, "")]


def test_what_was_interrupted_has_no_seconds_and_can_be_seen() -> None:
    cut, failed = chart([step(0, None, "interrupted"), step(1, 4, "failed")], None).bars
    assert (cut.seconds, cut.mark, cut.width) == ("", "other", THIN)
    assert (failed.seconds, failed.mark) == ("4.0 s", "lost")


def test_there_may_be_no_step() -> None:
    assert chart([], None).bars == ()


@given(some.lists(some.tuples(some.floats(0, 1e6), some.none() | some.floats(0, 1e5)), min_size=1, max_size=20))
def test_nothing_is_drawn_outside(steps: list[tuple[float, float | None]]) -> None:
    found = chart([step(begun, seconds) for begun, seconds in steps], None)
    for bar in found.bars:
        assert 0 <= bar.left <= 100
        assert bar.width >= THIN
        assert bar.left + bar.width <= 100.01
    assert all(0 <= tick.left <= 100 for tick in found.ticks)
    assert len(found.ticks) <= 3 * len(steps) + 7
    assert all(begin > end for (_, end), (begin, _) in pairwise(tick.extent for tick in found.ticks))
