"""Commands for copies of managers and their unlock keys."""

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from recovery.cli.console import (
    FileOption,
    JsonOption,
    StackOption,
    WideOption,
    answered,
    app,
    examples,
    fail,
    opened,
    out,
    print_json,
    say,
)
from recovery.cli.progress import progress
from recovery.cli.show.contract import DEGRADED, ERROR, FINE
from recovery.cli.show.copies import copies_json, copies_table, kept_json, verified_json, verified_text
from recovery.cli.show.drills import drills_json, drills_table
from recovery.copies import keeps
from recovery.copies.escrow import Escrow
from recovery.copies.manifest import Verdict
from recovery.errors import DamagedCopy, NoUnlockKey, NoUsableCopy, SettingError
from recovery.operations import drill as drills
from recovery.operations import keep as keep_operation
from recovery.operations import notify
from recovery.operations.notify import Subject
from recovery.operations.trust import trusted
from recovery.swarm.key_file import UnlockKey

DRILLED = "no node is changed, and the results of drills that ended are stored. next: run the same command again"
MARKED = "the copy may be marked or not. next: requorum copies list shows it"
KEY = "the key may be in S3 or not. next: run the same command again"
NAMES = "A copy: latest, manager-b, manager-b@09:22 (UTC), or a name from --wide."


@app.command("copies list", epilog=examples("requorum copies list", "requorum copies list --wide"))
def list_copies(
    wide: WideOption = False, stack: StackOption = "", config_file: FileOption = None, as_json: JsonOption = False
) -> None:
    """List the cluster's copies, newest first."""
    with opened(stack, config_file, as_json=as_json) as cluster:
        with progress("reading the manifests", as_json=as_json):
            catalog = cluster.catalog()
            catalog.manifests()
            found, marked = trusted(cluster, catalog).manifests(), keeps.read(catalog)
        for note in (*catalog.notes, *catalog.unopened):
            say(note)
        drilled = {copy: at for copy, _ in found if (at := catalog.drilled(copy))}
        if as_json:
            print_json(copies_json(cluster.settings.cluster, found, marked, drilled, opens=catalog.opens))
        elif found:
            sites = cluster.settings.backup.second is not None
            out.print(copies_table(found, datetime.now(UTC), marked, drilled, sites=sites, wide=wide))
        else:
            out.print(f"cluster {cluster.settings.cluster} has no copies. next: requorum copies take")


