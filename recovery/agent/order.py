"""Decides which manager takes a copy after a change. Each manager decides alone, from facts that all managers know.

The first reachable manager copies at once. Any other manager waits. It copies only if S3 has no copy of the swarm's
current state, and no new copy since it last asked. So one manager does the work, and any other can replace it. A
manager whose copies are not proven tries the same state again less and less often: each try writes to the swarm.
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
    """What a manager does about a change."""

    COPY = "copy"
    COVERED = "covered"
    """A copy holds the change."""
    WAIT = "wait"
    """Another manager copies, or it is too early to try again."""


@dataclass(frozen=True)
class View:
    """A swarm at one moment, as one of its managers sees it."""

    fingerprint: str
    """A digest of everything that a copy should hold. It is the same on all managers until something changes."""
    rank: int
    """How many managers copy before this one does."""


@dataclass(frozen=True)
class Mark:
    """The note in S3 about the newest proven copy: the fingerprint of the state that it holds, and its name."""

    fingerprint: str
    copy: str


def decide(
    view: View, covered: str, seen: str, mark: Mark | None, *, due: bool = False, resting: bool = False
) -> Order:
    """Decide whether this manager copies now.

    ``covered`` is the fingerprint that this manager knows to be in a copy. ``seen`` is the newest copy when it last
    asked. ``due`` means that a copy is taken in any case, ``resting`` that it is too early to try again.
    """
    if not due and view.fingerprint in (covered, mark and mark.fingerprint):
        return Order.COVERED
    if resting:
        return Order.WAIT
    if due or view.rank == 0:
        return Order.COPY
    return Order.WAIT if mark and mark.copy != seen else Order.COPY


def pause(tries: int) -> float:
    """Seconds from the end of a try to the next try of the same state, after that many tries."""
    return min(FIRST_PAUSE * 2.0 ** (min(tries, 16) - 1), LONGEST_PAUSE)


def view(holdings: Mapping[str, Entries], swarm: Mapping[str, Any], node_id: str) -> View:
    """The view in the engine's lists, its ``GET /swarm``, and the node's own ID.

    Only the specification of nodes counts: their status changes all the time, and a copy itself updates a node.
    """
    facts: list[Any] = [swarm["ID"], swarm["Version"]["Index"]]
    for kind, entries in sorted(holdings.items()):
        facts.append([kind, *sorted(_fact(kind, entry) for entry in entries)])
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return View(digest, rank(holdings["nodes"], node_id))


def rank(nodes: Entries, node_id: str) -> int:
    """How many reachable managers copy before this one. The leader is last, because it has the most to do."""
    managers = [node for node in nodes if node.get("ManagerStatus", {}).get("Reachability") == "reachable"]
    order = [node["ID"] for node in sorted(managers, key=lambda node: (_leads(node), node["ID"]))]
    return order.index(node_id) if node_id in order else len(order)


def addresses(nodes: Entries) -> list[str]:
    """The raft addresses of the managers in the engine's list, as ``HOST:PORT``."""
    return [node["ManagerStatus"]["Addr"] for node in nodes if "ManagerStatus" in node]


def _fact(kind: str, entry: Mapping[str, Any]) -> str:
    content = entry["Spec"] if kind == "nodes" else entry.get("Version", {}).get("Index", 0)
    return json.dumps([entry.get("ID") or entry["Id"], content], sort_keys=True)


def _leads(node: Mapping[str, Any]) -> bool:
    return bool(node["ManagerStatus"].get("Leader"))
