"""Data copies as a table, and as JSON of the contract (docs/json.md)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich.markup import escape
from rich.table import Table

from recovery.cli.show import listing
from recovery.cli.show.contract import VERSION
from recovery.cli.show.listing import DATA, copy_json
from recovery.data.catalog import DataCopy, Read
from recovery.data.manifest import DataManifest
from recovery.errors import DamagedCopy

HEADINGS = ("service", "source", "node", "data", "stored", "remarks")


def table(copies: Sequence[Read], now: datetime, *, sites: bool = False) -> Table:
    """The copies as a table, newest first. With ``sites``, it shows where they are stored."""
    return listing.copies_table(copies, HEADINGS, _cells, now, sites=sites)


def as_json(cluster: str, copies: Sequence[Read]) -> dict[str, Any]:
    """The copies as JSON of the contract."""
    shown = [copy_json(copy, manifest, DATA, _facts) for copy, manifest in copies]
    return {"version": VERSION, "cluster": cluster, "copies": shown}


def _cells(_: DataCopy, manifest: DataManifest | DamagedCopy) -> Sequence[str]:
    if isinstance(manifest, DamagedCopy):
        return ("", "", "", "", "", listing.fault(manifest))
    remarks = "files changed during the copy" if manifest.changed else ""
    sizes = (f"{manifest.plain_size:,} B", f"{manifest.size:,} B")
    return (manifest.service, escape(manifest.source), manifest.node, *sizes, remarks)


def _facts(manifest: DataManifest) -> Mapping[str, Any]:
    found = asdict(manifest)
    return {
        "clusterId": found["cluster_id"],
        "plainSize": found["plain_size"],
        "plainSha256": found["plain_sha256"],
        **{
            key: found[key]
            for key in ("service", "image", "node", "slot", "volume", "seconds", "changed", "size", "sha256")
        },
        **{key: list(found[key]) for key in ("command", "recipients")},
    }
