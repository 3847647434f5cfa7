"""Measures the cost of the agents' copies on three managers: bytes, seconds, delay of a change, CPU and memory.

The floors of a copy and of a restore test are `byhand.COPY` and `byhand.PROOF`. They run on the same manager, in turn
with ours.
"""

import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from rich.table import Table

from bench import byhand, changes
from bench.changes import Change, Stored
from lab import cluster, nodes, s3
from lab.instance import Instance
from lab.stack import Stack, settings
from recovery.cluster import Cluster
from recovery.operations import agents
from recovery.settings import Settings, load

NAME = "benchcopies"
MANAGERS = 3
ROUNDS = 7
"""The number of rounds of ours and of each floor. The figures are medians."""
IDLE_SECONDS = 60
GAPS = (5.0, 7.0, 9.0, 11.0)
"""The seconds between single changes, in turn. A change thus comes during or between the rounds of the one before."""
SINGLE = 24
RATE, LOAD_SECONDS = 20, 60
UNPACED_SECONDS = 15
LAST_SECONDS = 30
"""The seconds after which a copy must hold the last change."""
SETTLED_SECONDS = 60
ON_NODE = Path(__file__).with_name("on_node.py")
COPY = "/var/tmp/bench-copy"  # noqa: S108
UNITS = "requorum-watch.service requorum-copy.timer"


@dataclass(frozen=True)
class Figure:
    """One measurement in its unit, and the floor in the same unit."""

    what: str
    ours: float
    unit: str
    floor: float | None = None
    note: str = ""


