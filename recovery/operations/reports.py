"""The reports of recoveries in S3: ``PREFIX/CLUSTER/reports/UTCTIME.json``, and ``.md`` beside it for eyes."""

import json
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from recovery.cluster import Cluster
from recovery.copies.copy import TIME
from recovery.errors import StoreError
from recovery.operations.report import RecoveryReport, as_json, as_markdown
from recovery.s3.clock import SKEW
from recovery.steps import journal

REPORT = re.compile(r"(\d{8}T\d{12}Z)\.json")


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


def among(files: Iterable[str]) -> list[str]:
    """The names of the reports among files of their folder, newest first. No report is of a time that is still to come."""
    latest = (datetime.now(UTC) + SKEW).strftime(TIME)
    found = (REPORT.fullmatch(file) for file in files)
    return sorted((match[1] for match in found if match and _is_time(match[1]) and match[1] <= latest), reverse=True)


def _is_time(name: str) -> bool:
    try:
        datetime.strptime(name, TIME).replace(tzinfo=UTC)
    except ValueError:
        return False
    return True


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
    key = f"{cluster.settings.keys.reports}{name or found[0]}.json"
    document: Mapping[str, Any] = json.loads(cluster.store.get(key))
    return document


def every(cluster: Cluster) -> list[Mapping[str, Any]]:
    """All reports, newest first. Raises: StoreError."""
    store, folder = cluster.store, cluster.settings.keys.reports
    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(lambda name: json.loads(store.get(f"{folder}{name}.json")), names(cluster)))
