"""Commands for copies of service data (requorum:data)."""

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
from recovery.errors import DamagedCopy, NoUsableCopy, RequorumError, SettingError
from recovery.operations import notify
from recovery.operations.notify import Subject
from recovery.settings import EXAMPLE

data = typer.Typer(no_args_is_help=True, help="Take, list, verify, restore and prune copies of service data.")
app.add_typer(data, name="data")


@data.command()
def backup(
    names: Annotated[list[str] | None, typer.Argument(help="Names in requorum:data. Default: all.")] = None,
    stack: StackOption = "",
    config_file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy service data to S3. The node that reads the data also seals it.

    Exit status: 0 if all data is copied to every site, 3 if some is, 1 if none is.
    """
    made, faults, partial = [], [], []
    failures: list[tuple[str, RequorumError]] = []
    with loaded(stack, config_file, as_json=as_json) as settings:
        if not settings.data:
            remedy = f"name the data of your services, as {EXAMPLE} explains"
            raise SettingError("data", "is not set", remedy=remedy, code="setting-missing")
        chosen = names or tuple(settings.data)
        with notify.guarded(settings, Subject.DATA, f"of {', '.join(chosen)}", say=say):
            for outcome in take_copies(settings, chosen, say=say):
                if outcome.error or not (outcome.copy and outcome.manifest):
                    faults.append(f"{outcome.name}: not copied, or the copy cannot be opened here\n{outcome.error}")
                    failures += [(outcome.name, outcome.error)] if outcome.error else []
                    err.print(faults[-1], style="red", markup=False)
                    continue
                made.append((outcome.copy, outcome.manifest))
                if outcome.missing_at(settings):
                    partial.append(f"{outcome.name}: a site does not have its copy. next: requorum data list")
                if outcome.manifest.changed:
                    say(f"{outcome.name}: files changed during the copy, so they may not be consistent")
        if as_json:
            failed_json = common.failures_json("data", failures)
            print_json(show_data.as_json(settings.cluster, made) | {"failed": failed_json})
        else:
            out.print(show_data.table(made, datetime.now(UTC), sites=settings.backup.second is not None))
        if faults or partial or {copy.owner for copy, _ in made} == set(settings.data):
            notify.outcome(settings, Subject.DATA, [*faults, *partial], f"{len(made)} data copies are made", say=say)
    raise typer.Exit(common.DEGRADED if made and (faults or partial) else common.FINE if made else common.ERROR)


@data.command("list")
def list_copies(stack: StackOption = "", config_file: FileOption = None, as_json: JsonOption = False) -> None:
    """List the data copies, newest first."""
    with loaded(stack, config_file, as_json=as_json) as settings:
        catalog = DataCatalog(settings)
        found = catalog.manifests()
        for note in catalog.notes:
            say(note)
        if as_json:
            print_json(show_data.as_json(settings.cluster, found))
        elif found:
            out.print(show_data.table(found, datetime.now(UTC), sites=settings.backup.second is not None))
        else:
            out.print(f"cluster {settings.cluster} has no data copies. next: requorum data backup")


@data.command()
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(help="The names of copies. Default: the newest of each service's data.")
    ] = None,
    stack: StackOption = "",
    config_file: FileOption = None,
) -> None:
    """Open data copies, read them completely and compare them with their manifests.

    Exit status: 0 if all copies are good, 3 if some are, 1 if none is.
    """
    good = 0
    with loaded(stack, config_file) as settings:
        catalog = DataCatalog(settings)
        chosen = [catalog.named(name) for name in names] if names else catalog.newest_of_each()
        if not chosen:
            raise NoUsableCopy(
                "verifying the newest data copies",
                "S3 has no data copy",
                remedy="requorum data backup",
                code="no-copy",
            )
        for copy in chosen:
            try:
                manifest = catalog.manifest(copy)
                with restoring.verified(catalog, copy, manifest, say=say):
                    good += 1
                    out.print(f"{copy.name}: its {manifest.plain_size:,} B of data agree with its manifest")
            except DamagedCopy as error:
                err.print(str(error), style="red", markup=False)
        for note in catalog.notes:
            say(note)
    raise typer.Exit(common.FINE if good == len(chosen) else common.DEGRADED if good else common.ERROR)


@data.command()
def restore(
    name: Annotated[str, typer.Argument(help="The name in requorum:data.")],
    copy: Annotated[str, typer.Option(help="The name of the copy. Default: the newest.")] = "",
    time: Annotated[
        str, typer.Option(help="Use the newest copy taken at or before this time, such as 2026-01-31T12:00:00Z.")
    ] = "",
    yes: YesOption = False,
    stack: StackOption = "",
    config_file: FileOption = None,
) -> None:
    """Restore a copy into its service. The copy replaces the service's data. It is verified first."""
    if copy and time:
        raise typer.BadParameter("give either --copy NAME or --time TIME")
    moment = _moment(time) if time else None
    with loaded(stack, config_file) as settings:
        catalog = DataCatalog(settings)
        wanted = restoring.plan(settings, catalog, name, copy or moment)
        for note in (told := catalog.notes):
            say(note)
        age = common.span(int((datetime.now(UTC) - wanted.copy.dated).total_seconds()))
        agree(f"{wanted.text}. The copy is {age} old. Later changes are lost", yes)
        seconds = restoring.restore(settings, catalog, wanted, say=say)
        for note in catalog.notes:
            if note not in told:
                say(note)
        out.print(f"{name} is restored from {wanted.copy.name} in {seconds:.1f} s", markup=False)


@data.command()
def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed and kept.")] = False,
    yes: YesOption = False,
    stack: StackOption = "",
    config_file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove the data copies that no rule of requorum:backup.retention keeps. Exit status 3 if S3 refuses to delete one."""
    if as_json and not (dry_run or yes):
        raise typer.BadParameter("--json cannot ask for consent. Give --dry-run or --yes too")
    with loaded(stack, config_file, as_json=as_json) as settings:
        now = datetime.now(UTC)
        removals: tuple[Removal[DataCopy], ...] = ()
        decisions = pruning.look(settings, now)
        doomed = [decision for decision in decisions if not decision.keep]
        if not as_json:
            out.print(common.prune_table(decisions, now))
            out.print(f"{len(doomed)} of {len(decisions)} copies to remove" if doomed else "nothing to remove")
        if doomed and not dry_run:
            agree(f"remove {len(doomed)} copies", yes)
            removals = pruning.prune(settings, doomed, now, say=say)
        refused = [removal for removal in removals if removal.error]
        for removal in refused:
            err.print(f"{removal.decision.copy.name} was not removed\n{removal.error}", style="red", markup=False)
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
        raise typer.BadParameter("--time must be a time such as 2026-01-31T12:00:00Z") from None
    if moment.tzinfo is None:
        raise typer.BadParameter("--time must end with Z or an offset such as +01:00")
    return moment
