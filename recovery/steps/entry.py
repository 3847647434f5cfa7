"""One entry of the journal, and the document that is stored of it."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from recovery.copies.copy import TIME, taken
from recovery.planning.steps import Action
from recovery.swarm import records


@dataclass(frozen=True)
class PlannedStep:
    """One step of a plan, as the journal has it."""

    action: str
    node: str
    effect: str


PLAN = "plan"
"""The action of the first entry of a run, which holds the diagnosis and the plan."""
LIKE = "swarm-20260102T030405000000Z"
"""A name with a time, where a plan restores no copy."""
LASTING = (PLAN, Action.PROVE)
"""The actions whose entries a report needs, one of each in a run. Writing them has longer limits."""
ENTRY = re.compile(r"\d{8}T\d{12}Z-[a-z]+-[a-z0-9-]+\.json$")
"""The form of an entry's name. It excludes copies of a manager with the name `journal`."""
NEEDED = frozenset({"diagnosis", "missing", "copy", "survivor"})
"""The facts without which a plan says nothing about a loss."""
FACTS: Mapping[str, Any] = {
    "how": str,
    "id": str | None,
    "consent": str,
    "copied": datetime | None,
    "leaderSeen": Mapping[str, datetime],
    "diagnosis": str,
    "evidence": tuple[str, ...],
    "missing": tuple[str, ...],
    "silent": tuple[str, ...],
    "copy": str | None,
    "survivor": str | None,
    "unsure": int,
    "losses": tuple[str, ...],
    "steps": tuple[PlannedStep, ...],
    "containers": Mapping[str, Mapping[str, str]],
}
"""The types of the facts of a plan."""
BEGUN, DONE, FAILED = "begun", "done", "failed"


@dataclass(frozen=True)
class Entry:
    """One step: its node, its start (UTC), its duration (seconds, None until it ended), and its outcome."""

    action: str
    node: str
    begun: datetime
    who: str
    outcome: str = BEGUN
    seconds: float | None = None
    error: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """The facts of a plan: the diagnosis, the steps, and the containers that ran before."""

    @property
    def name(self) -> str:
        """The last part of its key. Names sort by time."""
        return f"{self.begun.strftime(TIME)}-{self.action}-{self.node}.json"

    def ended(self, now: datetime, error: str = "") -> "Entry":
        """The entry of the ended step."""
        seconds = round(max((now - self.begun).total_seconds(), 0.0), 3)
        return replace(self, outcome=FAILED if error else DONE, seconds=seconds, error=error)

    def to_document(self) -> dict[str, Any]:
        """The entry as it is stored."""
        return {**asdict(self), "begun": self.begun.isoformat()}


def from_document(document: Mapping[str, Any]) -> Entry:
    """A stored entry. The facts of a plan have the declared types. Raises: Unfit."""
    entry = records.typed(Entry, document)
    if entry.outcome not in (BEGUN, DONE, FAILED):
        raise records.Unfit("it has an unknown outcome")
    if entry.action == PLAN:
        _check(entry.facts)
    return entry


def _check(facts: Mapping[str, Any]) -> None:
    """Raises: Unfit if facts are not those of a plan. Those of an earlier version may lack some."""
    if not facts.keys() >= NEEDED:
        raise records.Unfit("it lacks the facts of a plan")
    for key in FACTS.keys() & facts.keys():
        records.typed(FACTS[key], facts[key], key)
    try:
        taken(facts["copy"] or LIKE)
    except ValueError as error:
        raise records.Unfit(f"it names no copy: {error}") from None
