"""One entry of the journal, and the document that is stored of it."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from recovery.copies.copy import TIME
from recovery.planning.steps import Action

PLAN = "plan"
"""The action of the first entry of a run, which holds the diagnosis and the plan."""
LASTING = (PLAN, Action.PROVE)
"""The actions whose entries a report needs, one of each in a run. Writing them has longer limits."""
ENTRY = re.compile(r"\d{8}T\d{12}Z-[a-z]+-[a-z0-9-]+\.json$")
"""The form of an entry's name. It excludes copies of a manager with the name `journal`."""
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
        seconds = round((now - self.begun).total_seconds(), 3)
        return replace(self, outcome=FAILED if error else DONE, seconds=seconds, error=error)

    def to_document(self) -> dict[str, Any]:
        """The entry as it is stored."""
        return {**asdict(self), "begun": self.begun.isoformat()}


def from_document(document: Mapping[str, Any]) -> Entry:
    """A stored entry."""
    return Entry(**{**document, "begun": datetime.fromisoformat(document["begun"])})
