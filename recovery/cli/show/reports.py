"""Recovery reports as a table and as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from recovery.operations.report import VERSION


def listing_json(cluster: str, reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The list of reports as the JSON contract has it, each with its name and its main figures."""
    keys = ("name", "diagnosis", "lost", "copy", "survivor", "begun", "ended", "rto", "rpo", "verdict", "by", "how")
    return {"version": VERSION, "cluster": cluster, "reports": [{key: one[key] for key in keys} for one in reports]}


def table(reports: Sequence[Mapping[str, Any]], *, wide: bool = False) -> Table:
    """The list of reports as a table."""
    shown = Table(box=None, pad_edge=False)
    for heading in ("report", "what", "lost", "RTO", "RPO", "result", *(("by",) if wide else ())):
        shown.add_column(heading, no_wrap=wide or heading not in ("what", "lost"))
    for one in reports:
        rpo = f"{one['rpo']['entries']} entries" if one["survivor"] else f"{one['rpo']['seconds']} s"
        rto = f"{one['rto']['provenSeconds']:.1f} s"
        lost = ", ".join(one["lost"]) or "nothing"
        shown.add_row(
            one["name"], one["diagnosis"] or "", lost, rto, rpo, one["verdict"], *((one["by"],) if wide else ())
        )
    return shown
