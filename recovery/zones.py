"""Managers over three zones, so that losing one zone never loses the quorum."""

from collections import Counter
from collections.abc import Sequence

MANAGER_COUNTS = (3, 5, 7, 9)
"""Odd counts only: an even one costs a machine and tolerates no more losses."""


def quorum(managers: int) -> int:
    """How many of ``managers`` must answer for the swarm to accept a change."""
    return managers // 2 + 1


def tolerates(managers: int) -> int:
    """How many of ``managers`` may be lost with the quorum kept."""
    return managers - quorum(managers)


def placement(count: int, zones: Sequence[str]) -> tuple[str, ...]:
    """The zone of each of ``count`` managers: 3 = 1-1-1, 5 = 2-2-1, 7 = 3-2-2, 9 = 3-3-3."""
    return tuple(zones[index % len(zones)] for index in range(count))


def names(zones_of: Sequence[str]) -> tuple[str, ...]:
    """Manager names by zone: ``manager-a``, ``manager-b``, …, then ``manager-a2``."""
    seen: Counter[str] = Counter()
    result = []
    for zone in zones_of:
        seen[zone] += 1
        result.append(f"manager-{zone}" + (str(seen[zone]) if seen[zone] > 1 else ""))
    return tuple(result)


def survives_any_zone(zones_of: Sequence[str]) -> bool:
    """Whether the quorum is kept when any one zone is lost with all its managers."""
    return max(Counter(zones_of).values()) <= tolerates(len(zones_of))
