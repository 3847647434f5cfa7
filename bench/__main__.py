"""Measures and prints the figures of one run, with their ratios to the runbook and the floor.

``python -m bench [--managers N … | --large | --copies]`` runs it. Compare the ratios. The times depend on the machine.
"""

import argparse
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import byhand, copies
from lab import cluster, environment, lifecycle, nodes
from lab.instance import Instance
from lab.stack import Result, Stack, settings
from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog
from recovery.operations.assess import assess
from recovery.settings import Settings, load
from recovery.steps.quorum import establish
from recovery.steps.run import Run

OCTET = 79
SIZES = (3, 5, 7)
LARGE = (9, 20)
out = Console(width=140)


@dataclass
class Row:
    """One measurement: our seconds, and those by hand (documented, floor)."""

    what: str
    ours: float
    runbook: float | None = None
    floor: float | None = None
    note: str = ""


@dataclass
class Bench:
    """One cluster on the bench's lab, which the bench loses and recovers in each way."""

    lab: Instance
    folder: Path
    managers: int
    workers: int = 2
    rows: list[Row] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stack = Stack(self.lab, f"bench{self.managers}", self.folder / f"Pulumi.bench{self.managers}.yaml")
        values = settings(self.lab, managers=self.managers, workers=self.workers)
        self.stack.write({**values, "backup": {**values["backup"], "prefix": self.stack.name}})
        cluster.prepare(self.lab, self.stack)
        self.settings: Settings = load(self.stack.file)
        self.addresses = {node.name: str(node.address) for node in self.settings.managers}
        self.others = {node.name: str(node.address) for node in self.settings.workers}

    def build(self) -> None:
        """Measure a build by hand, a build by one `pulumi up`, and an update with nothing to do."""
        begun = time.monotonic()
        nodes.make(self.lab, {**self.addresses, **self.others})
        byhand.build(self.lab, self.addresses, self.others)
        floor = time.monotonic() - begun
        nodes.remove_all(self.lab)
        self._add("build", self.stack.up("--skip-preview").seconds, floor=floor)
        self._add("`pulumi up` with nothing to do", self.stack.up("--skip-preview").seconds)

    def look(self) -> None:
        """Measure a backup, the status of a healthy cluster, and the status with every manager dead."""
        backup = self.stack.requorum("backup", "--json")
        sizes = [copy["rawBytes"] / copy["size"] for copy in json.loads(backup.text)["copies"]]
        note = f"a copy is 1/{min(sizes):.0f} to 1/{max(sizes):.0f} of the directory"
        self._add("backup of all managers", backup.seconds, note=note)
        self._add("status, all well", self.stack.requorum("status").seconds)
        nodes.lose(self.lab, self.addresses)
        self._add("status, every manager dead", self.stack.requorum("status").seconds)
        self._recover()

    def doctor(self) -> None:
        """Measure the doctor with every node up, and with two managers and two workers dead."""
        count = len(self.addresses) + len(self.others)
        self._add(f"doctor on {count} nodes", self.stack.requorum("doctor", "--json").seconds)
        dead = [name for group in (self.addresses, self.others) for name in list(group)[-2:]]
        nodes.lose(self.lab, dead)
        self._add(f"doctor on {count} nodes, {len(dead)} of them dead", self.stack.requorum("doctor", "--json").seconds)
        self._recover(consent=False)

    def quorum_back(self) -> None:
        """Measure the time from empty running hosts until the seed leads."""
        with self._copies() as archives:
            hand, first = byhand.Operator(self.lab, self.addresses, archives), next(iter(self.addresses))
            self._rebuild()
            runbook = hand.seed(first, byhand.DOCUMENTED)
            self._rebuild()
            floor = hand.seed(first, byhand.LIVE)
        self._rebuild()
        opened = Cluster(self.settings)
        plan = assess(opened).plan
        begun = time.monotonic()
        establish(Run(opened, plan, lambda _: None))
        self._add("all lost, hosts up -> quorum back", time.monotonic() - begun, runbook, floor)
        nodes.lose(self.lab, self.addresses)
        self._recover()

    def path(self, what: str, lost: Sequence[str]) -> None:
        """Measure from the loss until all managers are reachable, and until the update ends.

        Also by hand, in both ways.
        """
        with self._copies() as archives:
            hand = byhand.Operator(self.lab, self.addresses, archives)
            seconds = {}
            for keep_identity in (
                True,
                False,
            ):  # the runbook last: its nodes get new identities
                nodes.lose(self.lab, lost)
                begun = time.monotonic()
                nodes.make(self.lab, {name: self.addresses[name] for name in lost})
                hand.mend(lost, keep_identity=keep_identity)
                seconds[keep_identity] = time.monotonic() - begun
        self.stack.requorum("backup")
        nodes.lose(self.lab, lost)
        # Ask a manager that joins last. A survivor that is asked while it looks for its leader cannot leave meanwhile.
        reachable, result = self._timed(lost[-1], consent=len(lost) > (self.managers - 1) // 2)
        self._add(f"{what}: -> all managers reachable", reachable, seconds[False], seconds[True])
        self._add(f"{what}: -> update ended, copied and proven", result.seconds, seconds[False], seconds[True])

    def _timed(self, watcher: str, *, consent: bool) -> tuple[float, Result]:
        begun, reached = time.monotonic(), [float("nan")]

        def watch() -> None:
            gone = sum(node.name in self.addresses for node in nodes.existing(self.lab)) < self.managers
            while gone:
                time.sleep(0.1)
                gone = sum(node.name in self.addresses for node in nodes.existing(self.lab)) < self.managers
            byhand.await_reachable(self.lab, watcher, self.managers, 300)
            reached[0] = time.monotonic() - begun

        watching = threading.Thread(target=watch)
        watching.start()
        result = self._recover(consent=consent)
        watching.join()
        return reached[0], result

    def _recover(self, *, consent: bool = True) -> Result:
        """Run one update. After an update with consent, run one without, so that the flag is valid at the next loss."""
        if not consent:
            return self.stack.up("--skip-preview")
        fine = self.stack.settings()
        done = self.stack.up("--skip-preview", "--config", "recover=true")
        self.stack.write(fine)
        self.stack.up("--skip-preview")
        return done

    def _rebuild(self) -> None:
        nodes.lose(self.lab, self.addresses)
        nodes.make(self.lab, self.addresses)

    @contextmanager
    def _copies(self) -> Iterator[dict[str, Path]]:
        self.stack.requorum("backup")
        catalog = Catalog(self.settings)
        with ExitStack() as opened:
            archives = {}
            for name in self.addresses:
                newest = catalog.newest(name)
                assert newest is not None, f"no copy of {name}"
                _, archives[name] = opened.enter_context(catalog.verified(newest))
            yield archives

    def _add(
        self, what: str, ours: float, runbook: float | None = None, floor: float | None = None, note: str = ""
    ) -> None:
        row = Row(f"{self.managers} managers: {what}", ours, runbook, floor, note)
        self.rows.append(row)
        out.print(f"{row.what}: {ours:.1f} s")


def table(rows: Sequence[Row]) -> Table:
    """The table of all figures in seconds, with the ratios runbook / ours and ours / floor."""
    shown = Table("what", "ours s", "runbook s", "floor s", "runbook / ours", "ours / floor", "", box=None)
    for row in rows:
        runbook = ("", "") if row.runbook is None else (f"{row.runbook:.2f}", f"{row.runbook / row.ours:.1f}x")
        floor = ("", "") if row.floor is None else (f"{row.floor:.2f}", f"{row.ours / row.floor:.2f}x")
        shown.add_row(row.what, f"{row.ours:.2f}", runbook[0], floor[0], runbook[1], floor[1], row.note)
    return shown


def run(lab: Instance, folder: Path, managers: int, *, small: bool) -> list[Row]:
    """Measure every figure for one cluster size."""
    bench = Bench(lab, folder, managers)
    try:
        bench.build()
        names = list(bench.addresses)
        if small:
            bench.look()
            bench.quorum_back()
        bench.path("one lost", names[-1:])
        bench.path("quorum lost", names[managers // 2 :])
        bench.path("all lost", names)
    finally:
        nodes.remove_all(lab)
    return bench.rows


def large(lab: Instance, folder: Path) -> list[Row]:
    """Measure nine managers and twenty workers, built, looked at and recovered once."""
    bench = Bench(lab, folder, *LARGE)
    try:
        bench.build()
        bench.doctor()
        bench.path("all lost, with 20 workers", list(bench.addresses))
    finally:
        nodes.remove_all(lab)
    return bench.rows


def main() -> None:
    """Run the bench on a separate lab."""
    parser = argparse.ArgumentParser(prog="python -m bench")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--managers", type=int, nargs="+", choices=SIZES, help="only losses, of so many managers")
    only.add_argument("--large", action="store_true", help="only nine managers and twenty workers, once")
    only.add_argument("--copies", action="store_true", help="only what copies and agents cost")
    options = parser.parse_args()
    sizes = options.managers or ([] if options.large or options.copies else SIZES)
    lab = Instance(OCTET)
    lifecycle.down(lab, print)
    lifecycle.up(lab, print)
    os.environ.update(environment.variables(lab))
    rows: list[Row] = []
    figures: list[copies.Figure] = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            if options.large:
                rows += large(lab, Path(folder))
            for managers in sizes:
                rows += run(lab, Path(folder), managers, small=managers == sizes[0])
            if options.copies or not (options.large or options.managers):
                figures += copies.run(lab, Path(folder), out.print)
    finally:
        if rows:
            out.print(table(rows))
        if figures:
            out.print(copies.table(figures))
        lifecycle.down(lab, print)


if __name__ == "__main__":
    main()
