"""Commands that show the state of the cluster now."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

import typer

from recovery.cli.console import FileOption, JsonOption, StackOption, app, opened, out, print_json
from recovery.cli.show import cluster as show
from recovery.cli.show.doctor import doctor_code, doctor_json, doctor_lines
from recovery.cluster import Cluster
from recovery.copies.catalog import known_id
from recovery.copies.copy import Copy
from recovery.errors import RequorumError
from recovery.operations import agents, unfinished
from recovery.operations.assess import assess
from recovery.planning import changes
from recovery.planning.changes import Changes
from recovery.planning.diagnosis import Diagnosis, Kind, diagnose
from recovery.planning.doctor import examine
from recovery.planning.guidance import Guidance, guide
from recovery.planning.plan import Plan
from recovery.survey.nodes import survey
from recovery.swarm.model import Survey


class Look(NamedTuple):
    """The answers of the nodes and of S3, and the error if S3 could not be listed."""

    survey: Survey
    diagnosis: Diagnosis
    copies: Mapping[str, Copy]
    """The newest copy of each manager, by its name."""
    error: RequorumError | None
    unfinished: datetime | None = None
    """When the run began that no report covers."""


@app.command()
def status(stack: StackOption = "", config_file: FileOption = None, as_json: JsonOption = False) -> None:
    """Show the current state of the cluster.

    Exit status: 0 healthy, 1 error, 3 degraded, 4 quorum lost, 5 not seen from here (no leader answers, and faults of
    access hide managers that may have one).
    """
    with opened(stack, config_file, as_json=as_json) as cluster:
        now = status_of(cluster)
        if as_json:
            print_json(show.as_json(now))
        else:
            out.print(show.as_tree(now))
    raise typer.Exit(now.exit_code)


@app.command()
def doctor(stack: StackOption = "", config_file: FileOption = None, as_json: JsonOption = False) -> None:
    """List unhealthy nodes and the commands that may repair them, least disruptive first.

    Changes nothing. Exit status: 0 if every node is healthy, 1 error, 3 degraded, 4 quorum lost, 5 not seen from here.
    """
    with opened(stack, config_file, as_json=as_json) as cluster:
        seen, diagnosis, guidance = _examined(cluster)
        cases = examine(cluster.settings, seen, diagnosis)
        code = doctor_code(diagnosis, cases)
        if as_json:
            print_json(doctor_json(diagnosis, cases, guidance))
        else:
            lines = (f"cluster {cluster.settings.cluster}: {guidance.state}", *doctor_lines(diagnosis, cases, guidance))
            out.print("\n".join(lines), markup=False)
    raise typer.Exit(code)


def status_of(cluster: Cluster) -> show.Status:
    """The status, within 5 seconds even if all nodes are dead and S3 does not answer."""
    now = look(cluster)
    differs = _differs(cluster, now)
    return show.status(cluster.settings, now.survey, now.diagnosis, now.copies, now.error, differs, now.unfinished)


def _differs(cluster: Cluster, now: Look) -> Changes:
    return changes.find(cluster.settings, now.survey, Plan(now.diagnosis.kind), agents.digests(cluster.settings))


def _examined(cluster: Cluster) -> tuple[Survey, Diagnosis, Guidance]:
    """Survey, diagnosis and guidance. A recovery is assessed as `requorum plan` does, because its command needs the plan's ID."""
    settings, now = cluster.settings, look(cluster)
    if now.diagnosis.kind in (Kind.QUORUM_LOST, Kind.ALL_LOST) and now.error is None:
        try:
            found = assess(cluster)
        except RequorumError:
            pass  # the guidance names `requorum plan`, which shows the error
        else:
            return found.survey, found.diagnosis, found.guidance(settings)
    changed = _differs(cluster, now).alters
    guidance = guide(settings, now.survey, now.diagnosis, changed=changed, unfinished=now.unfinished)
    return now.survey, now.diagnosis, guidance


def look(cluster: Cluster) -> Look:
    """What the nodes and S3 tell at once. Asks them in parallel."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        copies = pool.submit(_copies, cluster)
        seen = survey(cluster)
        known, found, newest, notes, error, begun = copies.result()
    leader = seen.leader
    known = known or (leader.cluster_id if leader else None)
    unread = error is not None  # then there may be copies, and all may be lost
    diagnosis = diagnose(seen, known, cluster=cluster.settings.cluster, copies=found or unread)
    return Look(seen, replace(diagnosis, warnings=diagnosis.warnings + notes), newest, error, begun)


def _copies(
    cluster: Cluster,
) -> tuple[str | None, bool, Mapping[str, Copy], tuple[str, ...], RequorumError | None, datetime | None]:
    try:
        catalog = cluster.catalog(hasty=True)
        known = known_id(cluster.settings, catalog)
        begun = unfinished.begun(cluster.settings.keys, catalog.keys)
        return known, bool(catalog.copies), catalog.newest_by_manager(), catalog.notes, None, begun
    except RequorumError as error:
        return cluster.settings.cluster_id, False, {}, (), error, None
