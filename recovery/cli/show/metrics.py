"""What a monitor watches, as Prometheus metrics: the swarm's health, for each manager its copies and its last drill,
and when the data of services was copied last. Safety copies of managers without a leader do not count.

Times are Unix time stamps: alerts are about the age of the last proven copy, and a copy that was never made has none.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from threading import Lock
from time import monotonic

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from recovery.cli.show.cluster import Status
from recovery.copies.copy import Copy
from recovery.copies.manifest import WITH_INVENTORY, Manifest, Proof, Verdict
from recovery.copies.owners import NOBODY_RENAMED, Owners
from recovery.errors import DamagedCopy
from recovery.planning.diagnosis import Kind

Copies = Sequence[tuple[Copy, Manifest | DamagedCopy]]
Data = Mapping[str, Sequence[datetime]]
"""When copies of data were taken, newest first, for each name in the settings."""
MOMENT = 10.0
"""Seconds for which one look serves."""
Drills = Mapping[str, Proof]
"""What came of the last drill of each manager, by its name."""


class Watched(Collector):
    """The metrics of one look at a cluster; ``copies`` is None, and ``data`` and ``drills`` empty, where S3 did not answer.

    ``sites`` is how many there are for a copy to lie at.
    """

    def __init__(
        self,
        status: Status,
        copies: Copies | None,
        managers: Sequence[str],
        data: Data,
        drills: Drills,
        *,
        sites: int,
        owners: Owners = NOBODY_RENAMED,
    ) -> None:
        self._status = status
        self._owners = owners
        self._drills = drills
        self._sites = sites
        self._data = data
        self._copies = copies
        self._managers = managers

    def collect(self) -> Iterator[Metric]:
        """Every metric."""
        yield from self._swarm()
        yield self._one("requorum_s3_up", "Whether Requorum could list the copies.", float(self._copies is not None))
        if self._copies is not None:
            yield from _of_copies(self._status.cluster, self._copies, self._managers, self._sites, self._owners)
            yield from _of_drills(self._status.cluster, self._drills)
            yield from _of_data(self._status.cluster, self._data)

    def _swarm(self) -> Iterator[Metric]:
        diagnosis = self._one("requorum_diagnosis", "1 for the present diagnosis.", labels=("diagnosis",))
        for kind in Kind:
            diagnosis.add_metric([self._status.cluster, str(kind)], float(kind is self._status.diagnosis.kind))
        yield diagnosis
        looked = self._status.taken.timestamp()
        yield self._one("requorum_looked_timestamp_seconds", "When Requorum surveyed the swarm.", looked)
        text = "Exit status of requorum status, without the conditions of this machine: 0 fine, 3 degraded, 4 quorum lost, 5 not seen."
        yield self._one("requorum_status", text, float(self._status.exit_code_anywhere))
        yield from self._maintenance()
        yield from self._certificates()

    def _certificates(self) -> Iterator[Metric]:
        begins = self._one(
            "requorum_node_certificate_begins_timestamp_seconds",
            "When the node's certificate was made.",
            labels=("node",),
        )
        ends = self._one(
            "requorum_node_certificate_ends_timestamp_seconds", "When the node's certificate ends.", labels=("node",)
        )
        for node in self._status.nodes:
            if node.certificate:
                begins.add_metric([self._status.cluster, node.name], node.certificate.begins.timestamp())
                ends.add_metric([self._status.cluster, node.name], node.certificate.ends.timestamp())
        yield from (begins, ends)
        ca = self._status.ca.ends.timestamp() if self._status.ca else None
        yield self._one("requorum_ca_ends_timestamp_seconds", "When the certificate of the swarm's CA ends.", ca)

    def _maintenance(self) -> Iterator[Metric]:
        drained = self._one("requorum_node_maintenance", "1 for each node in maintenance.", labels=("node",))
        until = self._one(
            "requorum_node_maintenance_until_timestamp_seconds",
            "When the maintenance of the node should end.",
            labels=("node",),
        )
        for node in self._status.nodes:
            if node.maintenance:
                drained.add_metric([self._status.cluster, node.name], 1)
            if node.maintenance and node.maintenance.until:
                until.add_metric([self._status.cluster, node.name], node.maintenance.until.timestamp())
        yield from (drained, until)

    def _one(self, name: str, text: str, value: float | None = None, labels: Sequence[str] = ()) -> GaugeMetricFamily:
        family = GaugeMetricFamily(name, text, labels=["cluster", *labels])
        if value is not None:
            family.add_metric([self._status.cluster], value)
        return family


class Live(Collector):
    """The metrics of a look that is taken when somebody asks, and that serves everybody who asks within `MOMENT`.

    Each look asks all nodes. So whoever reaches the port cannot make this machine ask them without end.
    """

    def __init__(self, look: Callable[[], Watched], clock: Callable[[], float] = monotonic) -> None:
        self._look, self._clock = look, clock
        self._lock = Lock()
        self._seen: Watched | None = None
        self._until = 0.0

    def collect(self) -> Iterator[Metric]:
        """Every metric, as of now."""
        with self._lock:
            if self._seen is None or self._clock() > self._until:
                self._seen = self._look()
                self._until = self._clock() + MOMENT
            seen = self._seen
        yield from seen.collect()


def _of_copies(cluster: str, copies: Copies, managers: Sequence[str], sites: int, owners: Owners) -> Iterator[Metric]:
    good = [(copy, one) for copy, one in copies if not isinstance(one, DamagedCopy) and not one.strange]
    read = [(copy, manifest) for copy, manifest in good if manifest.kind in WITH_INVENTORY]
    read.sort(key=lambda pair: pair[0].dated, reverse=True)
    labels = ["cluster", "manager"]
    count = GaugeMetricFamily(
        "requorum_copies",
        "Copies from the newest to the newest proven one, by verdict.",
        labels=[*labels, "verdict"],
    )
    newest = GaugeMetricFamily("requorum_last_copy_timestamp_seconds", "When the newest copy was taken.", labels=labels)
    proven = GaugeMetricFamily(
        "requorum_last_proven_copy_timestamp_seconds", "When the newest proven copy was taken.", labels=labels
    )
    missing = GaugeMetricFamily(
        "requorum_last_proven_copy_missing_sites", "How many sites lack the newest proven copy.", labels=labels
    )
    size = GaugeMetricFamily("requorum_last_copy_bytes", "Size of the newest copy in S3.", labels=labels)
    proof = GaugeMetricFamily(
        "requorum_last_proof_timestamp_seconds",
        "When the newest copy had its last restore test or drill.",
        labels=labels,
    )
    seconds = GaugeMetricFamily(
        "requorum_last_proof_seconds", "How long the last restore test or drill of the newest copy took.", labels=labels
    )
    for manager in managers:
        mine = [(copy, manifest) for copy, manifest in read if owners.of(manifest) == manager]
        verdicts = Counter(manifest.verdict for _, manifest in mine)
        for verdict in Verdict:
            count.add_metric([cluster, manager, str(verdict)], verdicts[verdict])
        if mine:
            copy, manifest = mine[0]
            newest.add_metric([cluster, manager], copy.dated.timestamp())
            size.add_metric([cluster, manager], manifest.size)
            if manifest.proof:
                proof.add_metric([cluster, manager], manifest.proof.at.timestamp())
                seconds.add_metric([cluster, manager], manifest.proof.seconds)
        if last := next((copy for copy, manifest in mine if manifest.verdict is Verdict.PROVEN), None):
            proven.add_metric([cluster, manager], last.dated.timestamp())
            missing.add_metric([cluster, manager], sites - len(last.sites))
    yield from (count, newest, proven, missing, size, proof, seconds)


def _of_drills(cluster: str, drills: Drills) -> Iterator[Metric]:
    labels = ["cluster", "manager"]
    when = GaugeMetricFamily(
        "requorum_last_drill_timestamp_seconds", "When the last drill of a copy of the manager ran.", labels=labels
    )
    proven = GaugeMetricFamily(
        "requorum_last_drill_proven", "Whether the last drill started the copy as its manifest says.", labels=labels
    )
    for manager, proof in drills.items():
        when.add_metric([cluster, manager], proof.at.timestamp())
        proven.add_metric([cluster, manager], float(proof.verdict is Verdict.PROVEN))
    yield from (when, proven)


def _of_data(cluster: str, data: Data) -> Iterator[Metric]:
    labels = ["cluster", "data"]
    count = GaugeMetricFamily("requorum_data_copies", "Copies of a service's data in S3.", labels=labels)
    newest = GaugeMetricFamily(
        "requorum_last_data_copy_timestamp_seconds",
        "When the newest copy of a service's data was taken.",
        labels=labels,
    )
    for name, taken in data.items():
        count.add_metric([cluster, name], len(taken))
        if taken:
            newest.add_metric([cluster, name], taken[0].timestamp())
    yield from (count, newest)
