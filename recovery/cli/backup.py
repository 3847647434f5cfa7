"""The command that copies the managers."""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from recovery.cli.console import (
    FileOption,
    JsonOption,
    StackOption,
    WideOption,
    YesOption,
    agree,
    app,
    err,
    examples,
    opened,
    out,
    print_json,
    require_compatible,
    say,
)
from recovery.cli.progress import counted, progress
from recovery.cli.show.copies import copies_json, copies_table
from recovery.cli.show.listing import MANAGER
from recovery.cli.tally import Tally
from recovery.cluster import Cluster
from recovery.copies.copy import Copy
from recovery.copies.manifest import Manifest, Verdict
from recovery.errors import Refused, SettingError
from recovery.operations import notify
from recovery.operations.backup import BackupResult, backup_cold, backup_or_cold
from recovery.operations.backup import backup as take_copies
from recovery.operations.notify import Subject

STORED = (
    "copies that S3 has stay. next: requorum copies list shows them, requorum copies take copies every manager again"
)
Taken = Tally[tuple[Copy, Manifest]]


@app.command("copies take", epilog=examples("requorum copies take", "requorum copies take manager-b --cold"))
def backup(
    managers: Annotated[
        list[str] | None, typer.Argument(help="With --cold: the managers to copy. Default: all.")
    ] = None,
    cold: Annotated[bool, typer.Option("--cold", help="Stop each engine for its copy, one after the other.")] = False,
    or_cold: Annotated[
        bool, typer.Option("--or-cold", help="If a copy fails its restore test, take a cold copy.")
    ] = False,
    yes: YesOption = False,
    wide: WideOption = False,
    stack: StackOption = "",
    config_file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy every manager's swarm directory to S3 while the engines run, the leader last.

    Requorum restores each copy once in a sandbox, to test it. Exit status: 0 if every manager's copy is proven and stored at
    every site, 3 if some are, 1 if none is.
    """
    require_compatible(cold=cold, or_cold=or_cold)
    if as_json and (cold or or_cold) and not yes:
        raise typer.BadParameter("--json cannot ask for consent. Give --yes too")
    with opened(stack, config_file, as_json=as_json, interrupted=STORED) as cluster:
        settings = cluster.settings
        chosen = [settings.named(name).name for name in managers or [node.name for node in settings.managers]]
        if managers and not cold:
            raise SettingError(
                "(manager)",
                "only --cold takes names. Without --cold, Requorum copies every manager",
                remedy="remove the names, or add --cold",
                code="bad-argument",
            )
        taking = _taking(cluster, chosen, cold=cold, or_cold=or_cold, yes=yes)
        with (
            notify.guarded(cluster, Subject.BACKUP, f"of {', '.join(chosen)}", say=say),
            progress("copying", len(chosen), as_json=as_json) as done,
        ):
            taken = _tally(cluster, chosen, counted(taking, done))
        if as_json:
            print_json(copies_json(settings.cluster, taken.made) | taken.failed_json)
        else:
            out.print(copies_table(taken.made, datetime.now(UTC), sites=settings.backup.second is not None, wide=wide))
        proven = sum(manifest.verdict is Verdict.PROVEN for _, manifest in taken.made)
        if taken.all_faults or not managers:  # a copy of one manager does not end the failure of another
            notify.outcome(cluster, Subject.BACKUP, taken.all_faults, f"{proven} copies are proven", say=say)
    raise typer.Exit(taken.exit_code(proven))


def _taking(cluster: Cluster, chosen: Sequence[str], *, cold: bool, or_cold: bool, yes: bool) -> Iterable[BackupResult]:
    """The copies, taken as the caller iterates, once the operator has agreed to stop engines."""
    if cold:
        agree(f"stop the Docker engines of {', '.join(chosen)}, one after the other, each for its copy", yes)
        return backup_cold(cluster, chosen, say=say)
    if or_cold:
        agree("stop the Docker engine of each manager whose copy fails its restore test", yes)
        return backup_or_cold(cluster, say=say)
    return take_copies(cluster, say=say)


def _tally(cluster: Cluster, chosen: Collection[str], outcomes: Iterable[BackupResult]) -> Taken:
    taken = Taken(MANAGER)
    left = set(chosen)
    for outcome in outcomes:
        left.discard(outcome.manager)
        if outcome.error or not (outcome.copy and outcome.manifest):
            what = "copied, but the copy cannot be opened here" if outcome.copy else "not copied"
            taken.fail(outcome.manager, what, outcome.error)
            continue
        taken.made.append((outcome.copy, outcome.manifest))
        if outcome.missing_at(cluster.settings):
            taken.partial.append(f"{outcome.manager}: a site does not have its copy. next: requorum copies list")
        if fault := outcome.manifest.shortfall:
            taken.partial.append(f"{outcome.manager}: {fault}")
            err.print(taken.partial[-1], style="red")
    for name in sorted(left):
        why, remedy = "it is declared lost, so it was not copied", "requorum status"
        taken.fail(name, "", Refused("copying it", why, remedy=remedy, node=name, code="declared-lost"))
    return taken
