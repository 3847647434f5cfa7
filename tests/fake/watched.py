"""A fake swarm with watchers of `requorum watch`, a clock that the test sets, and what people are told.

In place of `pulumi up`, an update carries the plan out on empty machines in the place of lost ones, as Pulumi's providers do.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recovery.cluster import Cluster
from recovery.errors import RequorumError
from recovery.operations import consents, lifecycle, notify, pulumi_locks, reports
from recovery.operations.assess import assess
from recovery.operations.recover import recover_all
from recovery.operations.watcher import Means, Watcher
from recovery.pipeline.watching import Act, Rules
from recovery.settings import Settings
from recovery.settings.notify import Notify
from tests.fake.cases import Scene, quiet
from tests.fake.swarm import Swarm
from tests.fake.wires import Wires


class _Kind(type):
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, datetime)


class Clock(datetime, metaclass=_Kind):
    """The time of everybody who asks for it."""

    time = datetime.now(UTC)

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        Clock.time += timedelta(milliseconds=1)  # no two moments are the same
        return cls.time.astimezone(tz)


class Watched:
    """A cluster, its watchers, and a person."""

    def __init__(self, wires: Wires, scene: Scene) -> None:
        self.wires, self.scene = wires, scene
        self.settings: Settings = scene.settings.model_copy(
            update={"recover": False, "notify": Notify(urlsFile=Path("urls"))}  # type: ignore[call-arg]
        )
        self.told: list[str] = []
        """The titles of notifications."""
        self.texts: list[str] = []
        self.deaf = False
        """Whether a service accepts no notification."""
        self.updates: list[str] = []
        """The consent of each update that a watcher ran; empty without one."""
        self.errors: list[str] = []
        """Why updates failed."""
        self.before_update: list[Callable[[], None]] = []
        """What happens right before the next updates."""
        self.failures = 0
        """How many of the next updates fail before they change anything."""

    @property
    def swarm(self) -> Swarm:
        return self.wires.swarm

    def watcher(self, *, heal: bool = True, at_most: int = 1000) -> Watcher:
        """A watcher, as after a start of the service."""
        return Watcher("lab", Rules(heal, at_most), Means(self.opened, quiet, lambda: Clock.now(UTC), self.update))

    @contextmanager
    def opened(self, plan: str) -> Iterator[tuple[Path, Cluster]]:
        yield Path("stack"), Cluster(self.settings.model_copy(update={"recover": plan or False}))

    def update(self, cluster: Cluster, _: str, __: Path) -> tuple[int, list[Mapping[str, Any]]]:
        self.updates.append(str(cluster.settings.recover or ""))
        if self.before_update:
            self.before_update.pop(0)()
        if self.failures:
            self.failures -= 1
            return 255, []
        before = set(reports.names(cluster))
        self.make_machines()
        try:
            found = assess(cluster)
            found.require_safe(cluster.settings)
            if found.plan.steps or lifecycle.unproven(cluster, say=quiet):
                recover_all(cluster, found, say=quiet)
        except RequorumError as error:
            self.errors.append(str(error))
            return 255, []
        return 0, [reports.load(cluster, name) for name in set(reports.names(cluster)) - before]

    def make_machines(self) -> None:
        """Put an empty machine in the place of each that is gone."""
        for machine in list(self.swarm.machines.values()):
            if not machine.up:
                del self.swarm.machines[machine.address]
                self.swarm.make(machine.name, machine.address, marked="lab")

    def lose(self, *names: str) -> None:
        for name in names:
            self.swarm.lose(name)
        self.pass_time()

    def pass_time(self) -> None:
        for _ in range(3):
            self.swarm.pass_time()
        leader = self.swarm.lives()
        self.swarm.spare = self.swarm.spare_of(leader) if leader else 0

    def asked(self) -> str:
        """The plan that is asked for now; empty if nothing is."""
        question = consents.asked(Cluster(self.settings))
        return question.plan if question else ""

    def consent(self, plan: str, *, withdrawn: bool = False) -> None:
        consents.give(Cluster(self.settings), plan, Clock.now(UTC), withdrawn=withdrawn)

    def quiet_rounds(self, *watchers: Watcher, count: int = 2) -> None:
        """Nobody does or tells anything."""
        updates, told = len(self.updates), len(self.told)
        self.wires.begin()
        for _ in range(count):
            for watcher in watchers:
                assert watcher.round().act in (Act.NOTHING, Act.CLOSE, Act.SAY, Act.ASK)
        assert (len(self.updates), len(self.told)) == (updates, told)
        assert not [what for what in self.wires.effects if not what.startswith("S3: ")]


@contextmanager
def watched(wires: Wires, scene: Scene) -> Iterator[Watched]:
    """The cluster of the scene, at a time that only the test changes."""
    made = Watched(wires, scene)
    Clock.time = datetime.now(UTC)

    class Services:
        def notify(self, title: str, body: str, **_: Any) -> bool:
            made.told.append(title)
            made.texts.append(body)
            return not made.deaf

    with pytest.MonkeyPatch.context() as patch:
        for name, module in list(sys.modules.items()):
            ours = name.startswith("recovery.") or name == "tests.fake.bucket"
            if ours and name != "recovery.swarm.records" and vars(module).get("datetime") is datetime:
                patch.setattr(module, "datetime", Clock)
        patch.setattr(notify, "_services", lambda _: Services())
        patch.setattr(pulumi_locks, "backend_url", lambda: "https://service.example")
        yield made
