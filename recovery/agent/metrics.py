"""The metrics of an agent, in a file that a Prometheus node exporter reads. Times are Unix time stamps."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from recovery.agent.config import METRICS_FILE, Config
from recovery.agent.spool import Entry
from recovery.agent.state import State
from recovery.whole_file import write_whole

LABELS = ["cluster", "manager"]


class AgentCollector(Collector):
    """The metrics of one agent."""

    def __init__(self, config: Config, state: State, waiting: Sequence[Entry]) -> None:
        self._config, self._state, self._waiting = config, state, waiting

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        state, waiting, places = self._state, self._waiting, self._config.places
        taken = (entry.manifest.taken.timestamp() for entry in waiting)
        values = {
            "last_attempt_timestamp_seconds": ("When the agent's last round started.", state.attempted),
            "last_copy_timestamp_seconds": ("When the agent took its last copy.", state.taken),
            "last_proven_timestamp_seconds": ("When the agent took its last proven copy.", state.proven),
            "last_stored_timestamp_seconds": ("When S3 last stored a copy of the agent.", state.stored),
            "last_failure_timestamp_seconds": ("When the agent last failed.", state.failed),
            "failing": ("1 while the agent has a fault, otherwise 0.", float(bool(state.faults))),
            "copy_seconds": ("How long the last copy took, with its restore test.", state.seconds),
            "copy_bytes": ("Size of the last copy in S3.", state.size),
            "spool_copies": ("Copies in the spool: a site does not have them yet.", len(waiting)),
            "spool_bytes": ("Size of the spool on the disk.", sum(entry.size for entry in waiting)),
            "spool_oldest_timestamp_seconds": (
                "When the oldest copy in the spool was taken; 0 if the spool is empty.",
                min(taken, default=0.0),
            ),
        }
        labels = [self._config.cluster, self._config.name]
        for name, (text, value) in values.items():
            gauge = GaugeMetricFamily(f"requorum_agent_{name}", text, labels=LABELS)
            gauge.add_metric(labels, value)
            yield gauge
        failures = CounterMetricFamily("requorum_agent_failures", "Rounds that failed.", labels=LABELS)
        failures.add_metric(labels, state.failures)
        yield failures
        lacking = GaugeMetricFamily(
            "requorum_agent_lacking_copies", "Copies in the spool that the site lacks.", labels=[*LABELS, "site"]
        )
        for site in places:
            lacking.add_metric([*labels, site], sum(site in entry.lacking(places) for entry in waiting))
        yield lacking


def write(config: Config, state: State, waiting: Sequence[Entry]) -> None:
    """Write the metrics, if a folder for them is set. Raises: OSError."""
    if config.metrics:
        write_textfile(config.metrics / METRICS_FILE, collected(config, state, waiting))


def write_textfile(path: Path, registry: CollectorRegistry) -> None:
    """Write the metrics to a file that the node exporter's user may read. Raises: OSError."""
    write_whole(path, generate_latest(registry))


def collected(config: Config, state: State, waiting: Sequence[Entry]) -> CollectorRegistry:
    """A registry with all metrics of the agent."""
    registry = CollectorRegistry()
    registry.register(AgentCollector(config, state, waiting))
    return registry