@dataclass
class Copies:
    """A cluster of three managers with agents."""

    lab: Instance
    folder: Path
    figures: list[Figure] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stack = Stack(self.lab, NAME, self.folder / f"Pulumi.{NAME}.yaml")
        values = settings(self.lab, managers=MANAGERS)
        agent = {"credentialsFile": str(self.lab.credentials_file), "schedule": "yearly"}
        self.stack.write({**values, "backup": {**values["backup"], "prefix": NAME}, "agent": agent})
        cluster.prepare(self.lab, self.stack)
        self.stack.up("--skip-preview")
        self.settings: Settings = load(self.stack.file)
        self.names = [node.name for node in self.settings.managers]
        self.leader = self._leader()
        self.follower = next(name for name in self.names if name != self.leader)
        self._settle()

    def costs(self) -> None:
        """Measure a round: its seconds and the floors, its bytes and the raw tar, its CPU seconds and memory."""
        address = str(self.settings.node(self.follower).address)
        copy = byhand.COPY.format(copy=COPY, url=self._upload())
        proof = byhand.PROOF.format(copy=COPY, address=address)
        rounds, copied, proven = [], [], []
        with self._agents_stopped():
            begun = time.time()
            for _ in range(ROUNDS):
                rounds.append(self._ask("copy"))
                copied.append(byhand.seconds(self.lab, self.follower, copy))
                proven.append(byhand.seconds(self.lab, self.follower, proof))
            copies = self._stored(begun)
            looks = [self._ask("look") for _ in range(ROUNDS)]
            peak = max(self._ask("peak")["peak"] for _ in range(3))
        proofs = {one.manifest.taken.timestamp(): one.proof.seconds for one in copies}
        ours = [figures["seconds"] - proofs[figures["taken"]] for figures in rounds]
        within = [figures["made"] - proofs[figures["taken"]] for figures in rounds]
        self._bytes(copies)
        middle = statistics.median
        self._add(
            "a copy: a round less its proof", middle(ours), "s", middle(copied),
            f"{middle(within):.2f} s of it to take, read back and seal",
        )  # fmt: skip
        self._add("a proof", middle(proofs.values()), "s", middle(proven))
        both = [one + other for one, other in zip(copied, proven, strict=True)]
        self._add("copy and proof", middle(figures["seconds"] for figures in rounds), "s", middle(both))
        self._add(
            "CPU of a round that copies", middle(figures["cpu"] for figures in rounds), "CPU s", note="with its sandbox"
        )
        self._add(
            "CPU of a round with nothing to do", middle(figures["cpu"] for figures in looks), "CPU s",
            note=f"in {middle(figures['seconds'] for figures in looks):.2f} s",
        )  # fmt: skip
        self._add(
            "memory of a round that copies, at its peak", peak / 1e6, "MB", note="with its sandbox and the files in it"
        )

    def idle(self) -> None:
        """Measure the CPU time and memory of the watch while nothing changes."""
        usage = self._ask("idle", str(IDLE_SECONDS))
        note = f"{usage['cpu'] / IDLE_SECONDS:.4%} of a processor"
        self._add(f"CPU of the idle watch in {IDLE_SECONDS} s", usage["cpu"] * 1000, "CPU ms", note=note)
        self._add("memory of the idle watch", usage["pss"] / 1e6, "MB", note=f"PSS; RSS {usage['rss'] / 1e6:.1f} MB")

    def single(self) -> None:
        """Measure how soon a proven copy holds single changes, made through one manager after the other."""
        writes = []
        with self._watched() as since:
            for name, gap in islice(zip(cycle(self.names), cycle(GAPS), strict=False), SINGLE):
                with changes.writer(self.settings, self.settings.node(name)) as writer:
                    writes.append(writer.change())
                    time.sleep(gap)
            copies = self._covering(writes, since)
        self._delays(f"{SINGLE} single changes", writes, copies)

    def load(self) -> None:
        """Measure the delay of changes under a load of writes.

        Also measure its rate and the time of a write, without agents too.
        """
        series = {}
        with self._writing() as writer:
            with self._watched() as since:
                writes = writer.paced(RATE, LOAD_SECONDS)
                copies = self._covering(writes, since)
            series["with"] = writes
            self._delays(f"{RATE} changes a second for {LOAD_SECONDS} s", writes, copies)
            writer.remove(writes)
            self._settle()
            with self._agents_stopped():
                series["without"] = writer.paced(RATE, LOAD_SECONDS)
            writer.remove(series["without"])
        for how, writes_of_series in series.items():
            took = sorted(change.answered - change.asked for change in writes_of_series)
            note = f"a change takes p50 {_ms(took, 0.5)}, p95 {_ms(took, 0.95)}, max {_ms(took, 1)}"
            rate = len(writes_of_series) / max(LOAD_SECONDS, writes_of_series[-1].answered - writes_of_series[0].asked)
            self._add(f"rate held at {RATE}, {how} agents", rate, "/s", note=note)

    def unpaced(self) -> None:
        """Measure the most changes that one client can make, with and without agents, twice in turn."""
        rates: dict[str, list[float]] = {"with": [], "without": []}
        with self._writing() as writer:
            for _ in range(2):
                self._settle()
                rates["with"].append(writer.unpaced(UNPACED_SECONDS))
                self._settle()
                with self._agents_stopped():
                    rates["without"].append(writer.unpaced(UNPACED_SECONDS))
        for how, values in rates.items():
            note = " and ".join(f"{rate:.0f}" for rate in values)
            self._add(f"most changes, one after the other, {how} agents", statistics.mean(values), "/s", note=note)

    @contextmanager
    def _writing(self) -> Iterator[changes.Writer]:
        with changes.writer(self.settings, self.settings.node(self.leader)) as writer:
            yield writer

    @contextmanager
    def _watched(self) -> Iterator[float]:
        """Require that no engine restarts and the leader stays during the context.

        Yields the start as a Unix time stamp.
        """
        self._settle()
        before = self._engines(), self._leader()
        yield time.time()
        assert before == (self._engines(), self._leader()), "an engine was started again, or another manager leads"

    @contextmanager
    def _agents_stopped(self) -> Iterator[None]:
        rounds = "systemctl show requorum-copy -P InvocationID"
        self._everywhere(f"systemctl stop {UNITS} requorum-copy.service")
        yield
        before = self._everywhere(rounds)
        self._everywhere(f"systemctl start {UNITS}")
        end = time.monotonic() + SETTLED_SECONDS
        while set(before) & set(self._everywhere(rounds)):  # each watch starts one round when it starts
            assert time.monotonic() < end, "the watches have started no round"
            time.sleep(0.5)
        self._settle()

    def _covering(self, made: Sequence[Change], since: float) -> list[Stored]:
        """Wait until a copy holds the last change.

        Returns the copies since ``since``, after it checked their consistency.
        """
        end = time.monotonic() + LAST_SECONDS
        copies = self._stored(since)
        while not any(copy.holds(made[-1]) for copy in copies):
            assert time.monotonic() < end, f"the last change is in no proven copy within {LAST_SECONDS} s"
            time.sleep(1)
            copies = self._stored(since)
        with self._writing() as writer:
            order = writer.order(made)
        assert len(order) == len(made), "not all changes are there"
        changes.check(order, copies)
        return copies

    def _delays(self, what: str, made: Sequence[Change], copies: Sequence[Stored]) -> None:
        seconds = changes.delays(made, copies)
        p50, p95, most = (changes.percentile(seconds, share) for share in (0.5, 0.95, 1))
        proofs = statistics.median(copy.proof.seconds for copy in copies)
        note = f"p95 {p95:.1f} s, max {most:.1f} s; {len(copies)} copies, all proven and consistent; a proof {proofs:.1f} s"
        self._add(f"change -> proven copy in S3, {what}", p50, "s", note=note)

    def _bytes(self, made: Sequence[Stored]) -> None:
        raw = int(byhand.on(self.lab, self.follower, "tar -C /var/lib/docker -cf - swarm | wc -c"))
        size = max(one.manifest.size for one in made)
        both = max(one.manifest.size + len(one.manifest.to_json()) for one in made)
        note = f"1/{raw / size:.0f} of the raw tar of {raw / 1e6:.0f} MB; with its manifest 1/{raw / both:.0f}"
        self._add("bytes of a copy", size / 1000, "kB", note=note)

    def _upload(self) -> str:
        """A URL to which anyone can upload one object."""
        access, secret = s3.credentials(self.lab)
        client = boto3.client(
            "s3",
            endpoint_url=self.lab.s3_endpoint,
            region_name=s3.REGION,
            aws_access_key_id=access,
            aws_secret_access_key=secret,
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )
        return client.generate_presigned_url("put_object", Params={"Bucket": self.lab.bucket, "Key": "byhand/copy"})

    def _ask(self, *words: str) -> dict[str, float]:
        """Run `bench.on_node` on the follower. Returns its result."""
        script = f"PYTHONPATH={agents.HOME}/lib exec python3 - {' '.join(words)}"
        values: dict[str, float] = json.loads(byhand.on(self.lab, self.follower, script, ON_NODE))
        return values

    def _stored(self, since: float) -> list[Stored]:
        return changes.stored(self.settings, self.lab.s3_root / "objects" / self.lab.bucket, since)

    def _settle(self) -> None:
        """Wait until every agent knows a copy of the present state, and no round runs."""
        end = time.monotonic() + SETTLED_SECONDS
        quiet = "systemctl show requorum-copy -P ActiveState"
        while True:
            fingerprints = {
                agents.inspect(Cluster(self.settings), node).state.fingerprint for node in self.settings.managers
            }
            if len(fingerprints) == 1 and "" not in fingerprints and set(self._everywhere(quiet)) == {"inactive"}:
                return
            assert time.monotonic() < end, "the agents have not come to rest"
            time.sleep(0.5)

    def _engines(self) -> list[str]:
        return self._everywhere("systemctl show docker -P MainPID")

    def _leader(self) -> str:
        listing = "docker node ls --format '{{.Hostname}} {{.ManagerStatus}}'"
        lines = byhand.on(self.lab, self.names[0], listing).splitlines()
        return next(line.split()[0] for line in lines if line.endswith(" Leader"))

    def _everywhere(self, script: str) -> list[str]:
        return [byhand.on(self.lab, name, script).strip() for name in self.names]

    def _add(self, what: str, ours: float, unit: str, floor: float | None = None, note: str = "") -> None:
        self.figures.append(Figure(what, ours, unit, floor, note))


def _ms(values: Sequence[float], share: float) -> str:
    return f"{changes.percentile(values, share) * 1000:.0f} ms"


def table(figures: Sequence[Figure]) -> Table:
    """The table of the figures, with their ratios to the floor."""
    rows = Table("what", "ours", "floor", "ours / floor", "", box=None)
    for figure in figures:
        floor = (
            ("", "")
            if figure.floor is None
            else (f"{figure.floor:.2f} {figure.unit}", f"{figure.ours / figure.floor:.2f}x")
        )
        rows.add_row(figure.what, f"{figure.ours:.2f} {figure.unit}", *floor, figure.note)
    return rows


def run(lab: Instance, folder: Path, say: Callable[[str], Any]) -> list[Figure]:
    """Measure every figure."""
    try:
        copies = Copies(lab, folder)
        for part in (copies.costs, copies.idle, copies.single, copies.load, copies.unpaced):
            reported = len(copies.figures)
            part()
            for figure in copies.figures[reported:]:
                say(f"{figure.what}: {figure.ours:.2f} {figure.unit}  {figure.note}")
    finally:
        nodes.remove_all(lab)
    return copies.figures
