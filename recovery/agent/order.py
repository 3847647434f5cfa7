"""Whose turn it is to take a copy after a change: decided by each manager alone, from what all of them see.

The first of the managers that can be reached copies at once. Any other waits, and copies only where no copy of what the
swarm holds now is in S3, and none has come since it last looked. So one manager does the work, and none is relied on.
Whoever has no proven copy to show for it tries the same again less and less often: each try writes to the swarm.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Entries = Iterable[Mapping[str, Any]]
FIRST_PAUSE, LONGEST_PAUSE = 10.0, 600.0
"""Seconds from the end of a try to the next; each pause is twice the one before it."""


class Order(StrEnum):
    """What is to be done about a change."""

    COPY = "copy"
    COVERED = "covered"
    """A copy holds it."""
    WAIT = "wait"
    """Another manager is at it, or it is too early to try again."""


@dataclass(frozen=True)
class View:
    """A swarm at one moment, as one of its managers sees it."""

    fingerprint: str
    """The same for all managers as long as nothing changes that a copy should hold."""
    rank: int
    """How many managers copy before this one does."""


@dataclass(frozen=True)
class Mark:
    """What the newest proven copy in S3 holds, as the agent that stored it noted there."""

    fingerprint: str
    copy: str
    """Its name."""


def decide(
    view: View, covered: str, seen: str, mark: Mark | None, *, due: bool = False, resting: bool = False
) -> Order:
    """``covered`` is what this manager knows to be in a copy, ``seen`` the copy that was the newest when it last looked.

    ``due`` is whether a copy is to be taken in any case, ``resting`` whether it is too early to try again.
    """
    if not due and view.fingerprint in (covered, mark and mark.fingerprint):
        return Order.COVERED
    if resting:
        return Order.WAIT
    if due or view.rank == 0:
        return Order.COPY
    return Order.WAIT if mark and mark.copy != seen else Order.COPY


def pause(tries: int) -> float:
    """Seconds from the end of one try to the next of the same, after so many."""
    return min(FIRST_PAUSE * 2.0 ** (min(tries, 16) - 1), LONGEST_PAUSE)


def view(holdings: Mapping[str, Entries], swarm: Mapping[str, Any], node_id: str) -> View:
    """From the engine's lists, its ``GET /swarm``, and the node's own ID.

    Of nodes only the specification counts: their status comes and goes, and a copy itself updates one.
    """
    facts: list[Any] = [swarm["ID"], swarm["Version"]["Index"]]
    for kind, entries in sorted(holdings.items()):
        facts.append([kind, *sorted(_fact(kind, entry) for entry in entries)])
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return View(digest, rank(holdings["nodes"], node_id))


def rank(nodes: Entries, node_id: str) -> int:
    """How many of the managers that can be reached copy before this one does; the leader is the last, it has the most to do."""
    managers = [node for node in nodes if node.get("ManagerStatus", {}).get("Reachability") == "reachable"]
    order = [node["ID"] for node in sorted(managers, key=lambda node: (_leads(node), node["ID"]))]
    return order.index(node_id) if node_id in order else len(order)


def addresses(nodes: Entries) -> list[str]:
    """Where the managers of the engine's list take connections of raft, as ``HOST:PORT``."""
    return [node["ManagerStatus"]["Addr"] for node in nodes if "ManagerStatus" in node]


def _fact(kind: str, entry: Mapping[str, Any]) -> str:
    told = entry["Spec"] if kind == "nodes" else entry.get("Version", {}).get("Index", 0)
    return json.dumps([entry.get("ID") or entry["Id"], told], sort_keys=True)


def _leads(node: Mapping[str, Any]) -> bool:
    return bool(node["ManagerStatus"].get("Leader"))
