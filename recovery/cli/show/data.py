"""Data copies as a table, and as JSON of the contract (docs/json.md)."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich.markup import escape
from rich.table import Table

from recovery.cli.show import VERSION, span
from recovery.cli.show.copies import decisions_json
from recovery.copies.retention import Decision, Removal
from recovery.data.catalog import DataCopy, Read
from recovery.data.manifest import DataManifest
from recovery.errors import DamagedCopy


def table(copies: Sequence[Read], now: datetime, *, sites: bool = False) -> Table:
    """The copies as a table, newest first. With ``sites``, it shows where they are stored."""
    made = Table(box=None)
    made.add_column("copy", no_wrap=True, min_width=max((len(copy.name) for copy, _ in copies), default=0))
    for heading in ("age", "service", "source", "node", "data", "stored", "remarks", *(("sites",) if sites else ())):
        made.add_column(heading)
    for copy, manifest in copies:
        age = span(int((now - copy.dated).total_seconds())) + (" [yellow](clock ahead)[/]" if copy.ahead else "")
        where = (" and ".join(copy.sites),) if sites else ()
        if isinstance(manifest, DamagedCopy):
            made.add_row(copy.name, age, "", "", "", "", "", f"[red]{escape(manifest.why)}[/]", *where)
            continue
        remarks = "files changed during the copy" if manifest.changed else ""
        sizes = (f"{manifest.plain_size:,} B", f"{manifest.size:,} B")
        made.add_row(copy.name, age, manifest.service, escape(manifest.source), manifest.node, *sizes, remarks, *where)
    return made


def as_json(cluster: str, copies: Sequence[Read]) -> dict[str, Any]:
    """The copies as JSON of the contract."""
    return {"version": VERSION, "cluster": cluster, "copies": [_copy(copy, manifest) for copy, manifest in copies]}


def prune_json(
    cluster: str,
    decisions: Sequence[Decision[DataCopy]],
    removals: Sequence[Removal[DataCopy]],
    *,
    dry_run: bool,
) -> dict[str, Any]:
    """Each copy that is kept or removed, why, and the result, as JSON of the contract."""
    return {
        "version": VERSION,
        "cluster": cluster,
        "dryRun": dry_run,
        "copies": decisions_json(decisions, removals, _identity),
    }


def _identity(copy: DataCopy) -> dict[str, Any]:
    return {"name": copy.name, "key": copy.key, "data": copy.owner, "taken": copy.taken.isoformat()}


def _copy(copy: DataCopy, manifest: DataManifest | DamagedCopy) -> dict[str, Any]:
    common = {**_identity(copy), "clock": copy.clock or None, "sites": list(copy.sites)}
    if isinstance(manifest, DamagedCopy):
        return {**common, "error": manifest.why, "errorCode": manifest.code}
    found = asdict(manifest)
    return {
        **common,
        "error": None,
        "errorCode": None,
        "clusterId": found["cluster_id"],
        "plainSize": found["plain_size"],
        "plainSha256": found["plain_sha256"],
        **{
            key: found[key]
            for key in ("service", "image", "node", "slot", "volume", "seconds", "changed", "size", "sha256")
        },
        **{key: list(found[key]) for key in ("command", "recipients")},
    }
