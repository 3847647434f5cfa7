"""Commands for copies of managers and their unlock keys."""

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
    fail,
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
from recovery.errors import DamagedCopy, NoUnlockKey, NoUsableCopy, Refused, RequorumError, SettingError
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


@app.command()
def backup(
    managers: Annotated[
        list[str] | None, typer.Argument(help="With --cold: the managers to copy. Default: all.")
    ] = None,
    cold: Annotated[bool, typer.Option("--cold", help="Stop each engine for its copy, one after the other.")] = False,
    or_cold: Annotated[
        bool, typer.Option("--or-cold", help="If a copy fails its restore test, take a cold copy.")
    ] = False,
    yes: YesOption = False,
    stack: StackOption = "",
    config_file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy every manager's swarm directory to S3 while the engines run, the leader last.

    Requorum restores each copy once in a sandbox, to test it. Exit status: 0 if every manager's copy is proven and stored at
    every site, 3 if some are, 1 if none is.
    """
    if as_json and (cold or or_cold) and not yes:
        raise typer.BadParameter("--json cannot ask for consent. Give --yes too")
    made, failed, partial = [], [], []
    failures: list[tuple[str, RequorumError]] = []
    with loaded(stack, config_file, as_json=as_json) as settings:
        chosen = [settings.named(name).name for name in managers or [node.name for node in settings.managers]]
        if cold:
            agree(f"stop the Docker engines of {', '.join(chosen)}, one after the other, each for its copy", yes)
            taking = backup_cold(settings, chosen, say=say)
        elif managers:
            raise SettingError(
                "(manager)",
                "only --cold takes names. Without --cold, Requorum copies every manager",
                remedy="remove the names, or add --cold",
                code="bad-argument",
            )
        elif or_cold:
            agree("stop the Docker engine of each manager whose copy fails its restore test", yes)
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
                    what = "copied, but the copy cannot be opened here" if outcome.copy else "not copied"
                    failed.append(f"{outcome.manager}: {what}\n{outcome.error}")
                    failures += [(outcome.manager, outcome.error)] if outcome.error else []
                    err.print(failed[-1], style="red", markup=False)
                    continue
                made.append((outcome.copy, outcome.manifest))
                if outcome.missing_at(settings):
                    partial.append(f"{outcome.manager}: a site does not have its copy. next: requorum backups")
                if fault := outcome.manifest.shortfall:
                    err.print(f"{outcome.manager}: {fault}", style="red", markup=False)
            for name in sorted(left):
                failures.append((name, _left_out(name)))
                failed.append(str(failures[-1][1]))
                err.print(failed[-1], style="red", markup=False)
        if as_json:
            failed_json = show.failures_json("manager", failures)
            print_json(show.copies_json(settings.cluster, made) | {"failed": failed_json})
        else:
            out.print(show.copies_table(made, datetime.now(UTC), sites=settings.backup.second is not None))
        proven = sum(manifest.verdict is Verdict.PROVEN for _, manifest in made)
        faults = [*failed, *partial]
        faults += [f"{copy.manager}: {manifest.shortfall}" for copy, manifest in made if manifest.shortfall]
        if faults or not managers:  # a copy of one manager does not end the failure of another
            notify.outcome(settings, Subject.BACKUP, faults, f"{proven} copies are proven", say=say)
    raise typer.Exit(show.DEGRADED if proven and faults else show.FINE if proven else show.ERROR)


@app.command()
def backups(stack: StackOption = "", config_file: FileOption = None, as_json: JsonOption = False) -> None:
    """List the cluster's copies, newest first."""
    with loaded(stack, config_file, as_json=as_json) as settings:
        catalog = Catalog(settings)
        found, marked = catalog.manifests(), keeps.read(catalog)
        for note in catalog.notes:
            say(note)
        if as_json:
            print_json(show.copies_json(settings.cluster, found, marked, opens=catalog.opens))
        elif found:
            out.print(show.copies_table(found, datetime.now(UTC), marked, sites=settings.backup.second is not None))
        else:
            out.print(f"cluster {settings.cluster} has no copies. next: requorum backup")


@app.command()
def verify(
    name: Annotated[str, typer.Argument(help="The name of the copy. Default: the newest.")] = "",
    stack: StackOption = "",
    config_file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read a copy completely from S3 and compare it with its manifest. Also open the unlock key that it needs."""
    with loaded(stack, config_file, as_json=as_json) as settings:
        catalog = Catalog(settings)
        if not (name or catalog.copies):
            raise NoUsableCopy("verifying the newest copy", "S3 has no copy", remedy="requorum backup", code="no-copy")
        copy = catalog.named(name) if name else catalog.copies[0]
        try:
            with progress(f"reading {copy.name}", None, as_json=as_json), catalog.verified(copy) as (manifest, archive):
                Escrow(settings, catalog.store).check(archive, manifest, whose=copy.name)
        except (DamagedCopy, NoUnlockKey, SettingError) as error:
            if not as_json:
                raise
            print_json(show.verified_json(settings.cluster, copy, error))
            fail(error)
        for note in catalog.notes:
            say(note)
        if as_json:
            print_json(show.verified_json(settings.cluster, copy, manifest))
        else:
            out.print(f"{copy.name}: all {len(manifest.files)} files agree with its manifest. It was not restored")


@app.command("s3")
def show_offers(stack: StackOption = "", config_file: FileOption = None, as_json: JsonOption = False) -> None:
    """Test what the S3 servers support. The test writes one small object below PREFIX/CLUSTER/probe/ and removes it.

    Exit status: 0 if each server supports all that the settings need, 3 if not, 1 if a server cannot be used.
    """
    with loaded(stack, config_file, as_json=as_json) as settings:
        found = probe.probe(Store(settings.backup.sites).sites, settings.keys.probe)
        if as_json:
            print_json(s3.as_json(settings.cluster, found))
        else:
            for site in found:
                out.print(table(site))
            if settings.backup.second is None:
                out.print("no second site: requorum:backup.second is not set")
    raise typer.Exit(max((exit_code(site) for site in found), key=SEVERITY.index))


@app.command()
def drill(
    names: Annotated[
        list[str] | None, typer.Argument(help="The names of copies. Default: the newest of each manager.")
    ] = None,
    on: Annotated[str, typer.Option(help="The node that runs the sandbox. Default: the copy's manager.")] = "",
    stack: StackOption = "",
    config_file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Restore copies as in a disaster, each in a sandbox with its manager's address, and store the results in S3.

    Exit status: 0 if every restored swarm agrees with its manifest, 3 if some do, 1 if none does.
    """
    done = []
    with loaded(stack, config_file, as_json=as_json) as settings:
        node = settings.named(on) if on else None
        with notify.guarded(settings, Subject.DRILL, f"of {', '.join(names or ['the newest copies'])}", say=say):
            catalog = Catalog(settings)
            chosen = [catalog.named(name) for name in names] if names else catalog.newest_of_each()
            if not chosen:
                raise NoUsableCopy(
                    "drilling the newest copies",
                    "S3 has no copy of a manager in the stack file",
                    remedy="requorum backup",
                    code="no-copy",
                )
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
        if faults or not names:  # a drill of one copy does not end the failure of another
            notify.outcome(settings, Subject.DRILL, faults, f"{len(done)} copies are proven", say=say)
    proven = sum(result.proof.verdict is Verdict.PROVEN for result in done)
    raise typer.Exit(show.FINE if proven == len(done) else show.DEGRADED if proven else show.ERROR)


@app.command()
def keep(
    name: Annotated[str, typer.Argument(help="The name of the copy.")],
    reason: Annotated[str, typer.Option(help="Why the copy is kept.")] = "",
    release: Annotated[bool, typer.Option("--release", help="Remove the keep mark.")] = False,
    stack: StackOption = "",
    config_file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Protect a copy from pruning with a keep mark, or remove its keep mark."""
    if bool(reason.strip()) == release:
        raise typer.BadParameter("give either --reason TEXT or --release")
    with loaded(stack, config_file, as_json=as_json) as settings:
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
            out.print(
                f"{name} has no keep mark any more. The rules of requorum:backup.retention apply to it again",
                markup=False,
            )


@app.command()
def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed and kept.")] = False,
    yes: YesOption = False,
    stack: StackOption = "",
    config_file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove the copies that no rule of requorum:backup.retention keeps. Exit status 3 if S3 refuses to delete one."""
    if as_json and not (dry_run or yes):
        raise typer.BadParameter("--json cannot ask for consent. Give --dry-run or --yes too")
    with loaded(stack, config_file, as_json=as_json) as settings:
        now = datetime.now(UTC)
        removals: tuple[Removal[Copy], ...] = ()
        decisions = pruning.look(settings, now)
        doomed = [decision for decision in decisions if not decision.keep]
        broken = broken_uploads.list_broken(settings, now, say=say)
        if not as_json:
            out.print(show.prune_table(decisions, now))
            for one in broken:
                begun = one.upload.begun.isoformat()
                out.print(f"remove the parts of {one.upload.key}: its upload of {begun} was interrupted", markup=False)
            out.print(
                f"{len(doomed)} of {len(decisions)} copies to remove" if doomed or broken else "nothing to remove"
            )
        if (doomed or broken) and not dry_run:
            parts = f" and the parts of {len(broken)} uploads" if broken else ""
            agree(f"remove {len(doomed)} copies{parts}", yes)
            if doomed:
                with progress("removing", len(doomed), as_json=as_json) as done:
                    removals = pruning.prune(settings, doomed, now, say=say, done=done)
            broken = broken_uploads.abort(broken)
        refused = [removal for removal in removals if removal.error]
        for removal in refused:
            err.print(f"{removal.decision.copy.name} was not removed\n{removal.error}", style="red", markup=False)
        left = [one for one in broken if one.error]
        for one in left:
            err.print(f"the parts of {one.upload.key} were not removed\n{one.error}", style="red", markup=False)
        if as_json:
            print_json(show.prune_json(settings.cluster, decisions, removals, broken, dry_run=dry_run))
        elif doomed and not dry_run:
            stayed = f", {len(doomed) - len(removals)} now kept by the rules" if len(doomed) > len(removals) else ""
            out.print(f"{len(removals) - len(refused)} removed, {len(refused)} refused by S3{stayed}")
            if any(removal.versions_stay for removal in removals):
                out.print(VERSIONS_STAY)
    raise typer.Exit(show.DEGRADED if refused or left else show.FINE)


@app.command()
def escrow(stack: StackOption = "", config_file: FileOption = None) -> None:
    """Store an unlock key, read from standard input, in escrow in S3, sealed to requorum:escrow.recipients.

    You need this only for a key that the swarm does not know any more. Each copy of an autolocked swarm stores its key.
    """
    with loaded(stack, config_file) as settings:
        try:
            key = UnlockKey(
                (typer.prompt("unlock key", hide_input=True) if sys.stdin.isatty() else sys.stdin.read()).strip()
            )
        except ValueError as error:
            raise SettingError(
                "(standard input)",
                str(error),
                remedy="docker swarm unlock-key -q | requorum escrow",
                code="bad-argument",
            ) from None
        Escrow(settings).keep(key)
        out.print(f"unlock key {key.fingerprint} is in escrow")


def _left_out(manager: str) -> Refused:
    """Why a manager was not copied, although no copy was tried."""
    why, remedy = "it is declared lost, so it was not copied", "requorum status"
    return Refused("copying it", why, remedy=remedy, node=manager, code="declared-lost")
