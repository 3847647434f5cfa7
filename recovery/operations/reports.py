"""The reports of recoveries in S3: ``PREFIX/CLUSTER/reports/UTCTIME.json``, and ``.md`` beside it for eyes."""

import json
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from recovery.copies.copy import TIME
from recovery.errors import StoreError
from recovery.operations.report import RecoveryReport, as_json, as_markdown
from recovery.s3.store import Store
from recovery.settings import Settings
from recovery.steps import journal

REPORT = re.compile(r"(\d{8}T\d{12}Z)\.json$")


def write(settings: Settings, account: RecoveryReport) -> str:
    """Write the report, then delete the journal's entries up to it; its name. Raises: StoreError."""
    store, name = Store(settings.backup.sites), account.ended.strftime(TIME)
    document = as_json(account, name)
    store.put(f"{settings.keys.reports}{name}.md", as_markdown(document).encode())
    store.put(f"{settings.keys.reports}{name}.json", json.dumps(document, indent=1).encode())
    journal.clear(settings, [entry for entry in journal.names(settings) if entry < name])
    return name


def names(settings: Settings) -> list[str]:
    """The names of all reports, newest first. Raises: StoreError."""
    folder = settings.keys.reports
    found = (REPORT.match(key.removeprefix(folder)) for key in Store(settings.backup.sites).keys(folder))
    return sorted((match[1] for match in found if match), reverse=True)


def load(settings: Settings, name: str = "") -> Mapping[str, Any]:
    """A report by its name, or the newest. Raises: StoreError, also when there is none."""
    found = names(settings)
    if not found or (name and name not in found):
        raise StoreError(
            f"reading report {name or '(newest)'}",
            "there is no such report",
            remedy="list the reports: requorum reports",
            code="no-such-name",
        )
    document: Mapping[str, Any] = json.loads(
        Store(settings.backup.sites).get(f"{settings.keys.reports}{name or found[0]}.json")
    )
    return document


def every(settings: Settings) -> list[Mapping[str, Any]]:
    """All reports, newest first. Raises: StoreError."""
    store, folder = Store(settings.backup.sites), settings.keys.reports
    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(lambda name: json.loads(store.get(f"{folder}{name}.json")), names(settings)))
