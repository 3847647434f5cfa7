"""The command for a monitor."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer
from prometheus_client import CollectorRegistry, generate_latest, start_http_server

from recovery.cli.console import FileOption, StackOption, app, examples, opened, require_compatible, say
from recovery.cli.progress import progress
from recovery.cli.show.metrics import Live, Watched
from recovery.cli.status import look, shown
from recovery.cluster import Cluster
from recovery.copies.latest import since_proven
from recovery.copies.manifest import Manifest
from recovery.data.catalog import DataCatalog
from recovery.errors import RequorumError, SettingError
from recovery.operations import last_drills
from recovery.operations.trust import trusted
from recovery.planning.trust import as_known
from recovery.whole_file import save

HIGHEST_PORT = 65535


@app.command(
    "metrics",
    epilog=examples(
        "requorum metrics --textfile /var/lib/node_exporter/requorum.prom", "requorum metrics --listen 127.0.0.1:9820"
    ),
)
def metrics(
    textfile: Annotated[Path | None, typer.Option(help="Write the metrics to this file, for node_exporter.")] = None,
    listen: Annotated[str, typer.Option(help="Serve the metrics at ADDRESS:PORT until interrupted.")] = "",
    stack: StackOption = "",
    config_file: FileOption = None,
) -> None:
    """Print the swarm's health and the age of its copies as Prometheus metrics. Alert rules: docs/alerts.yml."""
    require_compatible(textfile=textfile, listen=listen)
    with opened(stack, config_file) as cluster:

        def look() -> Watched:
            with nullcontext() if listen else progress("asking the nodes and S3"):
                return _watched(cluster)

        registry = CollectorRegistry()
        registry.register(Live(look))
        if listen:
            _serve(listen, registry)
        elif textfile:
            save(textfile, generate_latest(registry).decode())
        else:
            print(generate_latest(registry).decode(), end="")


def _serve(listen: str, registry: CollectorRegistry) -> None:
    """Serve metrics until interrupted. A request surveys the cluster, at most once in `MOMENT`."""
    address, _, port = listen.rpartition(":")
    if not port.isdecimal() or int(port) > HIGHEST_PORT:
        raise SettingError(
            "(--listen)",
            f"{listen} is not ADDRESS:PORT",
            remedy="give an address and a port, such as --listen 127.0.0.1:9820",
            code="bad-argument",
        )
    try:
        _, answering = start_http_server(int(port), address.strip("[]") or "127.0.0.1", registry)
    except OSError as error:
        raise SettingError(
            "(--listen)", f"{listen}: {error.strerror}", remedy="give another address or port", code="bad-argument"
        ) from None
    say(f"serving metrics at http://{address or '127.0.0.1'}:{port}/metrics. Ctrl-C stops it")
    answering.join()


def _watched(cluster: Cluster) -> Watched:
    now = look(cluster)
    settings, status = cluster.settings, shown(cluster, now)
    managers = [manager.name for manager in settings.managers]
    try:
        listed, catalog = trusted(cluster, cluster.catalog(hasty=True)), DataCatalog(cluster, hasty=True)
        drills, owners = last_drills.last(cluster, listed), listed.owners
        copies = [
            (copy, as_known(read, owners.of(read), now.survey) if isinstance(read, Manifest) else read)
            for copy, read in since_proven(listed)
        ]
    except RequorumError:
        return Watched(status, None, managers, {}, {}, sites=len(settings.backup.sites))
    data = {name: [copy.dated for copy in catalog.of(name)] for name in settings.data}
    return Watched(status, copies, managers, data, drills, sites=len(settings.backup.sites), owners=owners)
