"""The note of a node in maintenance: which availability it had before `requorum drain`, and until when it is to be drained.

The note is a label of the node's entry. It is in the raft log and in every copy, so it outlives the person who drained the
node, and a recovery (docs/decisions/071-maintenance-is-a-label.md).
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from recovery.swarm.drained import AVAILABILITIES
from recovery.swarm.entries import Member

NOTE = "requorum.maintenance"
"""Its value is the availability, and behind a blank the time, if there is one: ``active 2026-01-31T12:00:00+00:00``."""
DRAINED = "drain"


@dataclass(frozen=True)
class Maintenance:
    """What is noted of a node in maintenance."""

    before: str
    """The availability that the node gets back."""
    until: datetime | None = None

    @classmethod
    def of(cls, entry: Member | None) -> Self | None:
        """What the label of an entry says. None without a label, or if nobody can read it."""
        before, _, end = (entry.labels.get(NOTE, "") if entry else "").partition(" ")
        if before not in AVAILABILITIES:
            return None
        try:
            until = datetime.fromisoformat(end) if end else None
        except ValueError:
            return None
        return cls(before, until if until is None or until.tzinfo else until.replace(tzinfo=UTC))

    @property
    def label(self) -> str:
        """The value of the label."""
        return f"{self.before} {self.until.astimezone(UTC).isoformat()}" if self.until else self.before

    @property
    def text(self) -> str:
        """The maintenance in a few words."""
        return "maintenance" + (f" until {self.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if self.until else "")

    def is_over(self, now: datetime) -> bool:
        """Whether its end has passed."""
        return self.until is not None and self.until < now
