"""Runs `pulumi up` for a job or a watcher: alone, and with the reports that it wrote."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recovery.cluster import Cluster
from recovery.errors import Refused
from recovery.operations import pulumi, pulumi_locks, reports
from recovery.pipeline.locks import LeaseState
from recovery.progress import Say
from recovery.s3.lease import operator

BUSY = frozenset({"lease-held", "pulumi-locked"})
"""The refusals that say that somebody else works on the cluster."""


def update(cluster: Cluster, stack: str, file: Path) -> tuple[int, list[Mapping[str, Any]]]:
    """Run `pulumi up`; its exit status, and the new reports, oldest first. Raises: LocalError, StoreError."""
    before = set(reports.names(cluster))
    words = ["up", "--yes", "--skip-preview", "--non-interactive", "--stack", stack]
    status = pulumi.run([*words, "--config-file", str(file.resolve())], folder=Path.cwd())
    return status, [reports.load(cluster, name) for name in sorted(set(reports.names(cluster)) - before)]


@contextmanager
def alone(cluster: Cluster, stack: str, doing: str, *, say: Say) -> Iterator[None]:
    """Act or tell while no other watcher does, and begin only if nobody is at work on the cluster.

    What was seen before is a guess: look again within. Raises: Refused with a code of `BUSY` if another is at work;
    LocalError, StoreError.
    """
    key = cluster.settings.keys.watch_lease
    with cluster.leases.hold(cluster.store.anew(), key, doing, by=operator(), say=say):
        require_idle(cluster, stack, doing, say=say)
        yield


def require_idle(cluster: Cluster, stack: str, doing: str, *, say: Say) -> None:
    """Check that neither an update nor an operator at a terminal is at work. Changes nothing.

    Raises: Refused with a code of `BUSY` if one is; LocalError, StoreError.
    """
    pulumi_locks.require_free(cluster, stack, say=say)
    lease = pulumi_locks.lease_of(cluster)
    if lease.state is LeaseState.RENEWED:
        raise Refused(
            doing,
            f"{lease.by} works on the cluster",
            remedy="wait until that operation ends, then run the same command again",
            code="lease-held",
        )
