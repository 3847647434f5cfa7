"""Commands that look at the whole cluster, and recover it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from prometheus_client import CollectorRegistry, generate_latest, start_http_server, write_to_textfile

from recovery.cli import show
from recovery.cli.console import FileOption, JsonOption, StackOption, YesOption, app, loaded, out, print_json, say
from recovery.cli.metrics import Live, Watched
from recovery.cli.show.reports import listing_json, table
from recovery.copies.catalog import Catalog, known_id
from recovery.copies.copy import Copy
from recovery.data.catalog import DataCatalog
from recovery.errors import LocalError, RequorumError, SettingError
from recovery.operations import drill, lifecycle, notify, reports
from recovery.operations.assess import assess
from recovery.operations.notify import Subject
from recovery.operations.recover import recover_all
from recovery.operations.report import as_markdown
from recovery.planning.diagnosis import Diagnosis, diagnose
from recovery.planning.doctor import examine
from recovery.s3.store import Store
from recovery.settings import Settings
from recovery.survey.nodes import survey
from recovery.swarm.model import Survey


@app.command()
def status(stack: StackOption = "", config_file: FileOption = None, as_json: JsonOption = False) -> None:
    """Show the cluster as it is right now. Exit 0 fine, 1 error, 3 degraded, 4 quorum lost."""
    with loaded(stack, config_file) as settings:
        now = _status(settings)
        if as_json:
            print_json(show.as_json(now))
        else:
            out.print(show.as_tree(now))
    raise typer.Exit(now.exit_code)


@app.command()
def doctor(stack: StackOption = "", config_file: FileOption = None, as_json: JsonOption = False) -> None:
    """Show what ails which node and what can be tried, the mildest first. Nothing is done. Exit codes as of status."""
    with loaded(stack, config_file) as settings:
        seen, diagnosis, *_ = _look(settings)
        cases = examine(settings, seen, diagnosis)
        code = show.doctor_code(diagnosis, cases)
        if as_json:
            print_json(show.doctor_json(diagnosis, cases))
        else:
            lines = (f"cluster {settings.cluster}: {diagnosis.kind}", *show.doctor_lines(diagnosis, cases))
            out.print("\n".join(lines), markup=False)
    raise typer.Exit(code)


@app.command()
def plan(stack: StackOption = "", config_file: FileOption = None, as_json: JsonOption = False) -> None:
    """Show what `pulumi up` would do to the swarm now, or why it would refuse."""
    with loaded(stack, config_file) as settings:
        assessment = assess(settings)
        if as_json:
            print_json(show.plan_json(assessment))
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
    with loaded(stack, config_file) as settings, notify.telling(settings, Subject.RECOVERY, say=say):
        found = assess(settings)
        assessment = replace(found, plan=found.plan.agreed())
        assessment.require_safe(settings)
        needed = bool(assessment.plan.steps) or lifecycle.unproven(settings, say=say)
        rest = "prove what an earlier run did" if needed else "nothing to do"
        out.print("\n".join(assessment.plan.lines) or rest, markup=False)
        if not needed or not (yes or typer.confirm("Do this?")):
            raise typer.Exit(show.ERROR if needed else show.FINE)
        health = recover_all(settings, assessment, say=say)
        out.print(f"cluster {settings.cluster} ({health.cluster_id}) is proven, led by {health.leader}")


@app.command("reports")
def list_reports(stack: StackOption = "", config_file: FileOption = None, as_json: JsonOption = False) -> None:
    """List the reports of what was done to the swarm, newest first."""
    with loaded(stack, config_file) as settings:
        found = reports.every(settings)
        if as_json:
            print_json(listing_json(settings.cluster, found))
        elif found:
            out.print(table(found))
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
    with loaded(stack, config_file) as settings:
        document = reports.load(settings, name)
        if as_json:
            print_json(dict(document))
        else:
            print(as_markdown(document), end="")


@app.command()
def metrics(
    textfile: Annotated[Path | None, typer.Option(help="Write them there, whole, for node_exporter.")] = None,
    listen: Annotated[str, typer.Option(help="Serve them at ADDRESS:PORT until interrupted.")] = "",
    stack: StackOption = "",
    config_file: FileOption = None,
) -> None:
    """Show the swarm's health and the age of its copies as Prometheus metrics. Alert rules: docs/alerts.yml."""
    with loaded(stack, config_file) as settings:
        registry = CollectorRegistry()
        registry.register(Live(lambda: _watched(settings)))
        if listen:
            _serve(listen, registry)
        elif textfile:
            try:
                write_to_textfile(str(textfile), registry)
            except OSError as error:
                remedy = "make its folder, or room on its disk, then run this again"
                raise LocalError(f"writing {textfile}", str(error.strerror), remedy=remedy) from None
        else:
            print(generate_latest(registry).decode(), end="")


