"""The results of drills, as a table or as JSON."""

from collections.abc import Sequence
from typing import Any

from rich.console import Group

from recovery.cli.screen import styled
from recovery.cli.show import listing
from recovery.cli.show.contract import VERSION
from recovery.cli.show.copies import proof_json
from recovery.copies import naming
from recovery.copies.manifest import Verdict
from recovery.operations.drill import Drill
from recovery.spans import span

HEADINGS, WIDE = ("on", "back after", "would lose", "result"), ("engine", "change")


def drills_table(drills: Sequence[Drill], *, wide: bool = False) -> Group:
    """The results of drills as a table, and below it why some failed."""
    made = listing.table(listing.MANAGER, (*HEADINGS, *(WIDE if wide else ())), wide=wide)
    for done in drills:
        proof = done.proof
        result = proof.verdict if proof.verdict is Verdict.PROVEN else styled(proof.verdict, "red")
        more = (proof.engine, str(proof.version_index), done.copy.name) if wide else ()
        lost = f"last {span(int(done.rpo))}"
        made.add_row(*listing.which(done.copy), done.node, f"{done.rto:.1f} s", lost, result, *more)
    failed = (done for done in drills if done.proof.verdict is not Verdict.PROVEN)
    return Group(made, *(styled(f"{naming.short(done.copy)}: {done.proof.detail}", "red") for done in failed))


def drills_json(cluster: str, drills: Sequence[Drill]) -> dict[str, Any]:
    """The results of drills as JSON of the contract."""
    done = [
        {"copy": d.copy.name, "node": d.node, "rto": d.rto, "rpo": d.rpo, "proof": proof_json(d.proof)} for d in drills
    ]
    return {"version": VERSION, "cluster": cluster, "drills": done}
