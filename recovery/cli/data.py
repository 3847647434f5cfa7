"""Commands for copies of service data (requorum:data)."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated

import typer

from recovery.cli import pruning
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
    say,
)
from recovery.cli.progress import progress
from recovery.cli.show import data as show
from recovery.cli.show import listing
from recovery.cli.show.contract import DEGRADED, ERROR, FINE
from recovery.cli.show.pruning import prune_json
from recovery.cli.tally import Tally
from recovery.cluster import Cluster
from recovery.data import restore as restoring
from recovery.data.backup import DataBackupResult
from recovery.data.backup import backup as take_copies
from recovery.data.catalog import DataCatalog, DataCopy
from recovery.data.manifest import DataManifest
from recovery.errors import DamagedCopy, NoUsableCopy, SettingError
from recovery.operations import notify
from recovery.operations.notify import Subject
from recovery.operations.prune import DATA
from recovery.settings import EXAMPLE
from recovery.spans import span

STORED = "copies that S3 has stay. next: requorum data list shows them"
RESTORED = "the service's data may be incomplete. next: run the same command again"
Taken = Tally[tuple[DataCopy, DataManifest]]


@app.command("data take", epilog=examples("requorum data take", "requorum data take orders"))
def backup(
    names: Annotated[list[str] | None, typer.Argument(help="Names in requorum:data. Default: all.")] = None,
    wide: WideOption = False,
    stack: StackOption = "",
    config_file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy service data to S3. The node that reads the data also seals it.

    Exit status: 0 if all data is copied to every site, 3 if some is, 1 if none is.
    """
    with opened(stack, config_file, as_json=as_json, interrupted=STORED) as cluster:
        settings = cluster.settings
        if not settings.data:
            remedy = f"name the data of your services, as {EXAMPLE} explains"
            raise SettingError("data", "is not set", remedy=remedy, code="setting-missing")
        chosen = names or tuple(settings.data)
        with (
            notify.guarded(cluster, Subject.DATA, f"of {', '.join(chosen)}", say=say),
            progress("copying", as_json=as_json),
        ):
            taken = _tally(cluster, take_copies(cluster, chosen, say=say))
        made = taken.made
        if as_json:
            print_json(show.as_json(settings.cluster, made) | taken.failed_json)
        else:
            out.print(show.table(made, datetime.now(UTC), sites=settings.backup.second is not None, wide=wide))
        if taken.all_faults or {copy.owner for copy, _ in made} == set(settings.data):
            notify.outcome(cluster, Subject.DATA, taken.all_faults, f"{len(made)} data copies are made", say=say)
    raise typer.Exit(taken.exit_code(len(made)))


@app.command("data list", epilog=examples("requorum data list", "requorum data list --wide"))
def list_copies(
    wide: WideOption = False, stack: StackOption = "", config_file: FileOption = None, as_json: JsonOption = False
) -> None:
    """List the data copies, newest first."""
    with opened(stack, config_file, as_json=as_json) as cluster:
        with progress("reading the manifests", as_json=as_json):
            catalog = DataCatalog(cluster)
            found = catalog.manifests()
        for note in catalog.notes:
            say(note)
        if as_json:
            print_json(show.as_json(cluster.settings.cluster, found))
        elif found:
            sites = cluster.settings.backup.second is not None
            out.print(show.table(found, datetime.now(UTC), sites=sites, wide=wide))
        else:
            out.print(f"cluster {cluster.settings.cluster} has no data copies. next: requorum data take")


