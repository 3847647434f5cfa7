"""Copies, and which of them are kept or removed, as tables or as JSON."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.markup import escape
from rich.table import Table

from recovery.cli.show.contract import VERSION, span
from recovery.copies.copy import Copy
from recovery.copies.keeps import Keep
from recovery.copies.manifest import Manifest, Proof, Verdict
from recovery.copies.retention import C, Decision, Removal
from recovery.errors import DamagedCopy, RequorumError
from recovery.operations.broken_uploads import BrokenUpload

NO_MARKS: Mapping[Copy, Keep] = {}
"""The keep marks of copies that were just made."""


def copies_table(
    copies: Sequence[tuple[Copy, Manifest | DamagedCopy]],
    now: datetime,
    marks: Mapping[Copy, Keep] = NO_MARKS,
    *,
    sites: bool = False,
) -> Table:
    """The copies as a table, newest first. With ``sites``, it shows where they are stored."""
    longest = max((len(copy.name) for copy, _ in copies), default=0)
    table = Table(box=None)
    table.add_column("copy", no_wrap=True, min_width=longest)
    for heading in ("age", "kind", "size", "swarm", "objects", "proof", "kept", *(("sites",) if sites else ())):
        table.add_column(heading)
    for copy, manifest in copies:
        age = span(int((now - copy.dated).total_seconds())) + (" [yellow](clock ahead)[/]" if copy.ahead else "")
        kept = escape(marks[copy].text) if copy in marks else ""
        rest = (kept, *((" and ".join(copy.sites),) if sites else ()))
        if isinstance(manifest, DamagedCopy):
            table.add_row(copy.name, age, "", "", "", "", f"[red]{escape(manifest.why)}[/]", *rest)
            continue
        objects = sum(len(ids) for ids in manifest.inventory.objects.values())
        proof = manifest.verdict if manifest.verdict is not Verdict.FAILED else "[red]failed[/]"
        size = f"{manifest.size:,} B"
        table.add_row(copy.name, age, manifest.kind, size, manifest.cluster_id, str(objects), proof, *rest)
    return table


def copies_json(
    cluster: str,
    copies: Sequence[tuple[Copy, Manifest | DamagedCopy]],
    marks: Mapping[Copy, Keep] = NO_MARKS,
    *,
    opens: Callable[[Manifest], bool | None] = lambda _: None,
) -> dict[str, Any]:
    """The copies as JSON of the contract. ``opens`` tells whether an available identity opens a copy."""
    shown = [{**_copy_json(copy, manifest, opens), "keep": _mark_json(marks.get(copy))} for copy, manifest in copies]
    return {"version": VERSION, "cluster": cluster, "copies": shown}


def verified_json(cluster: str, copy: Copy, found: Manifest | RequorumError) -> dict[str, Any]:
    """The result of verifying a copy, as JSON of the contract."""
    result = (
        {"files": None, "error": found.why, "errorCode": found.code}
        if isinstance(found, RequorumError)
        else {"files": len(found.files), "error": None, "errorCode": None}
    )
    return {"version": VERSION, "cluster": cluster, **_identity(copy), **result}


def kept_json(cluster: str, name: str, mark: Keep | None) -> dict[str, Any]:
    """The keep mark that a copy has now, as JSON of the contract."""
    return {"version": VERSION, "cluster": cluster, "name": name, "keep": _mark_json(mark)}


def prune_table(decisions: Sequence[Decision[C]], now: datetime) -> Table:
    """Each copy that is kept or removed, and why, as a table."""
    longest = max((len(decision.copy.name) for decision in decisions), default=0)
    table = Table(box=None)
    table.add_column("copy", no_wrap=True, min_width=longest)
    for heading in ("age", "", "why"):
        table.add_column(heading)
    for decision in decisions:
        age = span(int((now - decision.copy.dated).total_seconds()))
        fate = "keep" if decision.keep else "[red]remove[/]"
        table.add_row(decision.copy.name, age, fate, escape("; ".join(decision.reasons)))
    return table


def decisions_json(
    decisions: Sequence[Decision[C]], removals: Sequence[Removal[C]], identity: Callable[[C], Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Each copy that is kept or removed, why, and the result, as JSON of the contract."""
    errors = {removal.decision.copy: removal.error for removal in removals}
    hidden = {removal.decision.copy for removal in removals if removal.versions_stay}
    return [
        {
            **identity(decision.copy),
            "manifest": not decision.half,
            "keep": decision.keep,
            "reasons": list(decision.reasons),
            "removed": decision.copy in errors and error is None,
            "versionsStay": decision.copy in hidden,
            "error": error.why if error else None,
            "errorCode": error.code if error else None,
        }
        for decision in decisions
        for error in [errors.get(decision.copy)]
    ]


def prune_json(
    cluster: str,
    decisions: Sequence[Decision[Copy]],
    removals: Sequence[Removal[Copy]],
    broken: Sequence[BrokenUpload],
    *,
    dry_run: bool,
) -> dict[str, Any]:
    """The copies and the interrupted uploads that pruning removes or would remove, as JSON of the contract."""
    return {
        "version": VERSION,
        "cluster": cluster,
        "dryRun": dry_run,
        "copies": decisions_json(decisions, removals, _identity),
        "uploads": [
            {
                "site": one.site.name,
                "key": one.upload.key,
                "begun": one.upload.begun.isoformat(),
                "removed": not dry_run and one.error is None,
                "error": one.error.why if one.error else None,
                "errorCode": one.error.code if one.error else None,
            }
            for one in broken
        ],
    }


def proof_json(proof: Proof | None) -> dict[str, Any] | None:
    """The proof of a copy as JSON of the contract."""
    if proof is None:
        return None
    return {
        "verdict": str(proof.verdict),
        "at": proof.at.isoformat(),
        "detail": proof.detail,
        "engine": proof.engine,
        "seconds": proof.seconds,
        "recoverySeconds": proof.recovery_seconds,
        "versionIndex": proof.version_index,
        "beyond": {kind: list(ids) for kind, ids in proof.beyond.items()},
    }


def _mark_json(mark: Keep | None) -> dict[str, Any] | None:
    if mark is None:
        return None
    return {"reason": mark.reason, "who": mark.who, "when": mark.when.isoformat() if mark.when else None}


def _identity(copy: Copy) -> dict[str, Any]:
    return {"name": copy.name, "key": copy.key, "manager": copy.manager, "taken": copy.taken.isoformat()}


def _copy_json(
    copy: Copy, manifest: Manifest | DamagedCopy, opens: Callable[[Manifest], bool | None]
) -> dict[str, Any]:
    common = {**_identity(copy), "clock": copy.clock or None, "sites": list(copy.sites)}
    if isinstance(manifest, DamagedCopy):
        return {**common, "error": manifest.why, "errorCode": manifest.code}
    return {
        **common,
        "error": None,
        "errorCode": None,
        "clusterId": manifest.cluster_id,
        "nodeId": manifest.node_id,
        "engine": manifest.engine,
        "kind": manifest.kind,
        "size": manifest.size,
        "rawBytes": manifest.raw_bytes,
        "stoppedSeconds": manifest.stopped_seconds,
        "sha256": manifest.sha256,
        "versionIndex": manifest.inventory.index,
        "inventory": {kind: sorted(ids) for kind, ids in manifest.inventory.objects.items()},
        "autolock": manifest.autolock,
        "recipients": list(manifest.recipients),
        "opens": opens(manifest),
        "proof": proof_json(manifest.proof),
    }
