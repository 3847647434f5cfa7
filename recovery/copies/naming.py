"""The short names by which an operator names a copy: ``latest``, ``manager-b``, ``manager-b@09:22``, a part of its name."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Protocol, TypeVar

from recovery.errors import NoUsableCopy

LATEST = "latest"
NO_OTHERS: Mapping[str, Collection[str]] = MappingProxyType({})
"""Every owner's copies are under its own name."""
SHOWN = 5
"""How many candidates an error shows."""


class Named(Protocol):
    """A copy of a manager, or of a service's data."""

    @property
    def owner(self) -> str:
        """Whose copy it is: a manager, or a name in requorum:data."""

    @property
    def name(self) -> str:
        """Its whole name."""

    @property
    def taken(self) -> datetime:
        """When it was taken (UTC)."""


N = TypeVar("N", bound=Named)


def short(copy: Named) -> str:
    """The shortest name that lasts: whose copy it is, and when it was taken to the second."""
    return f"{copy.owner}@{copy.taken:%Y-%m-%dT%H:%M:%S}"


def find(copies: Sequence[N], text: str, missing: NoUsableCopy, names: Mapping[str, Collection[str]] = NO_OTHERS) -> N:
    """The copy that ``text`` names among the ``copies``, which are newest first.

    It is a whole name; ``latest``; an owner, whose newest copy it is; an owner and the start of a time (UTC), with or
    without the date; or the start of a name. ``names`` has the names under which an owner's copies are, if it was renamed.
    Raises: ``missing`` if there is none, NoUsableCopy if there are several.
    """
    for found in _readings(copies, text, names):
        if len(found) == 1:
            return found[0]
        if found:
            raise _ambiguous(found, text, missing.doing)
    raise missing


def _readings(copies: Sequence[N], text: str, names: Mapping[str, Collection[str]]) -> Iterator[Sequence[N]]:
    """What the text may name, the plainest meaning first."""
    yield [copy for copy in copies if copy.name == text]
    yield copies[:1] if text == LATEST else ()
    yield [copy for copy in copies if copy.owner in names.get(text, (text,))][:1]
    owner, at, time = text.partition("@")
    if at:
        start = time.removesuffix("Z").replace(" ", "T")
        for whose in ((owner,), names.get(owner, ())):  # a copy's short name has the name of its time
            yield [copy for copy in copies if copy.owner in whose and start and _begins(copy.taken, start)]
    yield [copy for copy in copies if text and copy.name.startswith(text)]


def _begins(taken: datetime, start: str) -> bool:
    whole = f"{taken:%Y-%m-%dT%H:%M:%S.%f}"
    return whole.startswith(start) or whole.partition("T")[2].startswith(start)


def _ambiguous(found: Sequence[Named], text: str, doing: str) -> NoUsableCopy:
    shown = [short(copy) if len({short(one) for one in found}) == len(found) else copy.name for copy in found[:SHOWN]]
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    why = f"{text} may be any of {len(found)} copies: {', '.join(shown)}{more}"
    return NoUsableCopy(doing, why, remedy="give one of these names", code="ambiguous-copy")
