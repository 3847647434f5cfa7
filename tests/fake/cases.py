"""Cases of losses, and how each must end. The module does not use the code that plans recoveries."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from itertools import combinations

from recovery.cluster import Cluster
from recovery.copies.copy import ARCHIVE
from recovery.operations import lifecycle
from recovery.operations.assess import assess
from recovery.operations.recover import recover_all
from recovery.settings import Settings
from recovery.settings.placement import MANAGER_COUNTS
from tests.fake.engine import FakeApi
from tests.fake.machine import Cut, Machine
from tests.fake.swarm import Swarm
from tests.fake.wires import Wires, cluster
from tests.unit import factories as make

WORKERS = [{"name": "worker-1", "address": "10.77.1.41"}]
EARLY, LATER, LATE = "early", "later", "late"
"""Configs, written between the older and newer copies, after both, and while some managers were cut off."""
NEXT = "next"
"""One more entry after each config. Without it, the config is not committed on disk, and a force may drop it."""


UNHEARD = 9
"""Entries that a cut-off leader writes only to its own disk. They are more than the others write meanwhile."""


class Copies(StrEnum):
    """The state of the copies in S3. Every manager has an older and a newer copy, unless a value says otherwise."""

    GOOD = "good"
    NEWEST_DAMAGED = "newest damaged"
    NEWEST_FOREIGN = "newest of one manager foreign"
    ALL_NEWEST_FOREIGN = "newest of all managers foreign"
    FIRST_ONLY = "of the first manager only"
    MISSING = "missing"


@dataclass(frozen=True)
class Case:
    """One case: the lost managers, the managers that were cut off before, and the state of the copies."""

    managers: int
    lost: frozenset[str]
    copies: Copies = Copies.GOOD
    behind: frozenset[str] = frozenset()
    named: bool = False
    """Whether the stack file names the cluster's ID."""
    elsewhere: bool = False
    """Whether the lost machines get other addresses."""

    def __str__(self) -> str:
        lost, behind = (" ".join(sorted(names)) or "nobody" for names in (self.lost, self.behind))
        extras = ", named" * self.named + ", elsewhere" * self.elsewhere
        return f"{self.managers}: {lost} lost, {behind} behind, copies {self.copies}{extras}"

    @property
    def survivors(self) -> frozenset[str]:
        return frozenset(names(self.managers)) - self.lost

    @property
    def keeps_quorum(self) -> bool:
        return len(self.survivors) > self.managers / 2

    @property
    def refused(self) -> str:
        """Part of the refusal's text, or its code. Empty if Requorum must recover the cluster."""
        if self.elsewhere and self.lost and self.managers == 1 and self.copies is not Copies.MISSING:
            return "code: second-manager-needed"
        if not self.survivors and self.copies is Copies.MISSING:
            return "code: no-good-copy"
        if self.elsewhere and self.survivors and self.lost and not self.keeps_quorum:
            return "code: manager-moved"
        return ""

    @property
    def kept(self) -> frozenset[str]:
        """The configs that must exist afterwards."""
        if self.keeps_quorum:
            return frozenset({EARLY, LATER, LATE})
        if self.survivors:
            return frozenset({EARLY, LATER, LATE} if self.survivors - self.behind else {EARLY, LATER})
        return frozenset() if self.copies is Copies.NEWEST_DAMAGED else frozenset({EARLY})

    @property
    def gone(self) -> frozenset[str]:
        """The configs that cannot exist afterwards."""
        if self.survivors:
            return frozenset() if self.survivors - self.behind else frozenset({LATE})
        return frozenset({EARLY, LATER, LATE}) - self.kept

    @property
    def identities(self) -> frozenset[str]:
        """The managers that must keep their node ID. An empty machine elsewhere takes the place of a lost one as a new node."""
        if self.elsewhere and self.keeps_quorum:
            return self.survivors
        served = {
            Copies.MISSING: frozenset[str](),
            Copies.FIRST_ONLY: frozenset({"manager-a"}),
        }.get(self.copies, frozenset(names(self.managers)))
        return self.survivors | served


def names(managers: int) -> tuple[str, ...]:
    return tuple(node.name for node in settings(managers).managers)


@cache
def settings(managers: int, *, recover: bool = True, cluster_id: str | None = None) -> Settings:
    """The settings of the cluster. With counts of managers that Requorum does not create, it was taken over."""
    given = cluster_id or ("" if managers in MANAGER_COUNTS else "taken-over")
    made = make.settings(managers, workers=WORKERS, recover=recover, clusterId=given or None)
    return made.model_copy(update={"cluster_id": cluster_id})


def elsewhere(of: Settings, names: Collection[str]) -> Settings:
    """The settings with these managers at other addresses."""
    moved = [replace(node, address=node.address + 100) if node.name in names else node for node in of.managers]
    return of.model_copy(update={"managers": tuple(moved)})


