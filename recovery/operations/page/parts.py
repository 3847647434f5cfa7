"""What the pages are made of: answers, nodes by zone, votes. Frozen values, which the templates only draw. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from unicodedata import east_asian_width

from recovery.plain import line
from recovery.planning.standing import Mark
from recovery.swarm.raft import quorum

SHOWN = 4
"""The most names that one answer lists."""
CALLED = 32
"""The most letters of a name in an answer. The table of the nodes has all of it."""
NAME, ROLE, NOTE = 23, 28, 32
"""The most letters that fit into a line of a box, also beside the star of a leader."""
ALIKE = 4
"""The most workers of a zone that stand alike and have a box each. More of them are one box."""


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
    single: bool = True
    """Whether it is one node. Else it is many workers."""

    @property
    def standing(self) -> str:
        """Its role, and how it stands."""
        return f"{self.role}, {self.word}" if self.single else self.word

    @property
    def lines(self) -> tuple[str, str, str]:
        """Name, standing and note as they fit. The table below the picture has all of it."""
        return called(self.name, NAME), fitted(self.standing, ROLE), fitted(self.note, NOTE)


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
        Zone(name, tuple(_drawn([box for box in listed if box.zone == name])))
        for name in sorted({box.zone for box in listed})
    )


def _drawn(boxes: Sequence[Box]) -> Iterator[Box]:
    """The boxes of a zone: each manager, then the workers, those that are not well first."""
    yield from (box for box in boxes if box.role != "worker")
    alike: dict[tuple[bool, Mark, str], list[Box]] = {}
    for box in boxes:
        if box.role == "worker":
            alike.setdefault((box.mark is Mark.FINE, box.mark, box.word), []).append(box)
    for group in (alike[key] for key in sorted(alike)):
        if len(group) <= ALIKE:
            yield from group
        else:
            names = ", ".join(box.name for box in group)
            yield replace(group[0], name=f"{len(group)} workers", note=names, single=False)


def fitted(text: str, most: int) -> str:
    """A text cut to so many letters. Letters of East Asia are two wide."""
    text, wide = line(text), 0
    for place, letter in enumerate(text):
        wide += 2 if east_asian_width(letter) in "WF" else 1
        if wide > most:
            return f"{text[: max(0, place - 1)]}…"
    return text


def called(name: str, most: int = CALLED) -> str:
    """A name cut in its middle to so many letters: long names often differ at their ends."""
    name = line(name)
    if fitted(name, most) == name:
        return name
    end = fitted(name[::-1], most // 2).rstrip("…")[::-1]
    return f"{fitted(name, most - most // 2).rstrip('…')}…{end}"


def several(names: Sequence[Any]) -> str:
    """Names as one answer lists them."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(called(str(name)) for name in names[:SHOWN]) + more


def sentence(text: str) -> str:
    """A text with a capital at its start, unless it starts with a name."""
    return text if text.partition(" ")[0].endswith(":") else text[:1].upper() + text[1:]
