"""The command line: looking, copying, recovering, and what can be done about one node or service."""

import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from recovery import display, escalation, hooks, lease, reports
from recovery import fence as fencing
from recovery import rebalance as rebalancing
from recovery.account import as_markdown
from recovery.assessment import assess, known_id
from recovery.backup import backup as take_copies
from recovery.catalog import Catalog, Copy
from recovery.diagnosis import Diagnosis, diagnose
from recovery.doctor import examine
from recovery.errors import NoUsableCopy, RequorumError, SettingError
from recovery.escrow import Escrow
from recovery.execute import execute
from recovery.keyfile import UnlockKey
from recovery.manifest import Verdict
from recovery.model import Survey
from recovery.settings import Settings, load
from recovery.store import Store
from recovery.survey import settled, survey

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A Docker Swarm whose managers can all be lost, and are back by one pulumi up.",
)
WIDE = 200
"""Columns where the output is no terminal: lines stay whole for whoever reads them later."""
out = Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
err = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else WIDE)

StackOption = Annotated[str, typer.Option(envvar="PULUMI_STACK", help="The stack whose file is read.")]
FileOption = Annotated[Path | None, typer.Option(help="The stack file itself, instead of stacks/Pulumi.STACK.yaml.")]
NodeArgument = Annotated[str, typer.Argument(help="The node's name in the stack file.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask before the first effect.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON (docs/json.md).")]


@app.command()
def status(stack: StackOption = "", config_file: FileOption = None, as_json: JsonOption = False) -> None:
    """Show the cluster as it is right now. Exit 0 fine, 1 error, 3 degraded, 4 quorum lost."""
    with _errors_shown():
        settings = _settings(stack, config_file)
        now = _status(settings)
        if as_json:
            _print_json(display.as_json(now))
        else:
            out.print(display.as_tree(now))
    raise typer.Exit(now.exit_code)


@app.command()
def backup(stack: StackOption = "", config_file: FileOption = None, as_json: JsonOption = False) -> None:
    """Copy every manager's swarm directory to S3, engines running, the leader last; each copy is restored once in a sandbox.

    Exit 0 when every copy is proven, 3 when some are, 1 when none is.
    """
    made, failed = [], []
    with _errors_shown():
        settings = _settings(stack, config_file)
        for outcome in take_copies(settings, say=_say):
            if outcome.error or not (outcome.copy and outcome.manifest):
                failed.append(outcome)
                err.print(f"{outcome.manager}: not copied\n{outcome.error}", style="red", markup=False)
                continue
            made.append((outcome.copy, outcome.manifest))
            if fault := outcome.manifest.shortfall:
                err.print(f"{outcome.manager}: {fault}", style="red", markup=False)
        if as_json:
            _print_json(display.copies_json(settings.cluster, made))
        else:
            out.print(display.copies_table(made, datetime.now(UTC)))
    proven = sum(manifest.verdict is Verdict.PROVEN for _, manifest in made)
    whole = proven == len(made) and not failed
    raise typer.Exit(display.FINE if whole else display.DEGRADED if proven else display.ERROR)


@app.command()
def backups(stack: StackOption = "", config_file: FileOption = None, as_json: JsonOption = False) -> None:
    """List the cluster's copies, newest first."""
    with _errors_shown():
        settings = _settings(stack, config_file)
        found = Catalog(settings).manifests()
        if as_json:
            _print_json(display.copies_json(settings.cluster, found))
        elif found:
            out.print(display.copies_table(found, datetime.now(UTC)))
        else:
            out.print(f"cluster {settings.cluster} has no copies: requorum backup")


@app.command()
def verify(
    name: Annotated[str, typer.Argument(help="The copy's name; the newest one when left out.")] = "",
    stack: StackOption = "",
    config_file: FileOption = None,
) -> None:
    """Read a copy whole from S3 and compare it with its manifest."""
    with _errors_shown():
        settings = _settings(stack, config_file)
        catalog = Catalog(settings)
        if not (name or catalog.copies):
            raise NoUsableCopy("verifying the newest copy", "S3 holds none", remedy="requorum backup")
        copy = catalog.named(name) if name else catalog.copies[0]
        with catalog.verified(copy) as (manifest, _):
            out.print(f"{copy.name}: whole, {len(manifest.files)} files, as its manifest says (not restored: unproven)")


