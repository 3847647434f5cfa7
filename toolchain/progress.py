"""Says on standard error what takes minutes: what is being done, how far it is, and how long it will still take."""

import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

IN_PLACE_SECONDS, SPARSE_SECONDS = 1.0, 15.0
"""Between two lines: on a terminal, where the later one takes the place of the earlier, and in a file."""
SURE = 0.02
"""The share from which on a rate is believed."""
ERASE = "\r\x1b[K"
"""Empties the line that the cursor is on (ECMA-48, EL)."""


@dataclass(frozen=True)
class State:
    """What is being done, and ``done`` of ``total`` in any unit that takes as long as another; a total of 0 is not known."""

    text: str
    done: float = 0.0
    total: float = 0.0


def remaining(first: State, now: State, seconds: float) -> float | None:
    """The seconds that are left at the rate of the seconds since the first state; None where there is no telling yet."""
    moved = now.done - first.done
    if moved <= 0 or moved < SURE * (now.total - first.done):
        return None
    return seconds * (now.total - now.done) / moved


def line(state: State, left: float | None) -> str:
    """The state, after its share and the time that is left where they are known: the end may not fit on a terminal."""
    known = [f"{state.done / state.total:.0%}"] if state.total else []
    known += [] if left is None else [f"{_about(left)} left"]
    return ": ".join((", ".join(known), state.text)) if known else state.text


def _about(seconds: float) -> str:
    return f"about {seconds / 60:.0f} min" if seconds >= 90 else f"about {max(round(seconds, -1), 10):.0f} s"


class Screen:
    """Lines under a name: those that stay, and on a terminal a last one in whose place the next is written."""

    def __init__(self, name: str, stream: TextIO | None = None) -> None:
        self._name, self._stream, self._begun = name, stream or sys.stderr, time.monotonic()
        self._lock, self._passing = threading.Lock(), False
        self.in_place = self._stream.isatty()

    def say(self, text: str) -> None:
        """A line that stays."""
        self._write(text, "\n")

    def say_for_now(self, text: str) -> None:
        """A line that the next one takes the place of, on a terminal."""
        if self.in_place:
            self._write(text, "")
        else:
            self.say(text)

    def clear(self) -> None:
        """Take away what was said for now."""
        with self._lock:
            self._erase()
            self._stream.flush()

    def _write(self, text: str, end: str) -> None:
        stamped = f"{self._name} [{time.monotonic() - self._begun:4.0f}s] {text}"
        with self._lock:
            self._erase()
            self._passing = not end
            self._stream.write((stamped if end else stamped[: shutil.get_terminal_size().columns - 1]) + end)
            self._stream.flush()

    def _erase(self) -> None:
        if self._passing:
            self._stream.write(ERASE)
        self._passing = False


@contextmanager
def shown(screen: Screen, look: Callable[[], State], note: Callable[[str], object] = len) -> Iterator[None]:
    """For as long as the context is, say how far it is each few seconds, as ``look`` finds it, and ``note`` that too."""
    pause = IN_PLACE_SECONDS if screen.in_place else SPARSE_SECONDS
    over = threading.Event()

    def show() -> None:
        first: tuple[State, float] | None = None
        while not over.wait(pause):
            state, now = look(), time.monotonic()
            if first is None and state.total:
                first = state, now
            text = line(state, remaining(first[0], state, now - first[1]) if first else None)
            note(text)
            screen.say_for_now(text)

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        screen.clear()
