"""The command that shows the state of the cluster now, and the look at it that other commands share."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from recovery.cli.console import (
    FileOption,
    HtmlOption,
    JsonOption,
    StackOption,
    app,
    examples,
    give_page,
    opened,
    out,
    print_json,
    require_compatible,
)
from recovery.cli.interrupt import NOTHING, STATUS
from recovery.cli.progress import progress
from recovery.cli.show import cluster as show
from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog
from recovery.copies.copy import Copy
from recovery.copies.swarm_id import known_id
from recovery.errors import RequorumError, SettingError
from recovery.operations import agents, readiness, unfinished
from recovery.planning import changes
from recovery.planning.changes import Changes
from recovery.planning.conditions import Condition
from recovery.planning.diagnosis import WITH_LEADER, Diagnosis, Kind, diagnose
from recovery.planning.plan import Plan
from recovery.planning.readiness import Stock
from recovery.survey.nodes import survey
from recovery.swarm.model import Survey

SECONDS = 5.0
"""From one look of `--watch` to the next."""


class Look(NamedTuple):
    """The answers of the nodes and of S3, and the error if S3 could not be listed."""

    survey: Survey
    diagnosis: Diagnosis
    copies: Mapping[str, Copy]
    """The newest copy of each manager, by its name."""
    stock: Stock
    unfinished: datetime | None = None
    """When the run began that no report covers."""


@app.command(
    "status", epilog=examples("requorum status", "requorum status manager-a", "requorum status --html status.html")
)
def status(
    node: Annotated[
        str, typer.Argument(help="One node, in detail: its state, its copies, and what it has to do.")
    ] = "",
    html: HtmlOption = None,
    keep_on: Annotated[
        bool, typer.Option("--watch", help="Look again and again, and mark what changed, until Ctrl-C.")
    ] = False,
    every: Annotated[
        float | None, typer.Option(min=1, help="With --watch: the seconds from one look to the next. Default: 5.")
    ] = None,
    stack: StackOption = "",
    config_file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the current state of the cluster.

    Exit status: 0 healthy, and a recovery from here would work (`requorum check`), 1 error, 3 degraded, 4 quorum lost,
    5 not seen from here (no leader answers, and faults of access hide managers that may have one).
    """
    require_compatible(html=html, json=as_json)
    if every is not None and not keep_on:
        raise typer.BadParameter("--every can only be given with --watch")
    with opened(stack, config_file, as_json=as_json, interrupted="" if keep_on else NOTHING) as cluster:
        if node:
            raise typer.Exit(_of_node(cluster, node, as_json=as_json, alone=not (keep_on or html)))
        if keep_on:
            raise typer.Exit(_watched(cluster, every or SECONDS, as_json=as_json, html=html))
        with progress("asking the nodes and S3", as_json=as_json):
            now = status_of(cluster)
        if as_json:
            print_json(show.as_json(now))
        elif html:
            from recovery.operations.page.status import page  # loads templates: only for who asks for a page

            give_page(html, page(show.as_json(now)))
        else:
            out.print(show.as_table(now))
    raise typer.Exit(now.exit_code)


def _of_node(cluster: Cluster, name: str, *, as_json: bool, alone: bool) -> int:
    """Show one node in detail; the exit status of the cluster. Raises: SettingError."""
    from recovery.cli.show import node as show_node  # only for who asks for one node
    from recovery.survey import load

    of = cluster.settings.named(name)
    if not alone:
        why = "--watch and --html are of the whole cluster"
        raise SettingError("(node)", why, remedy="leave out the node, or the option", code="bad-argument")
    with progress("asking the nodes and S3", as_json=as_json):
        now = status_of(cluster)
        (seen,) = (one for one in now.nodes if one.name == of.name)
        try:
            with cluster.shell(of) as shell:
                found = load.of(shell)
        except RequorumError:
            found = None  # the remark of the node says why
    if as_json:
        print_json(show_node.document(now, seen, found))
    else:
        out.print(show_node.detail(now, seen, found))
    return now.exit_code


