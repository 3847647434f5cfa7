"""When the quorum was lost, as far as that is known, and for how long the swarm had none. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from recovery.planning.diagnosis import Kind
from recovery.steps.entry import Entry

LOST = frozenset({Kind.QUORUM_LOST, Kind.ALL_LOST})


@dataclass(frozen=True)
class Outage:
    """The loss of a quorum, and its end."""

    began: datetime | None
    """When a node lost the last leader; None if no node that answers could tell."""
    seen_by: str
    """The node that could tell."""
    not_before: datetime | None
    """When the newest copy was taken: the swarm had a leader then."""
    not_after: datetime
    """When Requorum first planned its recovery."""
    back: datetime | None
    """When the quorum was back; None if that step was interrupted."""

    @property
    def loss(self) -> dict[str, str | None]:
        """The beginning, for the report."""
        return {
            "began": _iso(self.began),
            "seenBy": self.seen_by or None,
            "notBefore": _iso(self.not_before),
            "notAfter": _iso(self.not_after),
        }

    @property
    def length(self) -> dict[str, float | None]:
        """Seconds without a quorum, for the report: exact if the beginning is known, else bounds."""
        return {
            "seconds": _between(self.began, self.back),
            "atLeast": _between(self.began or self.not_after, self.back),
            "atMost": _between(self.began or self.not_before, self.back),
        }


def outage_of(plans: Sequence[Entry], back: datetime | None) -> Outage | None:
    """The outage that the journal's plans tell of, oldest first; None if no quorum was lost."""
    first = next((plan for plan in plans if plan.facts["diagnosis"] in LOST), None)
    if first is None:
        return None
    copied = _read(first.facts.get("copied"))
    told = {node: _read(moment) for node, moment in first.facts.get("leaderSeen", {}).items()}
    fits = {
        node: moment
        for node, moment in told.items()
        if moment and moment <= first.begun and (copied is None or moment >= copied)
    }
    last = max(fits, key=lambda node: fits[node], default="")
    return Outage(fits.get(last), last, copied, first.begun, back)


def _read(moment: Any) -> datetime | None:
    return datetime.fromisoformat(moment) if moment else None


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _between(begin: datetime | None, end: datetime | None) -> float | None:
    return round((end - begin).total_seconds(), 3) if begin and end else None
