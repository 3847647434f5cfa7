"""Recovery reports as a table and as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from recovery.operations.report import VERSION

MAIN = ("name", "diagnosis", "lost", "copy", "survivor", "begun", "ended", "rto", "rpo", "verdict", "by", "how")


def listing_json(cluster: str, reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The list of reports as the JSON contract has it, each with its name and its main figures."""
    return {"version": VERSION, "cluster": cluster, "reports": [_main(one) for one in reports]}


def _main(one: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**{key: one[key] for key in MAIN}, "unsigned": one.get("unsigned", "")}


def table(reports: Sequence[Mapping[str, Any]], *, wide: bool = False) -> Table:
    """The list of reports as a table."""
    shown = Table(box=None, pad_edge=False)
    for heading in ("report", "what", "lost", "RTO", "RPO", "result", *(("by",) if wide else ())):
        shown.add_column(heading, no_wrap=wide or heading not in ("what", "lost"))
    for one in reports:
        rto = f"{one['rto']['provenSeconds']:.1f} s"
        lost = ", ".join(one["lost"]) or "nothing"
        by = (one["by"],) if wide else ()
        verdict = f"{one['verdict']}, unsigned" if one.get("unsigned") else one["verdict"]
        shown.add_row(*map(str, (one["name"], one["diagnosis"] or "", lost, rto, _rpo(one), verdict, *by)))
    return shown


def _rpo(one: Mapping[str, Any]) -> str:
    """What may be missing, up to the loss. Reports of earlier versions know only the time of the plan."""
    rpo = one["rpo"]
    if one["survivor"]:
        return f"{rpo['entries']} entries"
    if rpo.get("lossSeconds") is not None:
        return f"{rpo['lossSeconds']} s"
    return f"at most {rpo['lossAtMost']} s" if rpo.get("lossAtMost") is not None else f"{rpo['seconds']} s"