def _watched(cluster: Cluster, every: float, *, as_json: bool, html: Path | None) -> int:
    """Watch until Ctrl-C; the exit status of the last look."""
    from recovery.cli.live import watch  # loads what draws in place: only for who watches

    if html:
        remedy = "leave out one of them"
        raise SettingError(
            "(--html)", "a page is of one look, and --watch looks on", remedy=remedy, code="bad-argument"
        )
    last = watch(lambda: status_of(cluster), every, as_json=as_json)
    return last.exit_code if last else STATUS


def status_of(cluster: Cluster) -> show.Status:
    """The status, within 5 seconds even if all nodes are dead and S3 does not answer."""
    return shown(cluster, look(cluster))


def shown(cluster: Cluster, now: Look) -> show.Status:
    """The status in the answers of the nodes and of S3. Asks the agents."""
    changed, known = differs(cluster, now), conditions(cluster, now)
    error, begun, proven = now.stock.error, now.unfinished, now.stock.proven
    return show.status(cluster.settings, now.survey, now.diagnosis, now.copies, error, changed, begun, known, proven)


def differs(cluster: Cluster, now: Look) -> Changes:
    """What `pulumi up` would change on nodes that answer."""
    return changes.find(cluster.settings, now.survey, Plan(now.diagnosis.kind), agents.digests(cluster.settings))


def conditions(cluster: Cluster, now: Look) -> tuple[Condition, ...]:
    """The conditions of a recovery. A swarm without a leader needs the recovery itself."""
    return readiness.conditions(cluster, now.survey, now.stock) if now.diagnosis.kind in WITH_LEADER else ()


def look(cluster: Cluster) -> Look:
    """What the nodes and S3 tell at once. Asks them in parallel."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        copies = pool.submit(_Copies.of, cluster)
        seen = survey(cluster)
        held = copies.result().under(cluster, seen.told_cas)
    known, stock, notes = held.known, held.stock, held.notes
    unread = stock.error is not None  # then there may be copies, and all may be lost
    if unread and known is None and seen.leader:
        known = seen.leader.cluster_id  # the copies would tell
    diagnosis = diagnose(seen, known, cluster=cluster.settings.cluster, copies=held.some or unread)
    if unread and known is None and diagnosis.kind is Kind.ALL_LOST and not diagnosis.orphans:
        notes = (f"S3 cannot be read, so Requorum cannot tell whether cluster {cluster.settings.cluster} ever was",)
    warned = replace(diagnosis, warnings=diagnosis.warnings + notes)
    return Look(seen, warned, held.newest, stock, held.begun)


@dataclass(frozen=True)
class _Copies:
    """What S3 holds, as a look needs it."""

    stock: Stock
    known: str | None
    some: bool = False
    """Whether there is a copy."""
    newest: Mapping[str, Copy] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    begun: datetime | None = None
    catalog: Catalog | None = None

    @classmethod
    def of(cls, cluster: Cluster) -> "_Copies":
        """What S3 holds now. An error of S3 is part of it."""
        try:
            return cls.in_catalog(cluster, cluster.catalog(hasty=True))
        except RequorumError as error:
            return cls(readiness.no_stock(cluster.settings, error), cluster.settings.cluster_id)

    @classmethod
    def in_catalog(cls, cluster: Cluster, catalog: Catalog) -> "_Copies":
        """What a catalog holds."""
        settings = cluster.settings
        try:
            stock = readiness.stock_of(cluster, catalog)
            known = settings.cluster_id if stock.error else known_id(settings, catalog)
            newest = {name: copies[0][0] for name, copies in stock.copies.items()}
            begun = unfinished.begun(cluster, catalog)
            return cls(stock, known, bool(catalog.copies), newest, catalog.notes, begun, catalog)
        except RequorumError as error:
            return cls(readiness.no_stock(settings, error), settings.cluster_id, catalog=catalog)

    def under(self, cluster: Cluster, cas: frozenset[str]) -> "_Copies":
        """The same under the CA that the nodes know: copies under another one are strange."""
        if self.catalog is None or not cas or self.catalog.cas or not self.catalog.several_cas:
            return self
        self.catalog.trust(cas)
        return self.in_catalog(cluster, self.catalog)
