"""Which copies are newer, and which hold more, where the clocks of their machines may differ. Pure.

If the times of two machines are close together, they do not say which copy is newer. Within one history of a swarm, the position
in the log says it: what is committed only grows, by term and then by index. But a recovery may give up the end of a history. So
the position does not count against a copy that is certainly newer (docs/decisions/084-clocks-that-differ.md).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import TypeVar

from recovery.copies.copy import Copy
from recovery.copies.manifest import Manifest, Verdict
from recovery.errors import DamagedCopy, UnreadCopy
from recovery.spans import SKEW

APART = 2 * SKEW
"""By how much the times of two machines may differ. The clock of each may differ from S3's by `SKEW`."""
Committed = tuple[int, int]
"""How far a log is committed: term and index."""
R = TypeVar("R")


def is_later(copy: Copy, other: Copy) -> bool:
    """Whether a copy was certainly taken after another one.

    For two copies of one manager, the times in their names and the times at which S3 stored them must agree. A copy of another
    manager was taken before S3 stored it. A clock that was ahead says nothing about the copies of other managers.
    """
    if copy.manager == other.manager and copy.taken > other.taken and _stored(copy) >= _stored(other):
        return True
    return not copy.ahead and copy.taken - _at_most(other) > APART


def may_be_newest(copies: Iterable[Copy]) -> tuple[Copy, ...]:
    """The copies of which none can be called the newest for certain: no other copy `is_later`. Each is looked at once, because an
    agent uploads copies that waited for days the newest first, and then every one may be the newest.
    """
    ordered = sorted(copies, key=lambda copy: copy.taken, reverse=True)
    newest = max((copy.taken for copy in ordered if not copy.ahead), default=None)
    found, stored = list[Copy](), dict[str, datetime]()
    for copy in ordered:
        last = stored.get(copy.manager)
        if (last is None or last < _stored(copy)) and (newest is None or newest - _at_most(copy) <= APART):
            found.append(copy)
        stored[copy.manager] = max(last or _stored(copy), _stored(copy))
    return tuple(found)


def furthest(copies: Mapping[Copy, Manifest]) -> Copy | None:
    """Of the copies that may be the newest, the one that is committed furthest; None without copies."""
    return max(may_be_newest(copies), key=lambda copy: (copies[copy].position.committed, copy.dated), default=None)


def furthest_first(
    read: Iterable[tuple[Copy, R]], committed: Callable[[R], Committed | None]
) -> Iterator[tuple[Copy, R]]:
    """The copies in the order in which a recovery would use them. They are given newest first, and are read as far as the
    caller iterates.

    Of copies whose times are close together, the one that is committed furthest comes first. The copies of one manager stay in
    their order. The time of a copy decides if ``committed`` returns None. It also decides if an older copy of a manager is
    committed further than a newer one: a recovery gave up its end, or somebody set the clock back.
    """
    given, near, least = iter(read), dict[Copy, R](), dict[str, Committed]()
    following = next(given, None)
    while near or following:
        while following and (not near or _are_close(next(iter(near)), following[0])):
            near[following[0]] = following[1]
            following = next(given, None)
        copy = _first(near, least, committed)
        found = near.pop(copy)
        if reach := committed(found):
            least[copy.manager] = min(reach, least.get(copy.manager, reach))
        yield copy, found


def by_trust(read: Iterable[tuple[Copy, Manifest | DamagedCopy]]) -> Iterator[Copy]:
    """The copies in the order in which a swarm would be restored from them: proven ones first, then unproven ones, then those
    that failed their restore test. Otherwise they stay in the given order. An unread one may be proven.
    """
    rest: dict[Verdict, list[Copy]] = {Verdict.UNPROVEN: [], Verdict.FAILED: []}
    for copy, manifest in read:
        verdict = Verdict.UNPROVEN if isinstance(manifest, DamagedCopy) else manifest.verdict
        if verdict is Verdict.PROVEN or isinstance(manifest, UnreadCopy):
            yield copy
        else:
            rest[verdict].append(copy)
    for left in rest.values():
        yield from left


def _first(near: Mapping[Copy, R], least: Mapping[str, Committed], committed: Callable[[R], Committed | None]) -> Copy:
    """Which of the copies comes first. ``least`` is the least that the earlier ones of each manager are committed.

    A copy that says nothing hides no older one of its manager, and comes before it.
    """
    newest, heads, firsts, reach = next(iter(near)), dict[str, Copy](), dict[str, Copy](), dict[Copy, Committed]()
    for copy, found in near.items():
        firsts.setdefault(copy.manager, copy)
        if copy.manager not in heads and (position := committed(found)):
            heads[copy.manager] = copy
            if position <= least.get(copy.manager, position):
                reach[copy] = position
    if newest not in reach:
        return newest
    return firsts[max(reach, key=lambda copy: (reach[copy], copy.taken)).manager]


def _are_close(newer: Copy, older: Copy) -> bool:
    return not (newer.ahead or older.ahead) and newer.taken - older.taken <= APART


def _stored(copy: Copy) -> datetime:
    return copy.written or copy.taken


def _at_most(copy: Copy) -> datetime:
    """The latest time at which a copy can have been taken: before S3 stored it, unless its clock is ahead of S3's."""
    return max(copy.dated, _stored(copy))
