"""Reports long work on standard error: the work, its progress, and the remaining time."""

import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

IN_PLACE_SECONDS, SPARSE_SECONDS = 1.0, 15.0
"""The seconds between two lines: on a terminal, where a line replaces the one before it, and in a file."""
SURE = 0.02
"""The share of the work after which the rate is reliable."""
ERASE = "\r\x1b[K"
"""The sequence that clears the line of the cursor (ECMA-48, EL)."""


@dataclass(frozen=True)
class State:
    """The work and its progress: ``done`` of ``total``, in units of equal time. A total of 0 is not known."""

    text: str
    done: float = 0.0
    total: float = 0.0


def remaining(first: State, now: State, seconds: float) -> float | None:
    """The remaining seconds at the rate since the first state. None if the rate is not reliable yet."""
    moved = now.done - first.done
    if moved <= 0 or moved < SURE * (now.total - first.done):
        return None
    return seconds * (now.total - now.done) / moved


def line(state: State, left: float | None) -> str:
    """The text of a state. Share and remaining time come first, because the end may not fit on a terminal."""
    parts = [f"{state.done / state.total:.0%}"] if state.total else []
    parts += [] if left is None else [f"{_about(left)} left"]
    return ": ".join((", ".join(parts), state.text)) if parts else state.text


def _about(seconds: float) -> str:
    return f"about {seconds / 60:.0f} min" if seconds >= 90 else f"about {max(round(seconds, -1), 10):.0f} s"


class Screen:
    """Prints lines under a name. On a terminal, the last line may be temporary, and the next one replaces it."""

    def __init__(self, name: str, stream: TextIO | None = None) -> None:
        self._name, self._stream, self._begun = name, stream or sys.stderr, time.monotonic()
        self._lock, self._passing = threading.Lock(), False
        self.in_place = self._stream.isatty()

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._write(text, "\n")

    def say_for_now(self, text: str) -> None:
        """Print a temporary line. On a terminal, the next line replaces it."""
        if self.in_place:
            self._write(text, "")
        else:
            self.say(text)

    def clear(self) -> None:
        """Remove the temporary line."""
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
    """During the context, print the state of ``look`` every few seconds, and pass it to ``note``."""
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
