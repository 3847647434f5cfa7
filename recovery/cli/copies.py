"""Commands for copies and the keys that they need."""

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from recovery.cli import show
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
    progress,
    say,
)
from recovery.cli.show import s3
from recovery.cli.show.s3 import SEVERITY, exit_code, table
from recovery.copies import keeps
from recovery.copies.catalog import Catalog
from recovery.copies.copy import Copy
from recovery.copies.escrow import Escrow
from recovery.copies.manifest import Verdict
from recovery.copies.retention import VERSIONS_STAY, Removal
from recovery.errors import DamagedCopy, NoUnlockKey, NoUsableCopy, SettingError
from recovery.operations import broken_uploads, notify
from recovery.operations import drill as drills
from recovery.operations import keep as keep_operation
from recovery.operations import prune as pruning
from recovery.operations.backup import backup as take_copies
from recovery.operations.backup import backup_cold, backup_or_cold
from recovery.operations.notify import Subject
from recovery.s3 import probe
from recovery.s3.store import Store
from recovery.swarm.key_file import UnlockKey

PASSED_OVER = "it is named lost, or the one before it is not back\n  next: requorum status"
"""Why a manager had no turn."""


@app.command()
def backup(
    managers: Annotated[list[str] | None, typer.Argument(help="With --cold: whom; all when left out.")] = None,
    cold: Annotated[bool, typer.Option("--cold", help="Stop each engine for its copy, one after the other.")] = False,
    or_cold: Annotated[bool, typer.Option("--or-cold", help="Do that where a copy fails its proof.")] = False,
    yes: YesOption = False,
    stack: StackOption = "",
    config_file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy every manager's swarm directory to S3, engines running, the leader last; each copy is restored once in a sandbox.

    Exit 0 when every manager's copy is proven and at every site, 3 when some are, 1 when none is.
    """
    if as_json and (cold or or_cold) and not yes:
        raise typer.BadParameter("--json does not ask: give --yes too")
    made, failed, partial = [], [], []
    with loaded(stack, config_file) as settings:
        chosen = [settings.named(name).name for name in managers or [node.name for node in settings.managers]]
        if cold:
            agree(
                f"stop the Docker engine of {', '.join(chosen)} for a moment, one after the other, the leader last", yes
            )
            taking = backup_cold(settings, chosen, say=say)
        elif managers:
            raise SettingError("(manager)", "without --cold every manager is copied", remedy="leave the names out")
        elif or_cold:
            agree("stop the Docker engine of each manager whose copy fails its proof for a moment", yes)
            taking = backup_or_cold(settings, say=say)
        else:
            taking = take_copies(settings, say=say)
        with (
            notify.guarded(settings, Subject.BACKUP, f"of {', '.join(chosen)}", say=say),
            progress("copying", len(chosen), as_json=as_json) as done,
        ):
            left = set(chosen)
            for outcome in taking:
                done()
                left.discard(outcome.manager)
                if outcome.error or not (outcome.copy and outcome.manifest):
                    what = "copied, and not to be opened here" if outcome.copy else "not copied"
                    failed.append(f"{outcome.manager}: {what}\n{outcome.error}")
                    err.print(failed[-1], style="red", markup=False)
                    continue
                made.append((outcome.copy, outcome.manifest))
                if outcome.missing_at(settings):
                    partial.append(f"{outcome.manager}: its copy does not lie at every site: requorum backups")
                if fault := outcome.manifest.shortfall:
                    err.print(f"{outcome.manager}: {fault}", style="red", markup=False)
            for name in sorted(left):
                failed.append(f"{name}: not copied: {PASSED_OVER}")
                err.print(failed[-1], style="red", markup=False)
        if as_json:
            print_json(show.copies_json(settings.cluster, made))
        else:
            out.print(show.copies_table(made, datetime.now(UTC), sites=settings.backup.second is not None))
        proven = sum(manifest.verdict is Verdict.PROVEN for _, manifest in made)
        faults = [*failed, *partial]
        faults += [f"{copy.manager}: {manifest.shortfall}" for copy, manifest in made if manifest.shortfall]
        if faults or not managers:  # what was told of another manager is not over
            notify.outcome(settings, Subject.BACKUP, faults, f"{proven} copies are proven", say=say)
    raise typer.Exit(show.DEGRADED if proven and faults else show.FINE if proven else show.ERROR)


@app.command()
def backups(stack: StackOption = "", config_file: FileOption = None, as_json: JsonOption = False) -> None:
    """List the cluster's copies, newest first."""
    with loaded(stack, config_file) as settings:
        catalog = Catalog(settings)
        found, marked = catalog.manifests(), keeps.read(catalog)
        for note in catalog.notes:
            say(note)
        if as_json:
            print_json(show.copies_json(settings.cluster, found, marked, opens=catalog.opens))
        elif found:
            out.print(show.copies_table(found, datetime.now(UTC), marked, sites=settings.backup.second is not None))
        else:
            out.print(f"cluster {settings.cluster} has no copies: requorum backup")


@app.command()
def verify(
    name: Annotated[str, typer.Argument(help="The copy's name; the newest one when left out.")] = "",
    stack: StackOption = "",
    config_file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read a copy whole from S3 and compare it with its manifest; where an identity is at hand, open the unlock key it needs."""
    with loaded(stack, config_file) as settings:
        catalog = Catalog(settings)
        if not (name or catalog.copies):
            raise NoUsableCopy("verifying the newest copy", "S3 holds none", remedy="requorum backup")
        copy = catalog.named(name) if name else catalog.copies[0]
        try:
            with progress(f"reading {copy.name}", None, as_json=as_json), catalog.verified(copy) as (manifest, archive):
                Escrow(settings, catalog.store).check(archive, manifest, whose=copy.name)
        except (DamagedCopy, NoUnlockKey, SettingError) as error:
            if as_json:
                print_json(show.verified_json(settings.cluster, copy, error))
            raise
        for note in catalog.notes:
            say(note)
        if as_json:
            print_json(show.verified_json(settings.cluster, copy, manifest))
        else:
            out.print(f"{copy.name}: whole, {len(manifest.files)} files, as its manifest says (not restored: unproven)")


@app.command("s3")
def show_offers(stack: StackOption = "", config_file: FileOption = None, as_json: JsonOption = False) -> None:
    """Find out what the S3 servers offer, by one small object below PREFIX/CLUSTER/probe/, which is removed again.

    Exit 0 when each offers all that the settings need, 3 when not, 1 when one cannot be used.
    """
    with loaded(stack, config_file) as settings:
        found = probe.probe(Store(settings.backup.sites).sites, settings.keys.probe)
        if as_json:
            print_json(s3.as_json(settings.cluster, found))
        else:
            for site in found:
                out.print(table(site))
            if settings.backup.second is None:
                out.print("no second site: requorum:backup.second")
    raise typer.Exit(max((exit_code(site) for site in found), key=SEVERITY.index))


@app.command()
def drill(
    names: Annotated[list[str] | None, typer.Argument(help="Copies; the newest of each manager when left out.")] = None,
    on: Annotated[
        str, typer.Option(help="The node that the sandbox stands on; the copy's manager when left out.")
    ] = "",
    stack: StackOption = "",
    config_file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Restore copies as in a disaster, each in a sandbox with its manager's address, and keep the result beside the copy.

    Exit 0 when every one came up as its manifest says, 3 when some did, 1 when none did.
    """
    done = []
    with loaded(stack, config_file) as settings:
        node = settings.named(on) if on else None
        with notify.guarded(settings, Subject.DRILL, f"of {', '.join(names or ['the newest copies'])}", say=say):
            catalog = Catalog(settings)
            chosen = [catalog.named(name) for name in names] if names else catalog.newest_of_each()
            if not chosen:
                raise NoUsableCopy("a drill", "S3 holds no copy of the settings' managers", remedy="requorum backup")
            with progress("restoring", len(chosen), as_json=as_json) as moved:
                for result in drills.drill(settings, catalog, chosen, on=node, say=say):
                    done.append(result)
                    moved()
        if as_json:
            print_json(show.drills_json(settings.cluster, done))
        else:
            out.print(show.drills_table(done))
        bad = [result for result in done if result.proof.verdict is not Verdict.PROVEN]
        faults = [f"{result.copy.name}: {result.proof.verdict}: {result.proof.detail}" for result in bad]
        if faults or not names:  # what was told of another copy is not over
            notify.outcome(settings, Subject.DRILL, faults, f"{len(done)} copies came up", say=say)
    proven = sum(result.proof.verdict is Verdict.PROVEN for result in done)
    raise typer.Exit(show.FINE if proven == len(done) else show.DEGRADED if proven else show.ERROR)


@app.command()
def keep(
    name: Annotated[str, typer.Argument(help="The copy's name.")],
    reason: Annotated[str, typer.Option(help="Why it is kept.")] = "",
    release: Annotated[bool, typer.Option("--release", help="Take the mark back.")] = False,
    stack: StackOption = "",
    config_file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Mark a copy, so that it is never pruned, or take its mark back."""
    if bool(reason.strip()) == release:
        raise typer.BadParameter("give either --reason TEXT or --release")
    with loaded(stack, config_file) as settings:
        mark = None
        if release:
            keep_operation.release(settings, name)
        else:
            mark = keep_operation.keep(settings, name, reason.strip(), now=datetime.now(UTC), say=say)
        if as_json:
            print_json(show.kept_json(settings.cluster, name, mark))
        elif mark:
            out.print(f"{name} is kept: {mark.text}", markup=False)
        else:
            out.print(f"{name} is no longer marked: the rules of requorum:backup.retention decide", markup=False)


@app.command()
def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go and what stays.")] = False,
    yes: YesOption = False,
    stack: StackOption = "",
    config_file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove the copies that no rule of requorum:backup.retention keeps. Exit 3 when S3 refuses to delete one."""
    if as_json and not (dry_run or yes):
        raise typer.BadParameter("--json does not ask: give --dry-run or --yes too")
    with loaded(stack, config_file) as settings:
        now = datetime.now(UTC)
        removals: tuple[Removal[Copy], ...] = ()
        decisions = pruning.look(settings, now)
        doomed = [decision for decision in decisions if not decision.keep]
        broken = broken_uploads.list_broken(settings, now, say=say)
        if not as_json:
            out.print(show.prune_table(decisions, now))
            for one in broken:
                begun = one.upload.begun.isoformat()
                out.print(f"remove the parts of {one.upload.key}: its upload of {begun} broke off", markup=False)
            out.print(f"{len(doomed)} of {len(decisions)} go" if doomed or broken else "nothing goes")
        if (doomed or broken) and not dry_run:
            agree(f"remove {len(doomed)}" + (f", and the parts of {len(broken)} uploads" if broken else ""), yes)
            if doomed:
                with progress("removing", len(doomed), as_json=as_json) as done:
                    removals = pruning.prune(settings, doomed, now, say=say, done=done)
            broken = broken_uploads.abort(broken)
        refused = [removal for removal in removals if removal.error]
        for removal in refused:
            err.print(f"{removal.decision.copy.name}: not removed\n{removal.error}", style="red", markup=False)
        left = [one for one in broken if one.error]
        for one in left:
            err.print(f"the parts of {one.upload.key}: not removed\n{one.error}", style="red", markup=False)
        if as_json:
            print_json(show.prune_json(settings.cluster, decisions, removals, broken, dry_run=dry_run))
        elif doomed and not dry_run:
            stayed = f"; {len(doomed) - len(removals)} need not go any more" if len(doomed) > len(removals) else ""
            out.print(f"{len(removals) - len(refused)} removed, {len(refused)} refused by S3{stayed}")
            if any(removal.versions_stay for removal in removals):
                out.print(VERSIONS_STAY)
    raise typer.Exit(show.DEGRADED if refused or left else show.FINE)


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
