"""Copies of managers, as tables or as JSON."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group

from recovery.cli.screen import Cell, styled
from recovery.cli.show import listing
from recovery.cli.show.contract import VERSION
from recovery.cli.show.listing import MANAGER, copy_identity, copy_json
from recovery.copies.copy import Copy
from recovery.copies.keeps import Keep
from recovery.copies.manifest import Manifest, Proof, Verdict
from recovery.errors import DamagedCopy, RequorumError
from recovery.spans import span

HEADINGS, WIDE = ("proof", "drilled", "kept"), ("kind", "size", "swarm", "objects")
NO_MARKS: Mapping[Copy, Keep] = {}
"""The keep marks of copies that were just made."""
NO_DRILLS: Mapping[Copy, datetime] = {}


def copies_table(
    copies: Sequence[tuple[Copy, Manifest | DamagedCopy]],
    now: datetime,
    marks: Mapping[Copy, Keep] = NO_MARKS,
    drills: Mapping[Copy, datetime] = NO_DRILLS,
    *,
    sites: bool = False,
    wide: bool = False,
) -> Group:
    """The copies as a table, newest first. With ``sites``, it shows where they are stored, and ``wide`` shows all.

    ``drills`` tells when the last drill of a copy was.
    """

    def cells(copy: Copy, manifest: Manifest | DamagedCopy) -> Sequence[Cell]:
        drilled = f"{span(int((now - drills[copy]).total_seconds()))} ago" if copy in drills else ""
        kept = (marks[copy].text if wide else "yes") if copy in marks else ""
        if isinstance(manifest, DamagedCopy):
            return (listing.at_fault(manifest), drilled, kept, *(("",) * len(WIDE) if wide else ()))
        if manifest.strange:
            proof: Cell = styled("strange", "red")
        else:
            proof = manifest.verdict if manifest.verdict is not Verdict.FAILED else styled("failed", "red")
        objects = sum(len(ids) for ids in manifest.inventory.objects.values())
        more = (manifest.kind, f"{manifest.size:,} B", manifest.cluster_id, str(objects)) if wide else ()
        return (proof, drilled, kept, *more)

    headings = (*HEADINGS, *(WIDE if wide else ()))
    return listing.copies_table(copies, MANAGER, headings, cells, now, sites=sites, wide=wide)


def copies_json(
    cluster: str,
    copies: Sequence[tuple[Copy, Manifest | DamagedCopy]],
    marks: Mapping[Copy, Keep] = NO_MARKS,
    drills: Mapping[Copy, datetime] = NO_DRILLS,
    *,
    opens: Callable[[Manifest], bool | None] = lambda _: None,
) -> dict[str, Any]:
    """The copies as JSON of the contract. ``opens`` tells whether an available identity opens a copy."""

    def facts(manifest: Manifest) -> Mapping[str, Any]:
        return {
            **_facts(manifest),
            "opens": opens(manifest),
            "proof": None if manifest.strange else proof_json(manifest.proof),
        }

    shown = [
        {
            **copy_json(copy, manifest, MANAGER, facts),
            "keep": _mark_json(marks.get(copy)),
            "drilled": drills[copy].isoformat() if copy in drills else None,
        }
        for copy, manifest in copies
    ]
    return {"version": VERSION, "cluster": cluster, "copies": shown}


def verified_text(manifest: Manifest, now: datetime) -> str:
    """The result of verifying a copy, and what its last restore test or drill said."""
    if manifest.strange:
        return (
            f"all {len(manifest.files)} files agree with its manifest. Its CA is not the swarm's: no recovery uses it"
        )
    proof = manifest.proof
    detail = f" ({proof.detail})" if proof and proof.detail else ""
    when = f" {span(now - proof.at)} ago" if proof else ""
    said = f"Its last restore test or drill{when} says: {manifest.verdict}{detail}"
    return f"all {len(manifest.files)} files agree with its manifest. {said}. requorum copies drill restores it again"


def verified_json(cluster: str, copy: Copy, found: Manifest | RequorumError) -> dict[str, Any]:
    """The result of verifying a copy, as JSON of the contract."""
    result = (
        {"files": None, "error": found.why, "errorCode": found.code, "proof": None}
        if isinstance(found, RequorumError)
        else {
            "files": len(found.files),
            "error": None,
            "errorCode": None,
            "proof": None if found.strange else proof_json(found.proof),
        }
    )
    return {"version": VERSION, "cluster": cluster, **copy_identity(copy, MANAGER), **result}


def kept_json(cluster: str, name: str, mark: Keep | None) -> dict[str, Any]:
    """The keep mark that a copy has now, as JSON of the contract."""
    return {"version": VERSION, "cluster": cluster, "name": name, "keep": _mark_json(mark)}


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


def _facts(manifest: Manifest) -> Mapping[str, Any]:
    return {
        "clusterId": manifest.cluster_id,
        "nodeId": manifest.node_id,
        "strange": manifest.strange,
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
    }
