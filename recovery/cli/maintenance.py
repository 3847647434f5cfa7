"""Commands that take a node out of service for a while, and put it back."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from recovery.cli.console import (
    FileOption,
    NodeArgument,
    StackOption,
    YesOption,
    agree,
    app,
    examples,
    opened,
    out,
    say,
)
from recovery.cli.progress import progress
from recovery.errors import OptionError
from recovery.operations import maintenance

NOTED = "if the node is drained, its maintenance is noted. next: run the same command again"
GIVEN_BACK = "the node may have its availability back. next: run the same command again"


@app.command("drain", epilog=examples("requorum drain worker-1", "requorum drain worker-1 --until 2026-01-31T18:00Z"))
def drain(
    node: NodeArgument,
    until: Annotated[
        str, typer.Option(metavar="TIME", help="When the maintenance should end. After it, status names the node.")
    ] = "",
    yes: YesOption = False,
    stack: StackOption = "",
    config_file: FileOption = None,
) -> None:
    """Drain a node for maintenance, and wait until no task runs on it. Its availability before is kept in the swarm."""
    with opened(stack, config_file, interrupted=NOTED) as cluster:
        machine, end = cluster.settings.named(node), _end(until, datetime.now(UTC))
        with progress("asking the nodes"):
            allowed = maintenance.check(cluster, machine, end)
        agree(f"drain {node} for {allowed.kept.text}: {allowed.intent}", yes)
        with progress(f"draining {node}"):
            kept = maintenance.drain(cluster, machine, end, say=say)
        out.print(f"{node} is drained, in {kept.text}. After it: requorum undrain {node}")


@app.command("undrain", epilog=examples("requorum undrain worker-1", "requorum undrain worker-1 --yes"))
def undrain(
    node: NodeArgument, yes: YesOption = False, stack: StackOption = "", config_file: FileOption = None
) -> None:
    """End the maintenance of a node, and give it the availability back that it had before requorum drain."""
    with opened(stack, config_file, interrupted=GIVEN_BACK) as cluster:
        machine = cluster.settings.named(node)
        agree(f"end the maintenance of {node}", yes)
        with progress(f"undraining {node}"):
            kept = maintenance.undrain(cluster, machine, say=say)
        if kept is None:
            out.print(f"{node} is in no maintenance, and nothing was changed")
            return
        wish = machine.availability
        differs = (
            f". The stack file names {wish}, which the next pulumi up sets" if wish not in (None, kept.before) else ""
        )
        out.print(f"{node} has its availability back: {kept.before}{differs}")


def _end(text: str, now: datetime) -> datetime | None:
    """The time that the operator gave. Raises: OptionError."""
    if not text:
        return None
    remedy = "give a time to come, such as 2026-01-31T18:00Z"
    try:
        end = datetime.fromisoformat(text)
    except ValueError:
        raise OptionError("--until", "is no time", remedy=remedy, code="bad-argument") from None
    if end.tzinfo is None:
        raise OptionError("--until", "has no time zone", remedy=f"{remedy}, or with +01:00", code="bad-argument")
    if end <= now:
        raise OptionError("--until", "is past", remedy=remedy, code="bad-argument")
    return end
