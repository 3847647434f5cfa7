"""The steps of a recovery on a line of time, as shares of its width. A long pause between runs is drawn short. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from recovery.operations.page.words import MINUTE, clock, duration
from recovery.planning.standing import Mark
from recovery.spans import span

LONG = 30.0
"""Seconds. A pause that is longer, and longer than `SHARE` of the work, is drawn short."""
SHARE = 0.25
SHORT = 0.06
"""How wide a shortened pause is, as a share of the work."""
THIN = 0.6
"""Percent: the least width of a bar, so that it can be seen."""
STEPS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400)
TICKS = 6
"""The most marks on the line of time, between two of the pauses that are drawn short."""
LETTER = 2.1
"""Percent: how wide a letter of a mark is at most, on a narrow window."""
GAP = 1.0
"""Percent: the least room between two marks."""
SIDE = 5, 92
"""Percent: a mark left or right of these is written beside its place, and else around it."""
MARKS = {"done": Mark.FINE, "failed": Mark.LOST, "interrupted": Mark.OTHER}


@dataclass(frozen=True)
class Bar:
    """One step."""

    action: str
    node: str
    outcome: str
    mark: Mark
    seconds: str
    left: float
    width: float
    error: str
    pause: str = ""
    """The pause before it that is drawn short."""


@dataclass(frozen=True)
class Tick:
    """A mark on the line of time."""

    left: float
    label: str

    @property
    def anchor(self) -> str:
        """Where its place is in its text."""
        return "start" if self.left < SIDE[0] else "end" if self.left > SIDE[1] else "middle"

    @property
    def extent(self) -> tuple[float, float]:
        """From where to where its text is, in percent."""
        wide = LETTER * len(self.label)
        before = {"start": 0.0, "middle": wide / 2, "end": wide}[self.anchor]
        return self.left - before, self.left - before + wide


@dataclass(frozen=True)
class Chart:
    """The whole line of time."""

    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    quorum: float | None
    """Where the quorum was back."""


@dataclass(frozen=True)
class _Piece:
    """A part of the time that is drawn at one scale: from second to second, and from where to where."""

    start: float
    end: float
    left: float
    right: float
    short: bool = False
    """Whether it is a pause that is drawn short."""

    def at(self, second: float) -> float:
        share = (second - self.start) / (self.end - self.start) if self.end > self.start else 0.0
        return self.left + share * (self.right - self.left)


def chart(steps: Sequence[Mapping[str, Any]], quorum_seconds: float | None) -> Chart:
    """The chart of a report's steps."""
    begun = [datetime.fromisoformat(step["begun"]) for step in steps]
    if not begun:
        return Chart((), (), None)
    first = min(begun)
    starts = [(moment - first).total_seconds() for moment in begun]
    ends = [start + float(step["seconds"] or 0) for start, step in zip(starts, steps, strict=True)]
    pieces = _pieces(list(zip(starts, ends, strict=True)))
    whole = pieces[-1].right or 1.0

    def percent(second: float) -> float:
        piece = next((one for one in pieces if second <= one.end), pieces[-1])
        return round(100 * piece.at(second) / whole, 2)

    pauses = {one.end: span(timedelta(seconds=one.end - one.start)) for one in pieces if one.short}
    bars = []
    for step, start, end in zip(steps, starts, ends, strict=True):
        left = min(percent(start), 100 - THIN)
        bars.append(
            Bar(
                str(step["action"]),
                str(step["node"]),
                str(step["outcome"]),
                MARKS.get(step["outcome"], Mark.OTHER),
                "" if step["seconds"] is None else duration(float(step["seconds"])),
                left,
                round(max(THIN, percent(end) - left), 2),
                str(step["error"] or ""),
                pauses.pop(start, ""),
            )
        )
    marks = _apart(Tick(percent(second), _label(second)) for second in dict.fromkeys(_seconds(pieces)))
    return Chart(tuple(bars), tuple(marks), None if quorum_seconds is None else percent(float(quorum_seconds)))


def _label(second: int) -> str:
    """A moment on the line: seconds, or minutes and hours as a clock shows them."""
    return f"{second} s" if second < MINUTE else clock(second)


def _apart(ticks: Iterable[Tick]) -> Iterable[Tick]:
    """The marks without those whose texts would overlap the one before."""
    end = -GAP
    for tick in ticks:
        begin, next_end = tick.extent
        if begin >= end + GAP:
            yield tick
            end = next_end


def _pieces(busy: Iterable[tuple[float, float]]) -> list[_Piece]:
    """The time in parts: work, and pauses, of which the long ones are shortened."""
    merged: list[list[float]] = []
    for start, end in sorted(busy):
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([start, end])
    work = sum(end - start for start, end in merged) or 1.0
    pieces: list[_Piece] = []
    at = 0.0
    for start, end in merged:
        if pieces:
            gap = start - pieces[-1].end
            short = gap > max(LONG, SHARE * work)
            drawn = SHORT * work if short else gap
            pieces.append(_Piece(pieces[-1].end, start, at, at + drawn, short))
            at += drawn
        pieces.append(_Piece(start, end, at, at + end - start))
        at += end - start
    return pieces


def _seconds(pieces: Sequence[_Piece]) -> Iterable[int]:
    """The seconds at which the line has a mark: none within a pause that is drawn short, and one at its end."""
    drawn = sum(piece.end - piece.start for piece in pieces if not piece.short)
    step = next((one for one in STEPS if drawn / one <= TICKS), STEPS[-1])
    for piece in pieces:
        if piece.short:
            yield int(piece.end)
        else:
            first = int(-(-piece.start // step)) * step
            yield from range(first, int(piece.end) + 1, step)
