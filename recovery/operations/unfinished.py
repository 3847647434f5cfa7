"""A run whose end nobody has proven: it still runs, or it was interrupted."""

from datetime import datetime

from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog
from recovery.operations import reports
from recovery.steps import journal
from recovery.steps.entry import ENTRY, PLAN


def begun(cluster: Cluster, catalog: Catalog) -> datetime | None:
    """When the run took its first step that no report covers; None if every step is in a report. Raises: StoreError.

    If the listing has no entry of a step, nothing is read.
    """
    folder = cluster.settings.keys.journal
    names = (key.removeprefix(folder) for key in catalog.keys if key.startswith(folder))
    if not any(ENTRY.fullmatch(name) and name.split("-")[1] != PLAN for name in names):
        return None
    entries = journal.read(cluster, after=reports.newest(cluster, catalog.store), store=catalog.store)
    return next((entry.begun for entry in entries if entry.action != PLAN), None)