@app.command("reports")
def list_reports(stack: StackOption = "", config_file: FileOption = None, as_json: JsonOption = False) -> None:
    """List the reports of what was done to the swarm, newest first."""
    with _errors_shown():
        settings = _settings(stack, config_file)
        found = reports.every(settings)
        if as_json:
            _print_json(reports.listing_json(settings.cluster, found))
        elif found:
            out.print(reports.table(found))
        else:
            out.print(f"cluster {settings.cluster} has no reports")


@app.command("report")
def show_report(
    name: Annotated[str, typer.Argument(help="The report's name; the newest one when left out.")] = "",
    stack: StackOption = "",
    config_file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print one report: what was lost, what was done and how long it took, what the proof found."""
    with _errors_shown():
        document = reports.load(_settings(stack, config_file), name)
        if as_json:
            _print_json(dict(document))
        else:
            print(as_markdown(document), end="")


@app.command()
def escrow(stack: StackOption = "", config_file: FileOption = None) -> None:
    """Keep an unlock key, read from standard input, in S3, encrypted to the recipients of the settings.

    For a key that the swarm can no longer be asked for. Every copy of an autolocked swarm keeps its key by itself.
    """
    with _errors_shown():
        settings = _settings(stack, config_file)
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


@app.command()
def plan(stack: StackOption = "", config_file: FileOption = None, as_json: JsonOption = False) -> None:
    """Show what `pulumi up` would do to the swarm now, or why it would refuse."""
    with _errors_shown():
        settings = _settings(stack, config_file)
        assessment = assess(settings)
        if as_json:
            _print_json(display.plan_json(assessment))
        else:
            out.print(
                "\n".join((f"cluster {settings.cluster}: {assessment.diagnosis.kind}", *assessment.diagnosis.evidence))
            )
            out.print("\n".join(assessment.plan.lines or (() if assessment.plan.refusal else ("nothing to do",))))
        assessment.require_safe(settings)


@app.command()
def recover(
    stack: StackOption = "",
    config_file: FileOption = None,
    yes: YesOption = False,
) -> None:
    """Carry the plan out without Pulumi, on machines that are up. A later `pulumi up` agrees with the result."""
    with _errors_shown():
        settings = _settings(stack, config_file)
        found = assess(settings)
        assessment = replace(found, plan=found.plan.agreed())
        assessment.require_safe(settings)
        needed = bool(assessment.plan.steps) or hooks.unproven(settings, say=_say)
        rest = "prove what an earlier run did" if needed else "nothing to do"
        out.print("\n".join(assessment.plan.lines) or rest, markup=False)
        if not needed or not (yes or typer.confirm("Do this?")):
            raise typer.Exit(display.ERROR if needed else display.FINE)
        health = execute(settings, assessment, say=_say)
        out.print(f"cluster {settings.cluster} ({health.cluster_id}) is proven, led by {health.leader}")


@app.command()
def doctor(stack: StackOption = "", config_file: FileOption = None, as_json: JsonOption = False) -> None:
    """Show what ails which node and what can be tried, the mildest first. Nothing is done. Exit codes as of status."""
    with _errors_shown():
        settings = _settings(stack, config_file)
        seen, diagnosis, *_ = _look(settings)
        cases = examine(settings, seen, diagnosis)
        code = display.doctor_code(diagnosis, cases)
        if as_json:
            _print_json(display.doctor_json(diagnosis, cases))
        else:
            lines = (f"cluster {settings.cluster}: {diagnosis.kind}", *display.doctor_lines(diagnosis, cases))
            out.print("\n".join(lines), markup=False)
    raise typer.Exit(code)


@app.command()
def fence(
    node: NodeArgument,
    lost: Annotated[bool, typer.Option("--lost", help="Take your word that it is off and stays off.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also when it answers, where the quorum survives it.")] = False,
    yes: YesOption = False,
    stack: StackOption = "",
    config_file: FileOption = None,
) -> None:
    """Switch a machine off for good, check that it is silent, and name it lost, for one hour."""
    with _errors_shown():
        settings = _settings(stack, config_file)
        machine = settings.named(node)
        if not yes:
            fencing.check(settings, settled(settings), machine, lost=lost, force=force)
        _agree(fencing.intent(settings, machine, lost=lost), yes)
        with lease.hold(settings, f"fencing {node}", say=_say):
            word = fencing.fence(settings, machine, lost=lost, force=force, say=_say)
        out.print(f"{node} is {word.text(datetime.now(UTC))}; next: requorum plan", markup=False)


@app.command()
def restart(
    node: NodeArgument, yes: YesOption = False, stack: StackOption = "", config_file: FileOption = None
) -> None:
    """Restart a node's Docker engine, where the quorum survives that."""
    with _errors_shown():
        settings = _settings(stack, config_file)
        machine = settings.named(node)
        _agree(f"restart the Docker engine of {node}", yes)
        now = escalation.restart(settings, machine, say=_say)
        out.print(f"{node}: {now.reach}, {now.state}", markup=False)


@app.command()
def reboot(node: NodeArgument, yes: YesOption = False, stack: StackOption = "", config_file: FileOption = None) -> None:
    """Restart a node's machine, where the quorum survives that, and wait until it is back."""
    with _errors_shown():
        settings = _settings(stack, config_file)
        machine = settings.named(node)
        _agree(f"reboot {node} ({machine.address})", yes)
        now = escalation.reboot(settings, machine, say=_say)
        out.print(f"{node}: {now.reach}, {now.state}", markup=False)


@app.command()
def promote(
    worker: NodeArgument, yes: YesOption = False, stack: StackOption = "", config_file: FileOption = None
) -> None:
    """Let a worker stand in for a lost manager. The `pulumi up` that brings the manager back demotes it."""
    with _errors_shown():
        settings = _settings(stack, config_file)
        machine = settings.named(worker)
        _agree(f"make {worker} a manager until every manager of the settings is back", yes)
        with lease.hold(settings, f"promoting {worker}", say=_say):
            escalation.promote(settings, machine, say=_say)
        out.print(f"{worker} votes", markup=False)


@app.command()
def rebalance(
    services: Annotated[list[str] | None, typer.Argument(help="Names; every replicated service when left out.")] = None,
    yes: YesOption = False,
    stack: StackOption = "",
    config_file: FileOption = None,
) -> None:
    """Replace the tasks of replicated services, one service after the other, so that they spread over the nodes again."""
    with _errors_shown():
        settings = _settings(stack, config_file)
        done = rebalancing.rebalance(
            settings,
            services or (),
            agree=lambda names: _agree(f"replace every task of {', '.join(names)}", yes),
            say=_say,
        )
        out.print(f"rebalanced: {', '.join(done)}" if done else "there is no replicated service", markup=False)


def _agree(what: str, yes: bool) -> None:
    """Ask before the first effect. Raises: typer.Exit when the answer is no."""
    if not yes and not typer.confirm(f"{what}: do this?"):
        raise typer.Exit(display.ERROR)


def _status(settings: Settings) -> display.Status:
    """Works with any node dead and with S3 unreachable, within 5 seconds."""
    seen, diagnosis, found, error = _look(settings)
    return display.status(settings, seen, diagnosis, found, error)


def _look(settings: Settings) -> tuple[Survey, Diagnosis, tuple[Copy, ...], RequorumError | None]:
    """Survey, diagnosis, copies, and what kept the copies from being listed: nodes and S3 are asked side by side."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        copies = pool.submit(_copies, settings)
        seen = survey(settings)
        known, found, error = copies.result()
    leader = seen.leader
    known = known or (leader.cluster_id if leader else None)
    return seen, diagnose(seen, known, cluster=settings.cluster, copies=bool(found)), found, error


def _copies(settings: Settings) -> tuple[str | None, tuple[Copy, ...], RequorumError | None]:
    try:
        catalog = Catalog(settings, Store(settings.backup, hasty=True))
        return known_id(settings, catalog), catalog.copies, None
    except RequorumError as error:
        return settings.cluster_id, (), error


def _settings(stack: str, config_file: Path | None) -> Settings:
    if config_file is None and not stack:
        raise SettingError(
            "(stack)", "no stack is named", remedy='--stack NAME, or PULUMI_STACK; in the lab: eval "$(make -s env)"'
        )
    folder = Path(os.environ.get("REQUORUM_PROJECT", "."))
    return load(config_file or folder / "stacks" / f"Pulumi.{stack}.yaml")


def _say(line: str) -> None:
    err.print(line, style="dim", markup=False)


def _print_json(document: dict[str, Any]) -> None:
    print(json.dumps(document, indent=2))


@contextmanager
def _errors_shown() -> Iterator[None]:
    try:
        yield
    except RequorumError as error:
        err.print(str(error), style="red", markup=False)
        raise typer.Exit(display.USAGE if isinstance(error, SettingError) else display.ERROR) from None


def main() -> None:
    """Entry point."""
    app()
