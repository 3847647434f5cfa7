"""The service that watches a cluster without a forge."""

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import psutil
import typer

from recovery.cli.ci import stack_of
from recovery.cli.ci_watch import AtMostOption, HealOption
from recovery.cli.console import FileOption, StackOption, app, ended, examples, say, stack_file
from recovery.cli.interrupt import interrupted, rest
from recovery.cluster import Cluster
from recovery.errors import Refused
from recovery.operations import pulumi, stack_files
from recovery.operations.watcher import Means, Watcher
from recovery.pipeline.watching import Rules
from recovery.settings import Settings, load

STOPPED = "what was begun is finished by the next watcher. next: start requorum watch again"


@app.command("watch", epilog=examples("requorum watch -s production", "requorum watch -s production --heal --every 30"))
def watch(
    stack: StackOption = "",
    config_file: FileOption = None,
    heal: HealOption = False,
    at_most: AtMostOption = Rules.at_most,
    every: Annotated[int, typer.Option(min=1, help="Seconds between two looks.")] = 60,
) -> None:
    """Watch the cluster until it is stopped, from a machine outside the swarm: heal, notify, and ask for consent.

    Decides as `ci watch` does. Recovers a lost quorum only by the plan ID that an operator gave to `requorum consent`.
    """
    file = stack_file(stack, config_file)
    name = stack or stack_of(file)
    with ended(interrupted=STOPPED):
        signal.signal(signal.SIGTERM, interrupted)
        pulumi.require()
        require_outside(load(file))
        watcher = Watcher(
            name, Rules(heal, at_most), Means(lambda plan: opened(file, plan), say, lambda: datetime.now(UTC))
        )
        while True:
            watcher.round()
            rest(every)


@contextmanager
def opened(file: Path, plan: str) -> Iterator[tuple[Path, Cluster]]:
    """The stack file with the consent to this plan, or without any, and its cluster. Raises: Refused, SettingError."""
    with stack_files.consenting(file, plan) as given:
        yield given, Cluster(load(given))


def require_outside(settings: Settings) -> None:
    """Refuse to watch from a node of the swarm, which may be lost with it. Raises: Refused."""
    here = {
        address.address.partition("%")[0]
        for many in psutil.net_if_addrs().values()
        for address in many
        if address.family in (socket.AF_INET, socket.AF_INET6)
    }
    if node := next((node for node in settings.nodes if str(node.address) in here), None):
        raise Refused(
            f"watching cluster {settings.cluster}",
            f"this machine is its node {node.name}, which may be lost with the swarm",
            remedy="run requorum watch on a machine outside the swarm",
            code="watch-inside",
        )
