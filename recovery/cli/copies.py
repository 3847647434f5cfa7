"""Commands for copies and the keys that they need."""

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from recovery import display, offers
from recovery.backup import backup as take_copies
from recovery.catalog import Catalog
from recovery.cli.console import (
    FileOption,
    JsonOption,
    StackOption,
    app,
    err,
    loaded,
    out,
    print_json,
    say,
)
from recovery.errors import NoUsableCopy, SettingError
from recovery.escrow import Escrow
from recovery.keyfile import UnlockKey
from recovery.manifest import Verdict


@app.command()
def backup(stack: StackOption = "", config_file: FileOption = None, as_json: JsonOption = False) -> None:
    """Copy every manager's swarm directory to S3, engines running, the leader last; each copy is restored once in a sandbox.

    Exit 0 when every copy is proven and at every site, 3 when some are, 1 when none is.
    """
    made, failed, partial = [], [], False
    with loaded(stack, config_file) as settings:
        for outcome in take_copies(settings, say=say):
            if outcome.error or not (outcome.copy and outcome.manifest):
                failed.append(outcome)
                err.print(f"{outcome.manager}: not copied\n{outcome.error}", style="red", markup=False)
                continue
            made.append((outcome.copy, outcome.manifest))
            partial |= outcome.missing_at(settings)
            if fault := outcome.manifest.shortfall:
                err.print(f"{outcome.manager}: {fault}", style="red", markup=False)
        if as_json:
            print_json(display.copies_json(settings.cluster, made))
        else:
            out.print(display.copies_table(made, datetime.now(UTC), sites=settings.backup.second is not None))
    proven = sum(manifest.verdict is Verdict.PROVEN for _, manifest in made)
    whole = proven == len(made) and not (failed or partial)
    raise typer.Exit(display.FINE if whole else display.DEGRADED if proven else display.ERROR)


@app.command()
def backups(stack: StackOption = "", config_file: FileOption = None, as_json: JsonOption = False) -> None:
    """List the cluster's copies, newest first."""
    with loaded(stack, config_file) as settings:
        catalog = Catalog(settings)
        found = catalog.manifests()
        for note in catalog.store.notes:
            say(note)
        if as_json:
            print_json(display.copies_json(settings.cluster, found))
        elif found:
            out.print(display.copies_table(found, datetime.now(UTC), sites=settings.backup.second is not None))
        else:
            out.print(f"cluster {settings.cluster} has no copies: requorum backup")


@app.command()
def verify(
    name: Annotated[str, typer.Argument(help="The copy's name; the newest one when left out.")] = "",
    stack: StackOption = "",
    config_file: FileOption = None,
) -> None:
    """Read a copy whole from S3 and compare it with its manifest."""
    with loaded(stack, config_file) as settings:
        catalog = Catalog(settings)
        if not (name or catalog.copies):
            raise NoUsableCopy("verifying the newest copy", "S3 holds none", remedy="requorum backup")
        copy = catalog.named(name) if name else catalog.copies[0]
        with catalog.verified(copy) as (manifest, _):
            for note in catalog.store.notes:
                say(note)
            out.print(f"{copy.name}: whole, {len(manifest.files)} files, as its manifest says (not restored: unproven)")


@app.command("s3")
def show_offers(stack: StackOption = "", config_file: FileOption = None, as_json: JsonOption = False) -> None:
    """Find out what the S3 servers offer, by one small object below PREFIX/CLUSTER/probe/, which is removed again.

    Exit 0 when each offers all that the settings need, 3 when not, 1 when one cannot be used.
    """
    with loaded(stack, config_file) as settings:
        found = offers.ask(settings)
        if as_json:
            print_json(offers.as_json(settings.cluster, found))
        else:
            for site in found:
                out.print(offers.table(site))
            if settings.backup.second is None:
                out.print("no second site: requorum:backup.second")
    raise typer.Exit(max((site.exit_code for site in found), key=offers.SEVERITY.index))


@app.command()
def escrow(stack: StackOption = "", config_file: FileOption = None) -> None:
    """Keep an unlock key, read from standard input, in S3, encrypted to the recipients of the settings.

    For a key that the swarm can no longer be asked for. Every copy of an autolocked swarm keeps its key by itself.
    """
    with loaded(stack, config_file) as settings:
        try:
            key = UnlockKey(
                (typer.prompt("unlock key", hide_input=True) if sys.stdin.isatty() else sys.stdin.read()).strip()
            )
        except ValueError as error:
            raise SettingError(
                "(standard input)", str(error), remedy="docker swarm unlock-key -q | requorum escrow"
            ) from None
        Escrow(settings).keep(key)
        out.print(f"the unlock key {key.fingerprint} is kept")
