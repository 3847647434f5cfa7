"""Manages one cluster on a lab without Pulumi: builds it, loses nodes, makes machines again, and observes nodes."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import recovery.cluster
from lab import command, image, nodes
from lab.errors import LabError
from lab.instance import Instance
from lab.stack import Stack
from lab.stack import settings as lab_settings
from recovery.node.ssh import Shell
from recovery.operations.assess import assess
from recovery.operations.recover import recover_all
from recovery.planning.preparation import script
from recovery.settings import Settings, parse
from recovery.swarm.machines import Node
from tests.chaos import witness
from tests.chaos.copies import Bucket, Foreign
from tests.chaos.witness import Picture
from tests.lab.swarm import WORKERS, Swarm

MARK = "chaos"
"""A label of worker-1. Each case changes its value before the loss."""
LOG_LINES = 150
TOLD = "module=(?!grpc)|7946|memberlist|networkdb|agent"
"""Matches log lines that help to understand a fault: those of swarmkit without gRPC, and those of gossip."""
Say = Callable[[str], None]


class Cluster:
    """A swarm of ``managers`` managers and two workers with running services, and its copies.

    ``engine`` is as in `Case`.
    """

    def __init__(self, lab: Instance, *, managers: int, autolock: bool, engine: str = image.DEFAULT) -> None:
        self.lab = lab
        self._engines = engine.split("+")
        raw = lab_settings(lab, managers=managers)
        raw = {**raw, "cluster": "chaos", "backup": {**raw["backup"], "prefix": f"chaos{managers}"}}
        self.settings: Settings = parse({**raw, "swarm": {"autolock": True}} if autolock else raw)
        self.managers = tuple(node.name for node in self.settings.managers)
        self.bucket = Bucket(self.settings)

    def build(self, say: Say) -> None:
        """Remove the old cluster, then build a new one with a running workload."""
        nodes.remove_all(self.lab)
        self.bucket.empty()
        for engine in self._engines:
            image.ensure(self.lab, engine)
        stranger = Node(name="stranger", address=self.settings.subnet.every[0][256 + 99])
        self._make([stranger])
        self.foreign = Foreign.of(self.settings, stranger)
        nodes.lose(self.lab, [stranger.name])
        self.make([node.name for node in self.settings.nodes])
        opened = recovery.cluster.Cluster(self.settings)
        recover_all(opened, assess(opened), say=say)
        Swarm(Stack(self.lab, "chaos")).run_workload()

    def lose(self, names: Sequence[str]) -> None:
        """Destroy these nodes with all their state."""
        nodes.lose(self.lab, names)

    def make(self, names: Sequence[str]) -> None:
        """Make these machines again, empty and prepared, as an update does before it recovers."""
        machines = [self.settings.node(name) for name in names]
        self._make(machines)
        with ThreadPoolExecutor(max_workers=max(len(machines), 1)) as pool:
            list(pool.map(self._prepare, machines))

    def mark(self, value: str) -> None:
        """Make a change of the swarm that is easy to recognize."""
        self.on(self.managers[0], "docker", "node", "update", "--label-add", f"{MARK}={value}", WORKERS[0])

    def on(self, node: str, *argv: str) -> str:
        """Run a command on a node. Returns its output. The docker package may lose its beginning (docker-py#3332)."""
        doing, advice = f"running {argv[0]} on {node}", "The node must be running"
        return command.run(["docker", "-H", self.lab.docker_host, "exec", node, *argv], doing=doing, advice=advice)

    def look(self, *, seconds: int = witness.PATIENT) -> Picture:
        """Ask every node. Returns their answers."""
        return witness.look(self.on, self.managers, WORKERS, seconds=seconds)

    def engine_logs(self) -> list[str]:
        """The last log lines of each running node's engine that match `TOLD`."""
        argv = (
            "journalctl",
            "-u",
            "docker",
            "-n",
            str(LOG_LINES),
            "--grep",
            TOLD,
            "-o",
            "short-precise",
            "--no-hostname",
        )
        output: list[str] = []
        for name in (*self.managers, *WORKERS):
            try:
                lines = self.on(name, *argv).splitlines()
            except LabError as error:
                lines = [str(error)]
            output += [f"{name}: {line}" for line in lines]
        return output

    def _make(self, made: Iterable[Node]) -> None:
        for turn, engine in enumerate(self._engines):
            chosen = {node.name: str(node.address) for node in made if int(node.address) % len(self._engines) == turn}
            if chosen:
                nodes.make(self.lab, chosen, version=engine)

    def _prepare(self, node: Node) -> None:
        with Shell(node, self.settings.ssh) as shell:
            shell.run(["sh", "-s"], stdin=script(self.settings, True, self.settings.swarm.data_path_port).encode())
