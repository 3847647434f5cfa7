"""The reports of recoveries in S3: ``PREFIX/CLUSTER/reports/UTCTIME.json``, and ``.md`` beside it for eyes."""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from recovery.cluster import Cluster
from recovery.copies.copy import TIME
from recovery.errors import StoreError
from recovery.operations.page import as_markdown
from recovery.operations.report import RecoveryReport, as_json
from recovery.operations.report_names import among
from recovery.steps import journal
from recovery.swarm.records import NO_RECORD, Unfit, parsed


def write(cluster: Cluster, account: RecoveryReport) -> str:
    """Write the report, then delete the journal's entries up to it; its name. Raises: StoreError."""
    store, keys, name = cluster.store, cluster.settings.keys, account.ended.strftime(TIME)
    document = as_json(account, name)
    store.put(f"{keys.reports}{name}.md", as_markdown(document).encode())
    store.put(f"{keys.reports}{name}.json", json.dumps(document, indent=1).encode())
    journal.clear(cluster, [entry for entry in journal.names(cluster) if entry < name])
    return name


def names(cluster: Cluster) -> list[str]:
    """The names of all reports, newest first. Raises: StoreError."""
    folder = cluster.settings.keys.reports
    return among(key.removeprefix(folder) for key in cluster.store.keys(folder))


def load(cluster: Cluster, name: str = "") -> Mapping[str, Any]:
    """A report by its name, or the newest. Raises: StoreError, also when there is none."""
    found = names(cluster)
    if not found or (name and name not in found):
        raise StoreError(
            f"reading report {name or '(newest)'}",
            "there is no such report",
            remedy="list the reports: requorum reports",
            code="no-such-name",
        )
    try:
        return _read(cluster, name or found[0])
    except Unfit as error:
        raise StoreError(
            f"reading report {name or found[0]}",
            f"it is no report: {error}",
            remedy="choose another one from the list: requorum reports",
            code="report-unreadable",
        ) from None


def every(cluster: Cluster) -> tuple[list[Mapping[str, Any]], list[str]]:
    """All reports, newest first, and the names of those that cannot be read. Raises: StoreError."""

    def one(name: str) -> Mapping[str, Any] | None:
        try:
            return _read(cluster, name)
        except Unfit:
            return None

    with ThreadPoolExecutor(max_workers=8) as pool:
        found = dict(zip(listed := names(cluster), pool.map(one, listed), strict=True))
    return [document for document in found.values() if document], [name for name in listed if not found[name]]


def _read(cluster: Cluster, name: str) -> Mapping[str, Any]:
    """A report, from which its page can be made. Raises: Unfit, StoreError."""
    document = parsed(cluster.store.get(f"{cluster.settings.keys.reports}{name}.json"))
    try:
        as_markdown(document)
        return {**document, "begun": document["begun"], "rpo": {"entries": None, **document["rpo"]}, "name": name}
    except NO_RECORD as error:
        raise Unfit(f"{type(error).__name__}: {error}") from None
