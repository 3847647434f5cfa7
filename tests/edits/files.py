"""Stack files before an edit, and the edits: each one changes the values of a file as an operator would."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Raw = dict[str, Any]
NAMES = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta")
WORKER_NAMES = ("one", "two", "three")
SPARES = (31, 32, 33, 34, 35, 36, 37)
"""The last numbers of the addresses of machines that no stack file has before an edit."""


HOST, HOST_ADDRESS = "worker.example.org", 21
"""A host name, and the last number of its address: the first worker's."""


class State(StrEnum):
    """What happened to the managers before the edit."""

    HEALTHY = "healthy"
    ONE_LOST = "one lost"
    QUORUM_LOST = "quorum lost"
    ALL_LOST = "all lost"


class Base(StrEnum):
    """The stack file before the edit."""

    UNNAMED = "3 managers and 3 workers without names"
    NAMED = "3 managers and 3 workers with names"
    FIVE = "5 managers and 3 workers without names"
    FIVE_NAMED = "5 managers and 3 workers with names"
    ONE = "1 manager and 3 workers with names"
    SEVEN = "7 managers and 3 workers with names"
    ADOPTED = "3 managers and 3 workers without names, and the swarm's ID"
    RETURNING = "3 managers and 3 workers with names, and copies of a machine that was a manager before"


COUNTS = {Base.FIVE: 5, Base.FIVE_NAMED: 5, Base.ONE: 1, Base.SEVEN: 7}
"""How many managers the file has, if not 3."""
INVALID = dict.fromkeys(State, "setting-invalid")


@dataclass(frozen=True)
class Edit:
    """One edit of a stack file, and where Requorum must refuse it."""

    name: str
    change: Callable[["File"], None]
    base: Base = Base.UNNAMED
    refused: Mapping[State, str] = field(default_factory=dict)
    """The code of the refusal, where there must be one before the first effect."""
    copied: bool = True
    """Whether the copies of before are found under the new file."""

    @property
    def states(self) -> tuple[State, ...]:
        """The states in which the edit is made. If the only manager is lost, all are."""
        return (State.HEALTHY, State.ALL_LOST) if self.base is Base.ONE else tuple(State)


@dataclass
class File:
    """The values of a stack file, to be changed, and the ID of its swarm."""

    values: Raw
    cluster_id: str = ""

    @property
    def managers(self) -> list[Raw]:
        return self.values["managers"]  # type: ignore[no-any-return]

    @property
    def workers(self) -> list[Raw]:
        return self.values["workers"]  # type: ignore[no-any-return]

    def address(self, last: int) -> str:
        """An address in the file's subnet."""
        return f"{self.values['subnet'].rsplit('.', 2)[0]}.1.{last}"


def base(kind: Base, common: Raw) -> File:
    """The file before an edit. ``common`` has what is neither a node nor the swarm's ID."""
    file = File(deepcopy(common))
    named = kind not in (Base.UNNAMED, Base.FIVE, Base.ADOPTED)
    for group, first, count, names in (("managers", 11, COUNTS.get(kind, 3), NAMES), ("workers", 21, 3, WORKER_NAMES)):
        nodes = [{"address": file.address(first + number)} for number in range(count)]
        file.values[group] = [{"name": n, **node} for n, node in zip(names, nodes, strict=False)] if named else nodes
    return file


def lost(kind: State, managers: Sequence[str]) -> tuple[str, ...]:
    """Which of the managers are lost, by address: the second, the first half and one, or all."""
    match kind:
        case State.HEALTHY:
            return ()
        case State.ONE_LOST:
            return (managers[1],)
        case State.QUORUM_LOST:
            return tuple(managers[: len(managers) // 2 + 1])
        case State.ALL_LOST:
            return tuple(managers)


def edited(edit: Edit, before: File) -> File:
    """The file after an edit."""
    after = File(deepcopy(before.values), before.cluster_id)
    edit.change(after)
    return after
