"""The reports of recoveries in S3: ``PREFIX/CLUSTER/reports/UTCTIME.json``, and ``.md`` and ``.html`` beside it for eyes.

An operator signs the JSON. A report without a valid signature is shown with the reason, and ends no run and no consent.
"""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

from recovery.cluster import Cluster
from recovery.copies.copy import TIME
from recovery.errors import StoreError
from recovery.node.signing import Kind, Signed
from recovery.operations.page import report as page_of_report
from recovery.operations.page.markdown import as_markdown
from recovery.operations.report import RecoveryReport, as_json
from recovery.operations.report_names import ahead, among
from recovery.s3.store import Store
from recovery.steps import journal
from recovery.swarm.records import NO_RECORD


def write(cluster: Cluster, account: RecoveryReport) -> tuple[str, str]:
    """Write the report, then delete the journal's entries up to it; its name and its page. Raises: StoreError, SettingError."""
    store, keys, name = cluster.store, cluster.settings.keys, account.ended.strftime(TIME)
    document = as_json(account, name)
    store.put(f"{keys.reports}{name}.md", as_markdown(document).encode())
    made = page_of_report.page(document)
    store.put(f"{keys.reports}{name}.html", made.encode())
    key = f"{keys.reports}{name}.json"
    store.put(key, cluster.operators.sign(Kind.REPORT, key, document))
    journal.clear(cluster, [entry for entry in journal.names(cluster) if entry < name])
    return name, made


def names(cluster: Cluster) -> list[str]:
    """The names of all reports, newest first. Raises: StoreError."""
    return among(_files(cluster, cluster.store))


def newest(cluster: Cluster, store: Store) -> str:
    """The name of the newest report that an operator signed; empty without one. Raises: StoreError."""
    return next(_signed(cluster, store, among(_files(cluster, store))), "")


def proofs(cluster: Cluster, store: Store) -> str:
    """What tells one proof from the one before: the newest report, after those of an operator whose clock is ahead. Raises: StoreError."""
    files = _files(cluster, store)
    early = _signed(cluster, store, ahead(files))
    return " ".join([*early, *islice(_signed(cluster, store, among(files)), 1)])


def _files(cluster: Cluster, store: Store) -> list[str]:
    folder = cluster.settings.keys.reports
    return [key.removeprefix(folder) for key in store.keys(folder)]


def _signed(cluster: Cluster, store: Store, found: Iterable[str]) -> Iterator[str]:
    """Those of the names whose reports an operator signed. Each is read when it is asked for."""
    return (name for name in found if not _read(cluster, store, name).fault)


def load(cluster: Cluster, name: str = "") -> Mapping[str, Any]:
    """A report by its name, or the newest that an operator signed, if there is one. Raises: StoreError, also when there is none."""
    found = names(cluster)
    if not found or (name and name not in found):
        raise StoreError(
            f"reading report {name or '(newest)'}",
            "there is no such report",
            remedy="list the reports: requorum reports",
            code="no-such-name",
        )
    chosen = name or newest(cluster, cluster.store) or found[0]
    if not (document := _shown(cluster, chosen)):
        raise _no_report(chosen)
    return document


def page(cluster: Cluster, name: str = "") -> str:
    """The page of a report by its name, or of the newest. Raises: as `load`, also if no page can be made of what nobody signed."""
    document = load(cluster, name)
    try:
        return page_of_report.page(document)
    except NO_RECORD:
        raise _no_report(str(document["name"])) from None


def _no_report(name: str) -> StoreError:
    return StoreError(
        f"reading report {name}",
        "it is no report",
        remedy="choose another one from the list: requorum reports",
        code="report-unreadable",
    )


def every(cluster: Cluster) -> tuple[list[Mapping[str, Any]], list[str]]:
    """All reports, newest first, and the names of those that cannot be read. Raises: StoreError."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        listed = names(cluster)
        found = dict(zip(listed, pool.map(lambda name: _shown(cluster, name), listed), strict=True))
    return [document for document in found.values() if document], [name for name in listed if not found[name]]


def _shown(cluster: Cluster, name: str) -> Mapping[str, Any]:
    """A report as commands show it: with ``unsigned``, if no operator signed it, which says why. Empty if no page can be made of it."""
    found = _read(cluster, cluster.store, name)
    document = found.document
    if not found.fault:
        return {**document, "name": name}
    try:
        as_markdown(document)
        shown = {**document, "begun": document["begun"], "rpo": {"entries": None, **document["rpo"]}, "name": name}
    except NO_RECORD:
        return {}
    return {**shown, "unsigned": found.fault}


def _read(cluster: Cluster, store: Store, name: str) -> Signed:
    key = f"{cluster.settings.keys.reports}{name}.json"
    return cluster.operators.read(Kind.REPORT, key, store.look(key) or b"")
