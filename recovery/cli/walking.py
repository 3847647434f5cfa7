"""What the commands share that walk over all nodes: their options, what they show before, and how they end."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

import typer

from recovery.cli.console import agree, out, say, show
from recovery.cli.progress import progress
from recovery.cluster import Cluster
from recovery.operations import rolling
from recovery.operations.rolling import Act
from recovery.planning.rolling import NO_QUORUM, WITHOUT_QUORUM, Walk

WALKED = "a node may be drained or away. next: the same command again, which goes on where it stopped"
BatchOption = Annotated[int, typer.Option("--batch", min=1, help="How many workers may be away at the same time.")]
WithoutQuorumOption = Annotated[
    bool,
    typer.Option(
        WITHOUT_QUORUM,
        help="Also take a manager that the quorum needs, as in a swarm of one or two. Until it is back, the swarm has no leader.",
    ),
]
AnewOption = Annotated[
    bool, typer.Option("--anew", help="Begin with the first node again, also if an interrupted run has taken some.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done, in which order.")]


def require_one(node: str, every: bool, of_all: Mapping[str, bool]) -> None:
    """Raises: BadParameter unless either a node or all of them are named, and none of the options ``of_all`` is given for one."""
    if bool(node) == every:
        raise typer.BadParameter("name one node, or give --all")
    if node and (given := [option for option, is_given in of_all.items() if is_given]):
        raise typer.BadParameter(f"{' and '.join(given)} can only be given with --all")


def go(cluster: Cluster, walk: Walk, act: Act, *, anew: bool, yes: bool, dry_run: bool) -> None:
    """Show what the walk does, ask for consent, and carry it out."""
    walk = replace(walk, anew=anew)
    with progress("asking the nodes"):
        found = rolling.look(cluster, walk)
    show(found.lines)
    if dry_run:
        return
    if found.batches:
        cost = (
            f". While some managers are away, {NO_QUORUM}"
            if any(b.votes and b.tolerates < 0 for b in found.batches)
            else ""
        )
        agree(f"{walk.effect} on {sum(len(batch.nodes) for batch in found.batches)} nodes in this order{cost}", yes)
    with progress(walk.doing):
        taken = rolling.carry_out(cluster, walk, act, say=say)
    out.print(f"done: {', '.join(taken)}" if taken else "nothing was left to do")
