"""Data copies as a table, and as JSON of the contract (docs/json.md)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich.console import Group

from recovery.cli.screen import Cell
from recovery.cli.show import listing
from recovery.cli.show.contract import VERSION
from recovery.cli.show.listing import DATA, copy_json
from recovery.data.catalog import DataCopy, Read
from recovery.data.manifest import DataManifest
from recovery.errors import DamagedCopy

HEADINGS, WIDE = ("size", "service", "remarks"), ("source", "node", "stored")


def table(copies: Sequence[Read], now: datetime, *, sites: bool = False, wide: bool = False) -> Group:
    """The copies as a table, newest first. With ``sites``, it shows where they are stored, and ``wide`` shows all."""

    def cells(_: DataCopy, manifest: DataManifest | DamagedCopy) -> Sequence[Cell]:
        if isinstance(manifest, DamagedCopy):
            return ("", "", listing.at_fault(manifest), *(("",) * len(WIDE) if wide else ()))
        remarks = ", ".join(
            text
            for text, holds in {
                "unsigned": manifest.unsigned,
                "files changed during the copy": manifest.changed,
            }.items()
            if holds
        )
        more = (manifest.source, manifest.node, f"{manifest.size:,} B") if wide else ()
        return (f"{manifest.plain_size:,} B", manifest.service, remarks, *more)

    headings = (*HEADINGS, *(WIDE if wide else ()))
    return listing.copies_table(copies, DATA, headings, cells, now, sites=sites, wide=wide)


def as_json(cluster: str, copies: Sequence[Read]) -> dict[str, Any]:
    """The copies as JSON of the contract."""
    shown = [copy_json(copy, manifest, DATA, _facts) for copy, manifest in copies]
    return {"version": VERSION, "cluster": cluster, "copies": shown}


def _facts(manifest: DataManifest) -> Mapping[str, Any]:
    found = asdict(manifest)
    return {
        "clusterId": found["cluster_id"],
        "plainSize": found["plain_size"],
        "plainSha256": found["plain_sha256"],
        **{
            key: found[key]
            for key in (
                "service",
                "image",
                "node",
                "slot",
                "volume",
                "seconds",
                "changed",
                "size",
                "sha256",
                "unsigned",
            )
        },
        **{key: list(found[key]) for key in ("command", "recipients")},
    }
