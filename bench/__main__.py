"""``python -m bench [ROUNDS]``: every figure of one run, with its ratio to the runbook's and to the floor's.

Absolute times belong to the machine; the ratios are what to compare.
"""

import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import byhand
from lab import cluster, environment, lifecycle, nodes
from lab.instance import Instance
from lab.stack import Stack, settings
from recovery import quorum
from recovery.catalog import Catalog
from recovery.settings import Settings, load

OCTET = 79
ROUNDS = 3
out = Console(width=120)


class Bench:
    """One lab with one cluster, lost and recovered in each way in turn."""

    def __init__(self, lab: Instance, folder: Path) -> None:
        self.lab = lab
        self.folder = folder
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.stack = Stack(lab, "bench", folder / "Pulumi.bench.yaml")
        self.stack.write(settings(lab))
        cluster.prepare(lab, self.stack)
        self.settings: Settings = load(self.stack.file)
        self.managers = {node.name: str(node.address) for node in self.settings.managers}

    def build(self) -> None:
        """One `pulumi up`, and a second one that has nothing to do."""
        self.seconds["build by pulumi up"].append(self.stack.up("--skip-preview").seconds)
        self.seconds["pulumi up, nothing to do"].append(self.stack.up("--skip-preview").seconds)

    def round(self) -> None:
        """Lose all managers in each way, and bring them back."""
        taken = self.stack.requorum("backup", "--json")
        self.seconds["backup of all managers"].append(taken.seconds)
        self.copies = json.loads(taken.text)["copies"]
        archives = self._download()
        self._by_hand(archives, byhand.DOCUMENTED, "hosts up -> quorum back, runbook")
        self._by_hand(archives, byhand.LIVE, "hosts up -> quorum back, floor")
        self._ours()
        self._whole_by_hand(archives)
        self._whole_by_update()

    def status(self) -> None:
        """How long the status takes while all is well, and with every manager dead."""
        self.seconds["status, all well"].append(self.stack.requorum("status").seconds)
        nodes.lose(self.lab, self.managers)
        self.seconds["status, all managers dead"].append(self.stack.requorum("status").seconds)

    def _download(self) -> dict[str, Path]:
        catalog = Catalog(self.settings)
        archives = {}
        for name in self.managers:
            newest = catalog.newest(name)
            assert newest is not None, f"no copy of {name}"
            archives[name] = self.folder / name
            catalog.store.download(newest.key, archives[name])
        return archives

    def _rebuild(self) -> None:
        nodes.lose(self.lab, self.managers)
        nodes.make(self.lab, self.managers)

    def _by_hand(self, archives: dict[str, Path], way: str, label: str) -> None:
        self._rebuild()
        name, address = next(iter(self.managers.items()))
        self.seconds[label].append(byhand.seed(self.lab, name, address, archives[name], way))

    def _ours(self) -> None:
        self._rebuild()
        begun = time.monotonic()
        quorum.establish(self.settings, copy=self.copies[-1]["name"], say=lambda _: None)
        self.seconds["hosts up -> quorum back, ours"].append(time.monotonic() - begun)

    def _whole_by_hand(self, archives: dict[str, Path]) -> None:
        nodes.lose(self.lab, self.managers)
        begun = time.monotonic()
        nodes.make(self.lab, self.managers)
        (name, address), *others = self.managers.items()
        byhand.seed(self.lab, name, address, archives[name], byhand.LIVE)
        byhand.rejoin(self.lab, dict(others), name, address, archives)
        self.seconds["destroyed -> all reachable, floor"].append(time.monotonic() - begun)

    def _whole_by_update(self) -> None:
        """Lost once more; the machines of the round before are unknown to Pulumi, as any replaced machine is."""
        nodes.lose(self.lab, self.managers)
        begun = time.monotonic()
        reachable: list[float] = []

        def watch() -> None:
            byhand.await_reachable(self.lab, next(iter(self.managers)), len(self.managers), 300)
            reachable.append(time.monotonic() - begun)

        watcher = threading.Thread(target=watch)
        watcher.start()
        done = self.stack.up("--config", "recover=true", "--skip-preview")
        watcher.join()
        self.seconds["destroyed -> all reachable, pulumi up"].append(reachable[0])
        self.seconds["destroyed -> update proven and copied"].append(done.seconds)


PAIRS = {
    "hosts up -> quorum back, ours": ("hosts up -> quorum back, runbook", "hosts up -> quorum back, floor"),
    "hosts up -> quorum back, runbook": (None, "hosts up -> quorum back, floor"),
    "destroyed -> all reachable, pulumi up": (None, "destroyed -> all reachable, floor"),
    "destroyed -> update proven and copied": (None, "destroyed -> all reachable, floor"),
}


def table(bench: Bench) -> Table:
    """The figures: median, smallest, largest, and the ratios of medians."""
    shown = Table("what", "median s", "min", "max", "runbook / this", "this / floor", box=None)
    medians = {label: statistics.median(values) for label, values in bench.seconds.items()}
    for label, values in bench.seconds.items():
        runbook, floor = PAIRS.get(label, (None, None))
        faster = f"{medians[runbook] / medians[label]:.1f}x" if runbook else ""
        slower = f"{medians[label] / medians[floor]:.2f}x" if floor else ""
        figures = (medians[label], min(values), max(values))
        shown.add_row(label, *(f"{figure:.2f}" for figure in figures), faster, slower)
    return shown


def main() -> None:
    """Run the bench on a lab of its own."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    lab = Instance(OCTET)
    lifecycle.down(lab, print)
    lifecycle.up(lab, print)
    os.environ.update(environment.variables(lab))
    try:
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(lab, Path(folder))
            bench.build()
            for number in range(rounds):
                out.print(f"round {number + 1} of {rounds}")
                bench.round()
            bench.status()
            out.print(table(bench))
            sizes = [(copy["rawBytes"], copy["size"]) for copy in bench.copies]
            out.print(
                "\n".join(
                    f"a copy is 1/{raw / size:.0f} of the directory ({size:,} of {raw:,} bytes)" for raw, size in sizes
                )
            )
    finally:
        lifecycle.down(lab, print)


if __name__ == "__main__":
    main()