@app.command("notify")
def rehearse(stack: StackOption = "", config_file: FileOption = None) -> None:
    """Send a message to the services of requorum:notify, to see whether it arrives."""
    with loaded(stack, config_file) as settings:
        arrived = notify.rehearse(settings)
        out.print("every service took it" if arrived else "not every service took it")
    raise typer.Exit(show.FINE if arrived else show.ERROR)


def _serve(listen: str, registry: CollectorRegistry) -> None:
    """Answer until interrupted; each question is a look at the cluster."""
    address, _, port = listen.rpartition(":")
    if not port.isdecimal():
        raise SettingError("(--listen)", f"{listen} is no ADDRESS:PORT", remedy="such as --listen 127.0.0.1:9820")
    try:
        _, answering = start_http_server(int(port), address or "127.0.0.1", registry)
    except OSError as error:
        raise SettingError("(--listen)", f"{listen}: {error.strerror}", remedy="give another address or port") from None
    say(f"metrics at http://{address or '127.0.0.1'}:{port}/metrics; Ctrl-C ends it")
    answering.join()


def _watched(settings: Settings) -> Watched:
    status = _status(settings)
    managers = [manager.name for manager in settings.managers]
    try:
        store = Store(settings.backup.sites, hasty=True)
        copies, catalog = Catalog(settings, store).since_proven(), DataCatalog(settings, store)
        drills = drill.last(settings, store)
    except RequorumError:
        return Watched(status, None, managers, {}, {}, sites=len(settings.backup.sites))
    data = {name: [copy.dated for copy in catalog.of(name)] for name in settings.data}
    return Watched(status, copies, managers, data, drills, sites=len(settings.backup.sites))


def _status(settings: Settings) -> show.Status:
    """Works with any node dead and with S3 unreachable, within 5 seconds."""
    seen, diagnosis, found, error = _look(settings)
    return show.status(settings, seen, diagnosis, found, error)


def _look(settings: Settings) -> tuple[Survey, Diagnosis, tuple[Copy, ...], RequorumError | None]:
    """Survey, diagnosis, copies, and what kept the copies from being listed: nodes and S3 are asked side by side."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        copies = pool.submit(_copies, settings)
        seen = survey(settings)
        known, found, notes, error = copies.result()
    leader = seen.leader
    known = known or (leader.cluster_id if leader else None)
    unread = error is not None  # that there are no copies is nothing to be said then: all may be lost
    diagnosis = diagnose(seen, known, cluster=settings.cluster, copies=bool(found) or unread)
    return seen, replace(diagnosis, warnings=diagnosis.warnings + notes), found, error


def _copies(settings: Settings) -> tuple[str | None, tuple[Copy, ...], tuple[str, ...], RequorumError | None]:
    try:
        catalog = Catalog(settings, Store(settings.backup.sites, hasty=True))
        known = known_id(settings, catalog)
        return known, catalog.copies, catalog.notes, None
    except RequorumError as error:
        return settings.cluster_id, (), (), error
