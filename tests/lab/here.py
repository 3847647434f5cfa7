"""The code in this process, for what only looks: without the seconds that `requorum` or Pulumi take to start.

Each command is run as a process somewhere too, and so is the program that Pulumi runs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import pytest
from typer.testing import CliRunner

from lab.stack import Result, Stack
from recovery.cli import app
from recovery.cluster import Cluster
from recovery.node.ssh import hang_up
from recovery.operations import setup
from recovery.operations.assess import Assessment, assess
from recovery.s3 import client
from recovery.settings import load


@contextmanager
def fresh(stack: Stack) -> Iterator[None]:
    """The stack's environment, with nothing remembered of another one."""
    for remembered in (client.client, client.session):
        remembered.cache_clear()
    hang_up()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in stack.environment().items():
            patch.setenv(name, value)
        yield


def requorum(stack: Stack, *arguments: str) -> Result:
    """As `Stack.requorum`."""
    begun = monotonic()
    with fresh(stack):
        done = CliRunner().invoke(app, [*arguments, "--config-file", str(stack.file)])
    if isinstance(done.exception, Exception):
        raise done.exception
    return Result(done.stdout, done.exit_code, monotonic() - begun, done.stderr)


def gate(stack: Stack) -> Assessment:
    """What the program does before it declares anything. Raises: what it shows as the refusal."""
    with fresh(stack):
        cluster = Cluster(load(stack.file))
        found = assess(cluster)
        found.require_safe(cluster.settings)
        setup.require_ready(cluster, found)
    return found
