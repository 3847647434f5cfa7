"""When somebody watched a swarm, when it had no quorum, and when proven copies were taken. Times are whole seconds of Unix time.

Many observers write histories that overlap. So a history is spans of time, and two histories are one by union.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from recovery.swarm import records

Span = tuple[int, int]
"""From the first second on, up to the second."""
MOST_SPANS, MOST_COPIES = 500, 1000
"""What a history keeps: the newest of each. Copies are an hour apart or more, so that these are some forty days."""
HOUR = 3600


@dataclass(frozen=True)
class History:
    """What one manager saw."""

    watched: tuple[Span, ...] = ()
    lost: tuple[Span, ...] = ()
    """When the manager watched and its swarm had no leader, or its engine did not answer."""
    proven: tuple[int, ...] = ()
    """When the manager took a proven copy, at most one in an hour."""

    @property
    def copies_from(self) -> int | None:
        """From when on it has every copy; None if it dropped none."""
        return self.proven[0] if len(self.proven) >= MOST_COPIES else None

    @property
    def seen(self) -> tuple[Span, ...]:
        """When the manager watched, as far as it still has every loss of then."""
        full = len(self.lost) >= MOST_SPANS
        return without(self.watched, ((0, self.lost[0][0]),)) if full else self.watched

    def joined(self, other: "History") -> "History":
        """All that both tell, as far as it is kept."""
        copies = hourly((*self.proven, *other.proven))
        return History(
            union(self.watched, other.watched)[-MOST_SPANS:],
            union(self.lost, other.lost)[-MOST_SPANS:],
            tuple(copies[-MOST_COPIES:]),
        )

    def until(self, now: int) -> "History":
        """Without what is told of the future, which nobody saw."""
        whole: Span = (0, now)
        return History(
            common(self.watched, (whole,)), common(self.lost, (whole,)), tuple(at for at in self.proven if at <= now)
        )


def read(text: bytes) -> History:
    """The history in a text of JSON, as far as it is kept; an empty one if the text is none."""
    try:
        return records.read(History, text).joined(History())
    except records.Unfit:
        return History()


def union(*many: Iterable[Span]) -> tuple[Span, ...]:
    """The spans in which any of these is, without overlaps, in their order."""
    joined: list[Span] = []
    for begun, ended in sorted(span for spans in many for span in spans if span[0] < span[1]):
        if joined and begun <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(ended, joined[-1][1]))
        else:
            joined.append((begun, ended))
    return tuple(joined)


def common(some: Iterable[Span], others: Iterable[Span]) -> tuple[Span, ...]:
    """The spans in which both are."""
    theirs = union(others)
    found = ((max(a, c), min(b, d)) for a, b in union(some) for c, d in theirs)
    return tuple(span for span in found if span[0] < span[1])


def without(some: Iterable[Span], others: Iterable[Span]) -> tuple[Span, ...]:
    """The spans in which the first are and none of the others is."""
    rest = union(some)
    for begun, ended in union(others):
        parts = (part for a, b in rest for part in ((a, min(b, begun)), (max(a, ended), b)))
        rest = tuple(part for part in parts if part[0] < part[1])
    return rest


def length(spans: Iterable[Span]) -> int:
    """The seconds of spans that do not overlap."""
    return sum(ended - begun for begun, ended in spans)


def hourly(times: Iterable[int]) -> list[int]:
    """The newest time of each hour, in their order."""
    return sorted({at // HOUR: at for at in sorted(times)}.values())


def longest_gap(times: Sequence[int], within: Span) -> int:
    """The longest time in a span without one of these, counted from the last one before the span if there is one."""
    begun, ended = within
    before = max((at for at in times if at <= begun), default=begun)
    inside = [at for at in times if begun < at <= ended]
    return max(after - earlier for earlier, after in pairwise([before, *inside, ended]))
