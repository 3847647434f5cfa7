"""Commands that show the whole cluster, and recover it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from prometheus_client import CollectorRegistry, generate_latest, start_http_server, write_to_textfile

from recovery.cli import show
from recovery.cli.console import FileOption, JsonOption, StackOption, YesOption, app, fail, loaded, out, print_json, say
from recovery.cli.metrics import Live, Watched
from recovery.cli.show.reports import listing_json, table
from recovery.copies.catalog import Catalog, known_id
from recovery.copies.copy import Copy
from recovery.data.catalog import DataCatalog
from recovery.errors import LocalError, Refused, RequorumError, SettingError
from recovery.operations import drill, lifecycle, notify, reports
from recovery.operations.assess import Assessment, assess
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
    """Show the current state of the cluster. Exit status: 0 healthy, 1 error, 3 degraded, 4 quorum lost."""
    with loaded(stack, config_file, as_json=as_json) as settings:
        now = _status(settings)
        if as_json:
            print_json(show.as_json(now))
        else:
            out.print(show.as_tree(now))
    raise typer.Exit(now.exit_code)


@app.command()
def doctor(stack: StackOption = "", config_file: FileOption = None, as_json: JsonOption = False) -> None:
    """List unhealthy nodes and the commands that may repair them, least disruptive first.

    Changes nothing. Exit status: 0 if every node is healthy, 1 error, 3 degraded, 4 quorum lost.
    """
    with loaded(stack, config_file, as_json=as_json) as settings:
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
    """Show what `pulumi up` would change in the swarm now, or why it would refuse. Exit status 1 if it would refuse."""
    with loaded(stack, config_file, as_json=as_json) as settings:
        assessment = assess(settings)
        refused = _refused(assessment, settings)
        if as_json:
            print_json(show.plan_json(assessment, refused))
        else:
            out.print(
                "\n".join((f"cluster {settings.cluster}: {assessment.diagnosis.kind}", *assessment.diagnosis.evidence))
            )
            out.print("\n".join(assessment.plan.lines or (() if assessment.plan.refusal else ("nothing to do",))))
        if refused:
            fail(refused)


@app.command()
def recover(
    stack: StackOption = "",
    config_file: FileOption = None,
    yes: YesOption = False,
) -> None:
    """Carry out the plan without Pulumi, on machines that are up. A later `pulumi up` agrees with the result."""
    with loaded(stack, config_file) as settings, notify.telling(settings, Subject.RECOVERY, say=say):
        found = assess(settings)
        assessment = replace(found, plan=found.plan.agreed())
        assessment.require_safe(settings)
        needed = bool(assessment.plan.steps) or lifecycle.unproven(settings, say=say)
        rest = "prove the changes of an earlier run" if needed else "nothing to do"
        out.print("\n".join(assessment.plan.lines) or rest, markup=False)
        if not needed or not (yes or typer.confirm("Continue?")):
            raise typer.Exit(show.ERROR if needed else show.FINE)
        health = recover_all(settings, assessment, say=say)
        out.print(f"cluster {settings.cluster} ({health.cluster_id}) is proven. Its leader is {health.leader}")


@app.command("reports")
def list_reports(stack: StackOption = "", config_file: FileOption = None, as_json: JsonOption = False) -> None:
    """List the reports of all recoveries and other changes of the swarm, newest first."""
    with loaded(stack, config_file, as_json=as_json) as settings:
        found = reports.every(settings)
        if as_json:
            print_json(listing_json(settings.cluster, found))
        elif found:
            out.print(table(found))
        else:
            out.print(f"cluster {settings.cluster} has no reports")


@app.command("report")
def show_report(
    name: Annotated[str, typer.Argument(help="The name of the report. Default: the newest.")] = "",
    stack: StackOption = "",
    config_file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print one report: the losses, the steps and their times, and the result of the proof."""
    with loaded(stack, config_file, as_json=as_json) as settings:
        document = reports.load(settings, name)
        if as_json:
            print_json(dict(document))
        else:
            print(as_markdown(document), end="")


@app.command()
def metrics(
    textfile: Annotated[Path | None, typer.Option(help="Write the metrics to this file, for node_exporter.")] = None,
    listen: Annotated[str, typer.Option(help="Serve the metrics at ADDRESS:PORT until interrupted.")] = "",
    stack: StackOption = "",
    config_file: FileOption = None,
) -> None:
    """Print the swarm's health and the age of its copies as Prometheus metrics. Alert rules: docs/alerts.yml."""
    with loaded(stack, config_file) as settings:
        registry = CollectorRegistry()
        registry.register(Live(lambda: _watched(settings)))
        if listen:
            _serve(listen, registry)
        elif textfile:
            try:
                write_to_textfile(str(textfile), registry)
            except OSError as error:
                raise LocalError(
                    f"writing {textfile}",
                    str(error.strerror),
                    remedy="make its folder, or free space on its disk, then run the same command again",
                    code="disk-failed",
                ) from None
        else:
            print(generate_latest(registry).decode(), end="")


@app.command("notify")
def rehearse(stack: StackOption = "", config_file: FileOption = None) -> None:
    """Send a test message to the services of requorum:notify."""
    with loaded(stack, config_file) as settings:
        arrived = notify.rehearse(settings)
        out.print("every service accepted the message" if arrived else "not every service accepted the message")
    raise typer.Exit(show.FINE if arrived else show.ERROR)


def _refused(assessment: Assessment, settings: Settings) -> Refused | None:
    """Why `pulumi up` would refuse to begin; None if it would not."""
    try:
        assessment.require_safe(settings)
    except Refused as error:
        return error
    return None


def _serve(listen: str, registry: CollectorRegistry) -> None:
    """Serve metrics until interrupted. Each request surveys the cluster."""
    address, _, port = listen.rpartition(":")
    if not port.isdecimal():
        raise SettingError(
            "(--listen)",
            f"{listen} is not ADDRESS:PORT",
            remedy="give an address and a port, such as --listen 127.0.0.1:9820",
            code="bad-argument",
        )
    try:
        _, answering = start_http_server(int(port), address or "127.0.0.1", registry)
    except OSError as error:
        raise SettingError(
            "(--listen)", f"{listen}: {error.strerror}", remedy="give another address or port", code="bad-argument"
        ) from None
    say(f"serving metrics at http://{address or '127.0.0.1'}:{port}/metrics. Ctrl-C stops it")
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
    """The status, within 5 seconds even if all nodes are dead and S3 does not answer."""
    seen, diagnosis, found, error = _look(settings)
    return show.status(settings, seen, diagnosis, found, error)


def _look(settings: Settings) -> tuple[Survey, Diagnosis, tuple[Copy, ...], RequorumError | None]:
    """Survey, diagnosis and copies, and the error if the copies could not be listed. Asks nodes and S3 in parallel."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        copies = pool.submit(_copies, settings)
        seen = survey(settings)
        known, found, notes, error = copies.result()
    leader = seen.leader
    known = known or (leader.cluster_id if leader else None)
    unread = error is not None  # then there may be copies, and all may be lost
    diagnosis = diagnose(seen, known, cluster=settings.cluster, copies=bool(found) or unread)
    return seen, replace(diagnosis, warnings=diagnosis.warnings + notes), found, error


def _copies(settings: Settings) -> tuple[str | None, tuple[Copy, ...], tuple[str, ...], RequorumError | None]:
    try:
        catalog = Catalog(settings, Store(settings.backup.sites, hasty=True))
        known = known_id(settings, catalog)
        return known, catalog.copies, catalog.notes, None
    except RequorumError as error:
        return settings.cluster_id, (), (), error
