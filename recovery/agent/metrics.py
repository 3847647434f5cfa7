"""What a monitor learns of an agent, in a file that a Prometheus node exporter reads. Times are Unix time stamps."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from recovery.agent.config import Config
from recovery.agent.spool import Entry
from recovery.agent.state import State

FILE = "requorum_agent.prom"


def write(config: Config, state: State, waiting: Sequence[Entry]) -> None:
    """Write them, where a folder for them is set. Raises: OSError."""
    if config.metrics:
        write_to_textfile(str(config.metrics / FILE), collected(config, state, waiting))


def collected(config: Config, state: State, waiting: Sequence[Entry]) -> CollectorRegistry:
    """All of them."""
    values = {
        "last_attempt_timestamp_seconds": ("When the agent last looked whether to copy.", state.attempted),
        "last_copy_timestamp_seconds": ("When it last took a copy.", state.taken),
        "last_proven_timestamp_seconds": ("When it took the last copy that was proven.", state.proven),
        "last_stored_timestamp_seconds": ("When S3 last took a copy of it.", state.stored),
        "last_failure_timestamp_seconds": ("When it last failed.", state.failed),
        "failing": ("1 when its last round failed.", float(bool(state.failure))),
        "failures_total": ("Rounds that failed.", state.failures),
        "copy_seconds": ("How long the last copy took, with its proof.", state.seconds),
        "copy_bytes": ("Size of the last copy as stored.", state.size),
        "spool_copies": ("Copies that wait for S3.", len(waiting)),
        "spool_bytes": ("What they take of the disk.", sum(entry.size for entry in waiting)),
    }
    registry = CollectorRegistry()
    for name, (text, value) in values.items():
        gauge = Gauge(f"requorum_agent_{name}", text, ["cluster", "manager"], registry=registry)
        gauge.labels(config.cluster, config.name).set(value)
    return registry
