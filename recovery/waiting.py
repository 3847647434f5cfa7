"""Waits for what must come. Every wait has a limit."""

from collections.abc import Callable
from time import monotonic, sleep
from typing import TypeVar

T = TypeVar("T")

PAUSE = 0.5
"""Seconds between two looks, unless the caller knows better."""


def until(
    look: Callable[[], T],
    seconds: float,
    *,
    holds: Callable[[T], object] = bool,
    pause: float = PAUSE,
    otherwise: Callable[[T], Exception] | None = None,
) -> T:
    """Call ``look`` every ``pause`` seconds until ``holds`` is true of its result, and return that result.

    After ``seconds``, raise the error that ``otherwise`` makes from the last result; without ``otherwise``, return the last
    result. There is always one look, and the last look ends after the deadline, so what comes at the last moment is not
    missed. What ``look`` raises ends the wait: a failure that may pass is a result.
    """
    end = monotonic() + seconds
    while not holds(seen := look()):
        if monotonic() > end:
            if otherwise:
                raise otherwise(seen)
            return seen
        sleep(pause)
    return seen
