"""What both pages are made of: answers, nodes by zone, votes. Frozen values, which the templates only draw. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from unicodedata import east_asian_width

from recovery.plain import line
from recovery.planning.standing import Mark
from recovery.swarm.raft import quorum

SHOWN = 4
"""The most names that one answer lists."""
NAME, ROLE, NOTE = 24, 28, 32
"""The most letters that fit into a line of a box."""


@dataclass(frozen=True)
class Answer:
    """One of an operator's five questions, and its answer in few words."""

    question: str
    short: str
    detail: str = ""
    mark: Mark | None = None
    command: str = ""


@dataclass(frozen=True)
class Box:
    """One node as the picture shows it."""

    name: str
    zone: str
    role: str
    mark: Mark
    word: str
    note: str = ""

    @property
    def lines(self) -> tuple[str, str, str]:
        """Name, standing and note as they fit. The table below the picture has all of it."""
        return fitted(self.name, NAME), fitted(f"{self.role}, {self.word}", ROLE), fitted(self.note, NOTE)


@dataclass(frozen=True)
class Zone:
    """A zone with its nodes, managers first."""

    name: str
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class Votes:
    """The votes of the managers: how many there are, and how many of them reach each other."""

    total: int
    reachable: int

    @property
    def needed(self) -> int:
        """How many are needed for a quorum."""
        return quorum(self.total)

    @property
    def mark(self) -> Mark:
        """Fine if all vote, lost without a quorum."""
        return Mark.LOST if self.reachable < self.needed else Mark.FINE if self.reachable == self.total else Mark.OTHER


def zones(boxes: Iterable[Box]) -> tuple[Zone, ...]:
    """The nodes by zone."""
    listed = tuple(boxes)
    return tuple(
        Zone(name, tuple(sorted((box for box in listed if box.zone == name), key=lambda box: box.role == "worker")))
        for name in sorted({box.zone for box in listed})
    )


def fitted(text: str, most: int) -> str:
    """A text cut to so many letters. Letters of East Asia are two wide."""
    text, wide = line(text), 0
    for place, letter in enumerate(text):
        wide += 2 if east_asian_width(letter) in "WF" else 1
        if wide > most:
            return f"{text[: max(0, place - 1)]}…"
    return text


def several(names: Sequence[Any]) -> str:
    """Names as one answer lists them."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(str(name) for name in names[:SHOWN]) + more


def sentence(text: str) -> str:
    """A text with a capital at its start."""
    return text[:1].upper() + text[1:]
