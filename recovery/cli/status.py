"""Commands that show the state of the cluster now."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import typer

from recovery.cli.console import FileOption, JsonOption, StackOption, app, opened, out, print_json
from recovery.cli.show import cluster as show
from recovery.cli.show.doctor import doctor_code, doctor_json, doctor_lines
from recovery.cluster import Cluster
from recovery.copies.catalog import known_id
from recovery.copies.copy import Copy
from recovery.errors import RequorumError
from recovery.operations import agents
from recovery.planning import changes
from recovery.planning.diagnosis import Diagnosis, diagnose
from recovery.planning.doctor import examine
from recovery.planning.plan import Plan
from recovery.survey.nodes import survey
from recovery.swarm.model import Survey


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
        seen, diagnosis, *_ = look(cluster)
        cases = examine(cluster.settings, seen, diagnosis)
        code = doctor_code(diagnosis, cases)
        if as_json:
            print_json(doctor_json(diagnosis, cases))
        else:
            lines = (f"cluster {cluster.settings.cluster}: {diagnosis.kind}", *doctor_lines(diagnosis, cases))
            out.print("\n".join(lines), markup=False)
    raise typer.Exit(code)


def status_of(cluster: Cluster) -> show.Status:
    """The status, within 5 seconds even if all nodes are dead and S3 does not answer."""
    seen, diagnosis, found, error = look(cluster)
    differs = changes.find(cluster.settings, seen, Plan(diagnosis.kind), agents.digests(cluster.settings))
    return show.status(cluster.settings, seen, diagnosis, found, error, differs)


def look(cluster: Cluster) -> tuple[Survey, Diagnosis, tuple[Copy, ...], RequorumError | None]:
    """Survey, diagnosis and copies, and the error if the copies could not be listed. Asks nodes and S3 in parallel."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        copies = pool.submit(_copies, cluster)
        seen = survey(cluster)
        known, found, notes, error = copies.result()
    leader = seen.leader
    known = known or (leader.cluster_id if leader else None)
    unread = error is not None  # then there may be copies, and all may be lost
    diagnosis = diagnose(seen, known, cluster=cluster.settings.cluster, copies=bool(found) or unread)
    return seen, replace(diagnosis, warnings=diagnosis.warnings + notes), found, error


def _copies(cluster: Cluster) -> tuple[str | None, tuple[Copy, ...], tuple[str, ...], RequorumError | None]:
    try:
        catalog = cluster.catalog(hasty=True)
        known = known_id(cluster.settings, catalog)
        return known, catalog.copies, catalog.notes, None
    except RequorumError as error:
        return cluster.settings.cluster_id, (), (), error
