"""The results of drills, as a table or as JSON."""

from collections.abc import Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from recovery.cli.show import listing
from recovery.cli.show.contract import VERSION
from recovery.cli.show.copies import proof_json
from recovery.copies.manifest import Verdict
from recovery.operations.drill import Drill
from recovery.spans import span

HEADINGS = ("on", "engine", "back after", "would lose", "change", "result")


def drills_table(drills: Sequence[Drill]) -> Table:
    """The results of drills as a table."""
    table = listing.table((done.copy.name for done in drills), HEADINGS)
    for done in drills:
        proof = done.proof
        result = (
            str(proof.verdict)
            if proof.verdict is Verdict.PROVEN
            else f"[red]{proof.verdict}: {escape(proof.detail)}[/]"
        )
        lost = f"the last {span(int(done.rpo))}"
        table.add_row(
            done.copy.name, done.node, proof.engine, f"{done.rto:.1f} s", lost, str(proof.version_index), result
        )
    return table


def drills_json(cluster: str, drills: Sequence[Drill]) -> dict[str, Any]:
    """The results of drills as JSON of the contract."""
    done = [
        {"copy": d.copy.name, "node": d.node, "rto": d.rto, "rpo": d.rpo, "proof": proof_json(d.proof)} for d in drills
    ]
    return {"version": VERSION, "cluster": cluster, "drills": done}
