"""The edge at which a look at a machine becomes a value: typed, and bounded in every list and text."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from recovery.node import program
from recovery.node.shell import Shell
from recovery.plain import line
from recovery.swarm import records
from recovery.swarm.evidence import Looked

T = TypeVar("T")
SECONDS = 30.0
"""For a look, which has its own limit (`recovery.onnode.look.SECONDS`), and for its program to get there and start: a
machine that is very busy takes many seconds to start a program, and is the one that a doctor is asked about."""
LONGEST = 2000
"""Characters of one text of a look. The answers of DRBD have lines of their own, and are read from the whole text."""
MOST = 1000
"""The items of one list."""
WHOLE = frozenset({"proc", "status"})


def look(shell: Shell, request: str) -> Looked:
    """What the machine behind an open shell tells. Raises: CommandFailed; Garbled; DamagedCopy; Silent."""
    document = program.run(shell, "look", request, seconds=SECONDS)
    return bounded(records.typed(Looked, document))


def bounded(value: T) -> T:
    """The same value, in which no list or text is endless, and each text is one line."""
    return _bounded(value)  # type: ignore[no-any-return]


def _bounded(value: Any) -> Any:
    if isinstance(value, str):
        return line(value[: 4 * LONGEST])[:LONGEST]
    if isinstance(value, tuple):
        return tuple(map(_bounded, value[:MOST]))
    if isinstance(value, Mapping):
        return {_bounded(key): _bounded(one) for key, one in list(value.items())[:MOST]}
    if is_dataclass(value) and not isinstance(value, type):
        changed = {one.name: _bounded(getattr(value, one.name)) for one in fields(value) if one.name not in WHOLE}
        return replace(value, **changed)
    return value
