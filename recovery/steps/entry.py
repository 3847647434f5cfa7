"""One entry of the journal, and its JSON."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from recovery.copies.copy import TIME
from recovery.planning.steps import Action

PLAN = "plan"
"""The action of the entry that begins a run: what was found and what is to be done."""
LASTING = (PLAN, Action.PROVE)
"""The actions whose entries a report cannot do without, one of each in a run: they are written with patience."""
ENTRY = re.compile(r"\d{8}T\d{12}Z-[a-z]+-[a-z0-9-]+\.json$")
"""Names of entries: copies of a manager that is called `journal` are none."""
BEGUN, DONE, FAILED = "begun", "done", "failed"


@dataclass(frozen=True)
class Entry:
    """One step: where, when (UTC), how long (seconds, None until it ended), and what became of it."""

    action: str
    node: str
    begun: datetime
    who: str
    outcome: str = BEGUN
    seconds: float | None = None
    error: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Of a plan: what was found, what is to be done, and which containers ran before."""

    @property
    def name(self) -> str:
        """The last part of its key; names sort by time."""
        return f"{self.begun.strftime(TIME)}-{self.action}-{self.node}.json"

    def ended(self, now: datetime, error: str = "") -> "Entry":
        """The same step when it is over."""
        seconds = round((now - self.begun).total_seconds(), 3)
        return replace(self, outcome=FAILED if error else DONE, seconds=seconds, error=error)

    def to_json(self) -> bytes:
        """The entry as it is stored."""
        return json.dumps({**asdict(self), "begun": self.begun.isoformat()}, indent=1).encode()


def from_json(text: bytes) -> Entry:
    """A stored entry. Raises: ValueError, TypeError, KeyError when it is none."""
    document = json.loads(text)
    return Entry(**{**document, "begun": datetime.fromisoformat(document["begun"])})
