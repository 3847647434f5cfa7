"""A run whose end nobody has proven: it still runs, or it was interrupted."""

from collections.abc import Iterable
from datetime import UTC, datetime

from recovery.copies.copy import TIME
from recovery.operations.reports import among
from recovery.s3.keys import Keys
from recovery.steps.entry import ENTRY, PLAN


def begun(keys: Keys, listed: Iterable[str]) -> datetime | None:
    """When the run took its first step that no report covers; None if every step is in a report.

    ``listed`` has the keys of the cluster's folder. The names of the journal's entries are enough, so nothing is read.
    """
    found = tuple(listed)
    reports = among(key.removeprefix(keys.reports) for key in found if key.startswith(keys.reports))
    proven = next(iter(reports), "")
    entries = (key.removeprefix(keys.journal) for key in found if key.startswith(keys.journal))
    steps = sorted(name for name in entries if ENTRY.fullmatch(name) and name > proven and name.split("-")[1] != PLAN)
    return datetime.strptime(steps[0].split("-")[0], TIME).replace(tzinfo=UTC) if steps else None
