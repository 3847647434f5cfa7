"""One cluster on a lab, without Pulumi: made, lost in part, its machines made again, looked at."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

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
"""A label of worker-1 that is changed before each loss."""
LOG_LINES = 150
TOLD = "module=(?!grpc)|7946|memberlist|networkdb|agent"
"""The lines of an engine that help to understand a fault: swarmkit's without gRPC's chatter, and the gossip's, which name no module."""
Say = Callable[[str], None]


class Cluster:
    """A swarm of ``managers`` managers and two workers with running services, and its copies; ``engine`` as a case names it."""

    def __init__(self, lab: Instance, *, managers: int, autolock: bool, engine: str = image.DEFAULT) -> None:
        self.lab = lab
        self._engines = engine.split("+")
        raw = lab_settings(lab, managers=managers)
        raw = {**raw, "cluster": "chaos", "backup": {**raw["backup"], "prefix": f"chaos{managers}"}}
        self.settings: Settings = parse({**raw, "swarm": {"autolock": True}} if autolock else raw)
        self.managers = tuple(node.name for node in self.settings.managers)
        self.bucket = Bucket(self.settings)

    def build(self, say: Say) -> None:
        """From nothing to a running workload; what is there is removed first."""
        nodes.remove_all(self.lab)
        self.bucket.empty()
        for engine in self._engines:
            image.ensure(self.lab, engine)
        stranger = Node(name="stranger", address=self.settings.subnet[256 + 99])
        self._make([stranger])
        self.foreign = Foreign.of(self.settings, stranger)
        nodes.lose(self.lab, [stranger.name])
        self.make([node.name for node in self.settings.nodes])
        recover_all(self.settings, assess(self.settings), say=say)
        Swarm(Stack(self.lab, "chaos")).run_workload()

    def lose(self, names: Sequence[str]) -> None:
        """Destroy these nodes with all their state."""
        nodes.lose(self.lab, names)

    def make(self, names: Sequence[str]) -> None:
        """Make these machines again, empty and prepared, as an update would before it recovers."""
        made = [self.settings.node(name) for name in names]
        self._make(made)
        with ThreadPoolExecutor(max_workers=max(len(made), 1)) as pool:
            list(pool.map(self._prepare, made))

    def mark(self, value: str) -> None:
        """Make a change to the swarm that is easy to recognise."""
        self.on(self.managers[0], "docker", "node", "update", "--label-add", f"{MARK}={value}", WORKERS[0])

    def on(self, node: str, *argv: str) -> str:
        """What a command on a node prints. Not by the docker package, which may lose the beginning (docker-py#3332)."""
        doing, advice = f"running {argv[0]} on {node}", "The node must be running"
        return command.run(["docker", "-H", self.lab.docker_host, "exec", node, *argv], doing=doing, advice=advice)

    def look(self, *, seconds: int = witness.PATIENT) -> Picture:
        """What every node says of itself."""
        return witness.look(self.on, self.managers, WORKERS, seconds=seconds)

    def engine_logs(self) -> list[str]:
        """The last lines of each running node's engine, as far as they are `TOLD`."""
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
        said: list[str] = []
        for name in (*self.managers, *WORKERS):
            try:
                lines = self.on(name, *argv).splitlines()
            except LabError as error:
                lines = [str(error)]
            said += [f"{name}: {line}" for line in lines]
        return said

    def _make(self, made: Iterable[Node]) -> None:
        for turn, engine in enumerate(self._engines):
            chosen = {node.name: str(node.address) for node in made if int(node.address) % len(self._engines) == turn}
            if chosen:
                nodes.make(self.lab, chosen, version=engine)

    def _prepare(self, node: Node) -> None:
        with Shell(node, self.settings.ssh) as shell:
            shell.run(["sh", "-s"], stdin=script(self.settings, True, self.settings.swarm.data_path_port).encode())