def subsets(managers: int) -> Iterator[frozenset[str]]:
    """Every subset of the managers, with the empty one and the full one."""
    for count in range(managers + 1):
        yield from map(frozenset, combinations(names(managers), count))


@dataclass(frozen=True)
class Picture:
    """A healthy cluster, kept as a template."""

    swarm: Swarm
    objects: dict[str, bytes]


@dataclass(frozen=True)
class Scene:
    """A cluster after a loss, with its settings and its earlier state."""

    settings: Settings
    cluster_id: str
    identities: dict[str, str]
    """The node IDs by name."""
    versions: dict[str, int]
    """The version of every object, if a leader exists."""
    spare: int


class Theatre:
    """Builds fake clusters, and makes cases happen to them."""

    def __init__(self, wires: Wires) -> None:
        self.wires = wires
        self._built: dict[tuple[int, str], Picture] = {}

    def stage(self, case: Case, *, orphans_forget: bool = False, slow: bool = False) -> Scene:
        """Build the cluster after the loss, with empty machines in place of the lost ones."""
        built = self._build(case.managers)
        wires, swarm = self.wires, built.swarm.clone()
        wires.swarm, wires.objects = swarm, dict(built.objects)
        wires.begin()
        swarm.orphans_forget, swarm.slow = orphans_forget, slow
        self._cut_off(case)
        for name in case.lost:
            swarm.lose(name)
        for name in case.behind:
            swarm.cut(name, Cut.NOBODY)
        for _ in range(3):
            swarm.pass_time()
        self._spoil(case)
        wanted = settings(case.managers, cluster_id=swarm.founded[0] if case.named else None)
        wanted = elsewhere(wanted, case.lost) if case.elsewhere else wanted
        for name in case.lost:
            del swarm.machines[swarm.named(name).address]
            swarm.make(name, str(wanted.node(name).address), marked="lab")
        leader = swarm.lives()
        swarm.spare = swarm.spare_of(leader) if leader else 0
        wires.begin()
        return Scene(
            wanted,
            swarm.founded[0],
            built.swarm.identities,
            swarm.state_of(leader).versions if leader else {},
            swarm.spare,
        )

    def write(self, name: str) -> None:
        """Commit a config through the leader."""
        leader = self.wires.swarm.lives()
        assert leader
        FakeApi(self.wires, f"unix:///fake/{leader.address}").create_config(name, b"")

    def original(self, managers: int, name: str) -> Machine:
        """The machine as it was before any loss."""
        return self._build(managers).swarm.named(name)

    def _cut_off(self, case: Case) -> None:
        swarm = self.wires.swarm
        for name in case.behind:
            if swarm.named(name) is swarm.lives():
                for _ in range(UNHEARD):
                    swarm.write_unheard(name)
            swarm.cut(name, Cut.EVERYBODY)
        for _ in range(3):
            swarm.pass_time()
        self.write(LATE)
        self.write(NEXT)

    def _build(self, managers: int, series: str = "") -> Picture:
        """Build, change and copy a cluster with the real code, as a template."""
        if (managers, series) not in self._built:
            self.wires.swarm, self.wires.objects = Swarm(series), {}
            self.wires.begin()
            wanted = settings(managers, recover=False)
            cluster(self.wires, wanted)
            recover_all(Cluster(wanted), assess(Cluster(wanted)), say=quiet)
            self.write(EARLY)
            lifecycle.fresh_copies(Cluster(wanted), say=quiet)
            self.write(LATER)
            self.write(NEXT)
            self._built[managers, series] = Picture(self.wires.swarm, self.wires.objects)
        return self._built[managers, series]

    def _spoil(self, case: Case) -> None:
        objects = self.wires.objects
        match case.copies:
            case Copies.MISSING:
                objects.clear()
            case Copies.FIRST_ONLY:
                for key in [key for key in objects if "/manager-a/" not in key]:
                    del objects[key]
            case Copies.NEWEST_DAMAGED:
                for name in names(case.managers):
                    newest = max(key for key in objects if f"/{name}/" in key and key.endswith(ARCHIVE))
                    objects[newest] = objects[newest][:-7] + bytes(7)
            case Copies.NEWEST_FOREIGN:
                foreign = self._foreign(case.managers)
                objects.update({key: content for key, content in foreign.items() if "/manager-a/" in key})
            case Copies.ALL_NEWEST_FOREIGN:
                objects.update(self._foreign(case.managers))

    def _foreign(self, managers: int) -> dict[str, bytes]:
        """The copies of another swarm, which are newer than the cluster's own."""
        swarm, objects = self.wires.swarm, self.wires.objects
        built = self._build(managers, "other-")
        self.wires.swarm, self.wires.objects = swarm, objects
        return built.objects


def quiet(_: str) -> None:
    pass
