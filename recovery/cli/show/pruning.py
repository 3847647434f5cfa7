"""Which copies are kept or removed, as a table or as JSON."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.table import Table

from recovery.cli.screen import styled
from recovery.cli.show import listing
from recovery.cli.show.contract import VERSION
from recovery.copies.retention import NOT_SET, C, Decision, Removal
from recovery.operations.broken_uploads import BrokenUpload
from recovery.settings import EXAMPLE
from recovery.spans import span


def prune_table(decisions: Sequence[Decision[C]], now: datetime, owner: str, *, wide: bool = False) -> Table | str:
    """Each copy that is kept or removed, and why, as a table. If all are kept for one reason, only the reason."""
    reasons = {decision.reasons for decision in decisions}
    if len(reasons) == 1 and all(decision.keep for decision in decisions) and not wide:
        hint = f". next: set it as {EXAMPLE} shows" if reasons == {(NOT_SET,)} else ""
        return f"all {len(decisions)} copies are kept: {'; '.join(*reasons)}{hint}"
    table = listing.table(owner, ("age", "fate", "why"), wide=wide)
    for decision in decisions:
        age = span(int((now - decision.copy.dated).total_seconds()))
        fate = "keep" if decision.keep else styled("remove", "red")
        name = (decision.copy.name,) if wide else ()
        table.add_row(*listing.which(decision.copy), age, fate, "; ".join(decision.reasons), *name)
    return table


def prune_json(
    cluster: str, decisions: Sequence[Decision[C]], removals: Sequence[Removal[C]], owner: str, *, dry_run: bool
) -> dict[str, Any]:
    """Each copy that is kept or removed, why, and the result, as JSON of the contract. ``owner`` is as in `listing.copy_identity`."""
    results = {removal.decision.copy: removal for removal in removals}
    copies = [_decision_json(decision, results.get(decision.copy), owner) for decision in decisions]
    return {"version": VERSION, "cluster": cluster, "dryRun": dry_run, "copies": copies}


def uploads_json(broken: Sequence[BrokenUpload], *, dry_run: bool) -> list[dict[str, Any]]:
    """The interrupted uploads whose parts pruning removes or would remove, as JSON of the contract."""
    return [
        {
            "site": one.site.name,
            "key": one.upload.key,
            "begun": one.upload.begun.isoformat(),
            "removed": not dry_run and one.error is None,
            "error": one.error.why if one.error else None,
            "errorCode": one.error.code if one.error else None,
        }
        for one in broken
    ]


def _decision_json(decision: Decision[C], removal: Removal[C] | None, owner: str) -> dict[str, Any]:
    error = removal.error if removal else None
    return {
        **listing.copy_identity(decision.copy, owner),
        "manifest": not decision.half,
        "keep": decision.keep,
        "reasons": list(decision.reasons),
        "removed": removal is not None and error is None,
        "versionsStay": removal is not None and removal.versions_stay,
        "error": error.why if error else None,
        "errorCode": error.code if error else None,
    }
