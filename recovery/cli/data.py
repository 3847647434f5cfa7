"""Commands for copies of what services keep (requorum:data)."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from recovery.cli import show as common
from recovery.cli.console import (
    FileOption,
    JsonOption,
    StackOption,
    YesOption,
    agree,
    app,
    err,
    loaded,
    out,
    print_json,
    say,
)
from recovery.cli.show import data as show_data
from recovery.copies.retention import VERSIONS_STAY, Removal
from recovery.data import prune as pruning
from recovery.data import restore as restoring
from recovery.data.backup import backup as take_copies
from recovery.data.catalog import DataCatalog, DataCopy
from recovery.errors import DamagedCopy, NoUsableCopy, SettingError
from recovery.operations import notify
from recovery.operations.notify import Subject
from recovery.settings import EXAMPLE

data = typer.Typer(
    no_args_is_help=True, help="Copies of what services keep: taken, listed, verified, given back, pruned."
)
app.add_typer(data, name="data")


@data.command()
def backup(
    names: Annotated[list[str] | None, typer.Argument(help="Names of requorum:data; all when left out.")] = None,
    stack: StackOption = "",
    config_file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy services' data to S3, sealed on the node that it is read on. Exit 0 when all is copied to every site, 3 when some is, 1 when none is."""
    made, faults, partial = [], [], []
    with loaded(stack, config_file) as settings:
        if not settings.data:
            raise SettingError("data", "is not set", remedy=f"name what services keep; {EXAMPLE} explains it")
        chosen = names or tuple(settings.data)
        with notify.guarded(settings, Subject.DATA, f"of {', '.join(chosen)}", say=say):
            for outcome in take_copies(settings, chosen, say=say):
                if outcome.error or not (outcome.copy and outcome.manifest):
                    faults.append(f"{outcome.name}: not copied, or not to be opened\n{outcome.error}")
                    err.print(faults[-1], style="red", markup=False)
                    continue
                made.append((outcome.copy, outcome.manifest))
                if outcome.missing_at(settings):
                    partial.append(f"{outcome.name}: its copy does not lie at every site: requorum data list")
                if outcome.manifest.changed:
                    say(f"{outcome.name}: files of the volume changed as they were read: they may not fit together")
        if as_json:
            print_json(show_data.as_json(settings.cluster, made))
        else:
            out.print(show_data.table(made, datetime.now(UTC), sites=settings.backup.second is not None))
        if faults or partial or {copy.owner for copy, _ in made} == set(settings.data):
            notify.outcome(settings, Subject.DATA, [*faults, *partial], f"{len(made)} copies of data are made", say=say)
    raise typer.Exit(common.DEGRADED if made and (faults or partial) else common.FINE if made else common.ERROR)


@data.command("list")
def list_copies(stack: StackOption = "", config_file: FileOption = None, as_json: JsonOption = False) -> None:
    """List the copies of data, newest first."""
    with loaded(stack, config_file) as settings:
        catalog = DataCatalog(settings)
        found = catalog.manifests()
        for note in catalog.notes:
            say(note)
        if as_json:
            print_json(show_data.as_json(settings.cluster, found))
        elif found:
            out.print(show_data.table(found, datetime.now(UTC), sites=settings.backup.second is not None))
        else:
            out.print(f"cluster {settings.cluster} has no copies of data: requorum data backup")


@data.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Copies; the newest of each data when left out.")] = None,
    stack: StackOption = "",
    config_file: FileOption = None,
) -> None:
    """Open copies, read them whole and compare them with their manifests. Exit 0 when all are good, 3 when some are, 1 when none is."""
    good = 0
    with loaded(stack, config_file) as settings:
        catalog = DataCatalog(settings)
        chosen = [catalog.named(name) for name in names] if names else catalog.newest_of_each()
        if not chosen:
            raise NoUsableCopy("verifying the newest copies of data", "S3 holds none", remedy="requorum data backup")
        for copy in chosen:
            try:
                manifest = catalog.manifest(copy)
                with restoring.verified(catalog, copy, manifest, say=say):
                    good += 1
                    out.print(f"{copy.name}: whole, {manifest.plain_size:,} B of data, as its manifest says")
            except DamagedCopy as error:
                err.print(str(error), style="red", markup=False)
        for note in catalog.notes:
            say(note)
    raise typer.Exit(common.FINE if good == len(chosen) else common.DEGRADED if good else common.ERROR)


@data.command()
def restore(
    name: Annotated[str, typer.Argument(help="The name in requorum:data.")],
    copy: Annotated[str, typer.Option(help="The copy; the newest when left out.")] = "",
    time: Annotated[str, typer.Option(help="The newest from then or before, such as 2026-01-31T12:00:00Z.")] = "",
    yes: YesOption = False,
    stack: StackOption = "",
    config_file: FileOption = None,
) -> None:
    """Give a copy back to its service, in place of what that holds, once the copy was read whole and found good."""
    if copy and time:
        raise typer.BadParameter("give either --copy NAME or --time TIME")
    moment = _moment(time) if time else None
    with loaded(stack, config_file) as settings:
        catalog = DataCatalog(settings)
        wanted = restoring.plan(settings, catalog, name, copy or moment)
        for note in (told := catalog.notes):
            say(note)
        age = common.span(int((datetime.now(UTC) - wanted.copy.dated).total_seconds()))
        agree(f"{wanted.text}. The copy is {age} old, and what changed since is lost", yes)
        seconds = restoring.restore(settings, catalog, wanted, say=say)
        for note in catalog.notes:
            if note not in told:
                say(note)
        out.print(f"{name} is restored from {wanted.copy.name}, in {seconds:.1f} s", markup=False)


@data.command()
def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go and what stays.")] = False,
    yes: YesOption = False,
    stack: StackOption = "",
    config_file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove the copies of data that no rule of requorum:backup.retention keeps. Exit 3 when S3 refuses to delete one."""
    if as_json and not (dry_run or yes):
        raise typer.BadParameter("--json does not ask: give --dry-run or --yes too")
    with loaded(stack, config_file) as settings:
        now = datetime.now(UTC)
        removals: tuple[Removal[DataCopy], ...] = ()
        decisions = pruning.look(settings, now)
        doomed = [decision for decision in decisions if not decision.keep]
        if not as_json:
            out.print(common.prune_table(decisions, now))
            out.print(f"{len(doomed)} of {len(decisions)} go" if doomed else "nothing goes")
        if doomed and not dry_run:
            agree(f"remove {len(doomed)}", yes)
            removals = pruning.prune(settings, doomed, now, say=say)
        refused = [removal for removal in removals if removal.error]
        for removal in refused:
            err.print(f"{removal.decision.copy.name}: not removed\n{removal.error}", style="red", markup=False)
        if as_json:
            print_json(show_data.prune_json(settings.cluster, decisions, removals, dry_run=dry_run))
        elif doomed and not dry_run:
            out.print(f"{len(removals) - len(refused)} removed, {len(refused)} refused by S3")
            if any(removal.versions_stay for removal in removals):
                out.print(VERSIONS_STAY)
    raise typer.Exit(common.DEGRADED if refused else common.FINE)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("--time: give a time such as 2026-01-31T12:00:00Z") from None
    if moment.tzinfo is None:
        raise typer.BadParameter("--time: it has no zone: end it with Z or an offset such as +01:00")
    return moment