@app.command(
    "copies verify", epilog=examples("requorum copies verify latest", "requorum copies verify manager-b@09:22")
)
def verify(
    name: Annotated[str, typer.Argument(help=f"{NAMES} Default: the newest.")] = "",
    stack: StackOption = "",
    config_file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read a copy completely from S3 and compare it with its manifest. Also open the unlock key that it needs."""
    with opened(stack, config_file, as_json=as_json) as cluster:
        catalog = cluster.catalog()
        if not (name or catalog.copies):
            raise NoUsableCopy(
                "verifying the newest copy", "S3 has no copy", remedy="requorum copies take", code="no-copy"
            )
        copy = trusted(cluster, catalog).named(name) if name else catalog.copies[0]
        try:
            with progress(f"reading {copy.name}", None, as_json=as_json), catalog.verified(copy) as (manifest, archive):
                Escrow(cluster.settings, catalog.store).check(archive, manifest, whose=copy.name)
        except (DamagedCopy, NoUnlockKey, SettingError) as error:
            if not as_json:
                raise
            print_json(verified_json(cluster.settings.cluster, copy, error))
            fail(error)
        for note in (*catalog.notes, *catalog.unopened):
            say(note)
        if as_json:
            print_json(verified_json(cluster.settings.cluster, copy, manifest))
        else:
            out.print(f"{copy.name}: {verified_text(manifest, datetime.now(UTC))}")


@app.command("copies drill", epilog=examples("requorum copies drill", "requorum copies drill manager-b --on worker-1"))
def drill(
    names: Annotated[list[str] | None, typer.Argument(help=f"{NAMES} Default: the newest of each manager.")] = None,
    on: Annotated[str, typer.Option(help="The node that runs the sandbox. Default: the copy's manager.")] = "",
    wide: WideOption = False,
    stack: StackOption = "",
    config_file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Restore copies as in a disaster, each in a sandbox with its manager's address, and store the results in S3.

    Exit status: 0 if every restored swarm agrees with its manifest, 3 if some do, 1 if none does.
    """
    done = []
    with opened(stack, config_file, as_json=as_json, interrupted=DRILLED) as cluster:
        node = cluster.settings.named(on) if on else None
        with notify.guarded(cluster, Subject.DRILL, f"of {', '.join(names or ['the newest copies'])}", say=say):
            catalog = cluster.catalog()
            chosen = [catalog.named(name) for name in names] if names else catalog.newest_of_each()
            if not chosen:
                raise NoUsableCopy(
                    "drilling the newest copies",
                    "S3 has no copy of a manager in the stack file",
                    remedy="requorum copies take",
                    code="no-copy",
                )
            with progress("restoring", len(chosen), as_json=as_json) as moved:
                for result in drills.drill(cluster, catalog, chosen, on=node, say=say):
                    done.append(result)
                    moved()
        if as_json:
            print_json(drills_json(cluster.settings.cluster, done))
        else:
            out.print(drills_table(done, wide=wide))
        bad = [result for result in done if result.proof.verdict is not Verdict.PROVEN]
        faults = [f"{result.copy.name}: {result.proof.verdict}: {result.proof.detail}" for result in bad]
        if faults or not names:  # a drill of one copy does not end the failure of another
            notify.outcome(cluster, Subject.DRILL, faults, f"{len(done)} copies are proven", say=say)
    proven = sum(result.proof.verdict is Verdict.PROVEN for result in done)
    raise typer.Exit(FINE if proven == len(done) else DEGRADED if proven else ERROR)


@app.command(
    "copies keep",
    epilog=examples(
        'requorum copies keep latest --reason "before the upgrade"',
        "requorum copies keep manager-b@2026-01-31T12:00 --release",
    ),
)
def keep(
    name: Annotated[str, typer.Argument(help=NAMES)],
    reason: Annotated[str, typer.Option(help="Why the copy is kept.")] = "",
    release: Annotated[bool, typer.Option("--release", help="Remove the keep mark.")] = False,
    stack: StackOption = "",
    config_file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Protect a copy from pruning with a keep mark, or remove its keep mark."""
    if bool(reason.strip()) == release:
        raise typer.BadParameter("give either --reason TEXT or --release")
    with opened(stack, config_file, as_json=as_json, interrupted=MARKED) as cluster:
        mark = None
        with progress("marking the copy", as_json=as_json):
            if release:
                copy = keep_operation.release(cluster, name)
            else:
                copy, mark = keep_operation.keep(cluster, name, reason.strip(), now=datetime.now(UTC), say=say)
        if as_json:
            print_json(kept_json(cluster.settings.cluster, copy.name, mark))
        elif mark:
            out.print(f"{copy.name} is kept: {mark.text}")
        else:
            out.print(
                f"{copy.name} has no keep mark any more. The rules of requorum:backup.retention apply to it again",
            )


@app.command(
    "escrow", epilog=examples("docker swarm unlock-key -q | requorum escrow", "requorum escrow --stack production")
)
def escrow(stack: StackOption = "", config_file: FileOption = None) -> None:
    """Store an unlock key, read from standard input, in escrow in S3, sealed to requorum:escrow.recipients.

    You need this only for a key that the swarm does not know any more. Each copy of an autolocked swarm stores its key.
    """
    with opened(stack, config_file, interrupted=KEY) as cluster:
        with answered():
            told = typer.prompt("unlock key", hide_input=True) if sys.stdin.isatty() else sys.stdin.read()
        try:
            key = UnlockKey(told.strip())
        except ValueError as error:
            raise SettingError(
                "(standard input)",
                str(error),
                remedy="docker swarm unlock-key -q | requorum escrow",
                code="bad-argument",
            ) from None
        with progress("storing the key"):
            cluster.escrow.keep(key)
        out.print(f"unlock key {key.fingerprint} is in escrow")
