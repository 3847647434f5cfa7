"""The command that shows the state of the cluster now, and the look at it that other commands share."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

import typer

from recovery.cli.console import FileOption, JsonOption, StackOption, app, examples, opened, out, print_json
from recovery.cli.progress import progress
from recovery.cli.show import cluster as show
from recovery.cluster import Cluster
from recovery.copies.catalog import known_id
from recovery.copies.copy import Copy
from recovery.errors import RequorumError
from recovery.operations import agents, readiness, unfinished
from recovery.planning import changes
from recovery.planning.changes import Changes
from recovery.planning.conditions import Condition
from recovery.planning.diagnosis import WITH_LEADER, Diagnosis, Kind, diagnose
from recovery.planning.plan import Plan
from recovery.planning.readiness import Stock
from recovery.survey.nodes import survey
from recovery.swarm.model import Survey


class Look(NamedTuple):
    """The answers of the nodes and of S3, and the error if S3 could not be listed."""

    survey: Survey
    diagnosis: Diagnosis
    copies: Mapping[str, Copy]
    """The newest copy of each manager, by its name."""
    stock: Stock
    unfinished: datetime | None = None
    """When the run began that no report covers."""


@app.command("status", epilog=examples("requorum status", "requorum status --stack production --json"))
def status(stack: StackOption = "", config_file: FileOption = None, as_json: JsonOption = False) -> None:
    """Show the current state of the cluster.

    Exit status: 0 healthy, and a recovery from here would work (`requorum check`), 1 error, 3 degraded, 4 quorum lost,
    5 not seen from here (no leader answers, and faults of access hide managers that may have one).
    """
    with opened(stack, config_file, as_json=as_json) as cluster:
        with progress("asking the nodes and S3", as_json=as_json):
            now = status_of(cluster)
        if as_json:
            print_json(show.as_json(now))
        else:
            out.print(show.as_table(now))
    raise typer.Exit(now.exit_code)


def status_of(cluster: Cluster) -> show.Status:
    """The status, within 5 seconds even if all nodes are dead and S3 does not answer."""
    return shown(cluster, look(cluster))


def shown(cluster: Cluster, now: Look) -> show.Status:
    """The status in the answers of the nodes and of S3. Asks the agents."""
    changed, known = differs(cluster, now), conditions(cluster, now)
    return show.status(
        cluster.settings, now.survey, now.diagnosis, now.copies, now.stock.error, changed, now.unfinished, known
    )


def differs(cluster: Cluster, now: Look) -> Changes:
    """What `pulumi up` would change on nodes that answer."""
    return changes.find(cluster.settings, now.survey, Plan(now.diagnosis.kind), agents.digests(cluster.settings))


def conditions(cluster: Cluster, now: Look) -> tuple[Condition, ...]:
    """The conditions of a recovery. A swarm without a leader needs the recovery itself."""
    return readiness.conditions(cluster, now.survey, now.stock) if now.diagnosis.kind in WITH_LEADER else ()


def look(cluster: Cluster) -> Look:
    """What the nodes and S3 tell at once. Asks them in parallel."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        copies = pool.submit(_copies, cluster)
        seen = survey(cluster)
        known, found, newest, notes, stock, begun = copies.result()
    unread = stock.error is not None  # then there may be copies, and all may be lost
    if unread and known is None and seen.leader:
        known = seen.leader.cluster_id  # the copies would tell
    diagnosis = diagnose(seen, known, cluster=cluster.settings.cluster, copies=found or unread)
    if unread and known is None and diagnosis.kind is Kind.ALL_LOST and not diagnosis.orphans:
        notes = (f"S3 cannot be read, so Requorum cannot tell whether cluster {cluster.settings.cluster} ever was",)
    return Look(seen, replace(diagnosis, warnings=diagnosis.warnings + notes), newest, stock, begun)


def _copies(
    cluster: Cluster,
) -> tuple[str | None, bool, Mapping[str, Copy], tuple[str, ...], Stock, datetime | None]:
    settings = cluster.settings
    try:
        catalog = cluster.catalog(hasty=True)
        stock = readiness.stock_of(cluster, catalog)
        known = settings.cluster_id if stock.error else known_id(settings, catalog)
        newest = {name: copies[0][0] for name, copies in stock.copies.items()}
        begun = unfinished.begun(cluster, catalog)
        return known, bool(catalog.copies), newest, catalog.notes, stock, begun
    except RequorumError as error:
        return settings.cluster_id, False, {}, (), readiness.no_stock(settings, error), None