@app.command("data verify", epilog=examples("requorum data verify", "requorum data verify orders@09:22"))
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Copies: orders, orders@09:22 (UTC), or a name from --wide. Default: the newest of each service's data."
        ),
    ] = None,
    stack: StackOption = "",
    config_file: FileOption = None,
) -> None:
    """Open data copies, read them completely and compare them with their manifests.

    Exit status: 0 if all copies are good, 3 if some are, 1 if none is.
    """
    good = 0
    with opened(stack, config_file) as cluster:
        catalog = DataCatalog(cluster)
        chosen = [catalog.named(name) for name in names] if names else catalog.newest_of_each()
        if not chosen:
            raise NoUsableCopy(
                "verifying the newest data copies",
                "S3 has no data copy",
                remedy="requorum data take",
                code="no-copy",
            )
        for copy in chosen:
            try:
                manifest = catalog.manifest(copy)
                with progress(f"reading {copy.name}"), restoring.verified(catalog, copy, manifest, say=say):
                    good += 1
                    out.print(f"{copy.name}: its {manifest.plain_size:,} B of data agree with its manifest")
            except DamagedCopy as error:
                err.print(str(error), style="red")
        for note in catalog.notes:
            say(note)
    raise typer.Exit(FINE if good == len(chosen) else DEGRADED if good else ERROR)


@app.command(
    "data restore",
    epilog=examples("requorum data restore orders", "requorum data restore orders --time 2026-01-31T12:00:00Z"),
)
def restore(
    name: Annotated[str, typer.Argument(help="The name in requorum:data.")],
    copy: Annotated[
        str, typer.Option(help="The copy: orders@09:22 (UTC), or a name from --wide. Default: the newest.")
    ] = "",
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
    with opened(stack, config_file, interrupted=RESTORED) as cluster:
        with progress("looking for the copy and the service"):
            catalog = DataCatalog(cluster)
            wanted = restoring.plan(cluster, catalog, name, copy or moment)
        for note in (told := catalog.notes):
            say(note)
        age = span(int((datetime.now(UTC) - wanted.copy.dated).total_seconds()))
        agree(f"{wanted.text}. The copy is {age} old. Later changes are lost", yes)
        with progress("restoring"):
            seconds = restoring.restore(cluster, catalog, wanted, say=say)
        for note in catalog.notes:
            if note not in told:
                say(note)
        out.print(f"{name} is restored from {wanted.copy.name} in {seconds:.1f} s")


@app.command("data prune", epilog=examples("requorum data prune --dry-run", "requorum data prune --yes"))
def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed and kept.")] = False,
    yes: YesOption = False,
    wide: WideOption = False,
    stack: StackOption = "",
    config_file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove the data copies that no rule of requorum:backup.retention keeps. Exit status 3 if S3 refuses to delete one."""
    pruning.require_consent(dry_run=dry_run, yes=yes, as_json=as_json)
    interrupted = "what was removed stays removed. next: requorum data prune goes on"
    with opened(stack, config_file, as_json=as_json, interrupted=interrupted) as cluster:
        now = datetime.now(UTC)
        with progress("reading the manifests", as_json=as_json):
            decisions = DATA.look(cluster, now)
        made = pruning.Prune(DATA, cluster, now, decisions, owner=listing.DATA, wide=wide)
        made.run(dry_run=dry_run, yes=yes, as_json=as_json)
        if as_json:
            name = cluster.settings.cluster
            print_json(prune_json(name, made.decisions, made.removals, listing.DATA, dry_run=dry_run))
    raise typer.Exit(made.exit_code)


def _tally(cluster: Cluster, outcomes: Iterable[DataBackupResult]) -> Taken:
    taken = Taken(listing.DATA)
    for outcome in outcomes:
        if outcome.error or not (outcome.copy and outcome.manifest):
            taken.fail(outcome.name, "not copied, or the copy cannot be opened here", outcome.error)
            continue
        taken.made.append((outcome.copy, outcome.manifest))
        if outcome.missing_at(cluster.settings):
            taken.partial.append(f"{outcome.name}: a site does not have its copy. next: requorum data list")
        if outcome.manifest.changed:
            say(f"{outcome.name}: files changed during the copy, so they may not be consistent")
    return taken


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("--time must be a time such as 2026-01-31T12:00:00Z") from None
    if moment.tzinfo is None:
        raise typer.BadParameter("--time must end with Z or an offset such as +01:00")
    return moment
