"""Waiting with a limit, on a clock that only the waiting moves."""

from collections.abc import Callable

import pytest

from recovery import waiting
from recovery.waiting import until


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(waiting, "monotonic", lambda: made.now)
    monkeypatch.setattr(waiting, "sleep", made.sleep)
    return made


def from_second(clock: Clock, due: float, *, takes: float = 0.0) -> Callable[[], float]:
    """A look that takes so many seconds, and finds the time once it is due, else 0."""

    def look() -> float:
        clock.now += takes
        return clock.now if clock.now >= due else 0.0

    return look


def test_what_is_there_already_is_not_waited_for(clock: Clock) -> None:
    assert until(lambda: "there", 0) == "there"
    assert not clock.slept


def test_what_comes_in_time_is_returned(clock: Clock) -> None:
    assert until(from_second(clock, 3), 10, pause=1) == 3
    assert clock.slept == [1, 1, 1]


def test_what_comes_at_the_last_moment_is_not_missed(clock: Clock) -> None:
    assert until(from_second(clock, 11), 10, pause=3) == 12
    assert until(from_second(clock, clock.now + 9, takes=9), 5) == 21


def test_after_the_deadline_the_last_result_is_returned(clock: Clock) -> None:
    assert until(lambda: 0, 10, pause=4) == 0
    assert clock.slept == [4, 4, 4]


def test_after_the_deadline_the_error_says_what_was_seen_last(clock: Clock) -> None:
    with pytest.raises(TimeoutError, match=r"^12\.0 is not enough$"):
        until(
            lambda: clock.now,
            10,
            pause=4,
            holds=lambda seen: seen > 20,
            otherwise=lambda seen: TimeoutError(f"{seen} is not enough"),
        )


def test_without_any_time_there_is_one_look(clock: Clock) -> None:
    def look() -> bool:
        clock.now += 0.1
        return False

    assert until(look, 0) is False
    assert not clock.slept


def test_what_a_look_raises_ends_the_wait(clock: Clock) -> None:
    def look() -> bool:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        until(look, 10)
    assert not clock.slept


def test_an_interrupt_ends_the_wait(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(waiting, "sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        until(lambda: False, 10, otherwise=lambda _: TimeoutError())
