"""Decides how each edit must end, only from the stack files before and after it, and from who is lost.

It knows a machine by its address. It does not use the code that plans, and not the code that reads settings.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.edits.files import Edit, File, State, lost

LIVES = (State.HEALTHY, State.ONE_LOST)
"""The swarm has a leader all the time."""


@dataclass(frozen=True)
class Expected:
    """What must be so in the end, by the addresses of machines."""

    refusal: str
    """The code of the refusal. If there is one, nothing else may have changed."""
    managers: frozenset[str]
    """The machines that vote."""
    workers: frozenset[str]
    kept: frozenset[str]
    """The machines that have the node ID of before."""
    left: frozenset[str]
    """The machines that are in no swarm any more. Lost ones were in none before."""
    loyal: frozenset[str]
    """The managers that must not lose their vote for a moment."""
    stays: frozenset[str]
    """The machines that leave the swarm at no moment."""
    other_votes: frozenset[str]
    """The machines that vote only before or only after the edit, if the swarm has a leader all the time."""
    changing: frozenset[str]
    """The machines whose entries may change while the swarm has a leader."""
    availability: Mapping[str, str]
    """What the file names. Several managers of a swarm that was not taken over are drained."""
    labels: Mapping[str, Mapping[str, str]]

    @property
    def nodes(self) -> frozenset[str]:
        return self.managers | self.workers


def expected(edit: Edit, state: State, before: File, after: File) -> Expected:
    """How an edit must end."""
    was_manager, was_worker = _addresses(before, "managers"), _addresses(before, "workers")
    managers, workers = _addresses(after, "managers"), _addresses(after, "workers")
    gone = set(lost(state, [node["address"] for node in before.managers]))
    old, new = was_manager | was_worker, managers | workers
    # A copy holds the identity of a manager. One that is lost and becomes a worker may be another node afterwards.
    kept = (old & new) - (gone & workers if edit.copied else gone)
    remade = was_manager if state not in LIVES else set()
    was, now = _entries(before), _entries(after)
    return Expected(
        refusal=edit.refused.get(state, ""),
        managers=frozenset(managers),
        workers=frozenset(workers),
        kept=frozenset(kept),
        left=frozenset(old - new),
        loyal=frozenset((was_manager & managers) - gone) if state in LIVES else frozenset(),
        stays=frozenset((old & new) - gone - remade),
        other_votes=frozenset(was_manager ^ managers) if state in LIVES else frozenset(),
        changing=frozenset({address for address in old | new if was.get(address) != now.get(address)} | gone),
        availability={address: entry[1] for address, entry in now.items() if entry[1]},
        labels={address: entry[2] for address, entry in now.items()},
    )


def _entries(file: File) -> dict[str, tuple[str, str, dict[str, str]]]:
    """The role, the availability if the file names one, and the labels of each machine. A single manager stays as it is."""
    kept = bool(file.values.get("clusterId")) or len(file.managers) == 1
    return {
        node["address"]: (
            group,
            node.get("availability", "drain" if group == "managers" and not kept else ""),
            node.get("labels", {}),
        )
        for group, nodes in (("managers", file.managers), ("workers", file.workers))
        for node in nodes
    }


def _addresses(file: File, group: str) -> set[str]:
    nodes: list[dict[str, Any]] = file.values[group]
    return {node["address"] for node in nodes}
