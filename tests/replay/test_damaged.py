"""Damaged raft logs on the fake swarm: brought back and proven, or refused with nothing changed; interrupted anywhere, it converges."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pytest

from recovery.cluster import Cluster
from recovery.errors import Refused
from recovery.operations.assess import assess
from recovery.planning.diagnosis import Kind
from recovery.planning.steps import Action
from tests.fake.cases import EARLY, LATE, LATER, Case, Scene, Theatre, names
from tests.fake.wires import Killed, Moment, Strike
from tests.replay.recovering import interrupted, recover, require_recovered

NOTHING_GOOD = 1 << 20
"""More entries than any log here has."""


@dataclass(frozen=True)
class DamagedCase(Case):
    """How many entries each damaged log loses, by manager."""

    harmed: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        harmed = ", ".join(
            f"{name} without {lost if lost < NOTHING_GOOD else 'all'}" for name, lost in self.harmed.items()
        )
        return f"{super().__str__()}; {harmed}"

    @property
    def sound(self) -> frozenset[str]:
        return self.survivors - self.harmed.keys()

    @property
    def keeps_quorum(self) -> bool:
        return len(self.sound) > self.managers / 2

    @property
    def kept(self) -> frozenset[str]:
        least = 0 if self.sound else min(self.harmed.values())
        return frozenset({EARLY, LATER, LATE} if least <= 1 else {EARLY, LATER} if least <= 3 else {EARLY})

    @property
    def gone(self) -> frozenset[str]:
        return frozenset() if self.sound or min(self.harmed.values()) < 2 else frozenset({LATE})


def of(managers: int, lost: frozenset[str] = frozenset(), **harmed: int) -> DamagedCase:
    return DamagedCase(managers, lost, harmed={name.replace("_", "-"): entries for name, entries in harmed.items()})


def stage(theatre: Theatre, case: DamagedCase) -> Scene:
    scene = theatre.stage(case)
    swarm = theatre.wires.swarm
    for name, lost in case.harmed.items():
        swarm.damage(name, lost=lost)
    for _ in range(3):
        swarm.pass_time()
    leader = swarm.lives()
    swarm.spare = swarm.spare_of(leader) if leader else 0
    theatre.wires.begin()
    return Scene(scene.settings, scene.cluster_id, scene.identities, scene.versions if leader else {}, swarm.spare)


WITH_QUORUM = [
    of(3, manager_a=3),
    of(3, manager_b=1),
    of(3, manager_c=NOTHING_GOOD),
    of(5, manager_a=2, manager_c=NOTHING_GOOD),
]
WITHOUT_QUORUM = [
    of(3, manager_a=3, manager_b=2),
    of(3, manager_a=3, manager_b=NOTHING_GOOD),
    of(3, manager_a=2, manager_b=4, manager_c=5),
    of(3, manager_a=2, manager_b=NOTHING_GOOD, manager_c=5),
    of(3, frozenset({"manager-b", "manager-c"}), manager_a=2),
]


@pytest.mark.parametrize("case", WITH_QUORUM, ids=str)
def test_with_the_quorum_alive_a_damaged_manager_rejoins_without_consent(theatre: Theatre, case: DamagedCase) -> None:
    scene = stage(theatre, case)
    cautious = scene.settings.model_copy(update={"recover": False})
    found = assess(Cluster(cautious))
    assert set(found.diagnosis.damaged) == case.harmed.keys()
    assert Action.REPAIR not in {step.action for step in found.plan.steps}
    recover(cautious)
    require_recovered(theatre, case, scene)


@pytest.mark.parametrize("case", WITHOUT_QUORUM, ids=str)
def test_without_it_the_log_that_knows_most_is_repaired_or_passed_over(theatre: Theatre, case: DamagedCase) -> None:
    scene = stage(theatre, case)
    plan = assess(Cluster(scene.settings)).plan
    assert (plan.cut is None) is bool(case.sound)
    assert plan.needs_id is not bool(case.sound)
    recover(scene.settings)
    require_recovered(theatre, case, scene)
    done = theatre.wires.effects
    changed = next(at for at, what in enumerate(done) if "exchange" in what or "force" in what)
    for name in case.harmed:
        assert [what for what in done[:changed] if what.startswith("S3: write swarm-") and f"-{name}-" in what], name


@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize(
    "case",
    [
        WITH_QUORUM[0],
        WITHOUT_QUORUM[2],
        *(pytest.param(case, marks=pytest.mark.whole) for case in (WITH_QUORUM[2], WITHOUT_QUORUM[3])),
    ],
    ids=str,
)
def test_a_return_interrupted_at_any_effect_converges(
    theatre: Theatre, points: Iterator[int], case: DamagedCase, moment: Moment
) -> None:
    for at in points:
        scene = stage(theatre, case)
        met = interrupted(theatre, scene, Strike(at, moment))
        require_recovered(theatre, case, scene)
        if not met:
            break
    assert at > 5, "a recovery has effects"


def test_a_repaired_log_in_place_keeps_the_plans_id(theatre: Theatre) -> None:
    """So the same consent is given again after an interruption, and nothing else is forced from that log."""
    scene = stage(theatre, WITHOUT_QUORUM[2])
    wanted = assess(Cluster(scene.settings)).plan
    recover(scene.settings)
    restarted = next(at for at, what in enumerate(theatre.wires.effects, 1) if "restart its engine" in what)
    for at in (restarted - 1, restarted):
        scene = stage(theatre, WITHOUT_QUORUM[2])
        interrupted_at(theatre, scene, at)
        now = assess(Cluster(scene.settings)).plan
        assert (now.id, now.cut, now.survivor) == (wanted.id, wanted.cut, wanted.survivor)


def interrupted_at(theatre: Theatre, scene: Scene, at: int) -> None:
    theatre.wires.begin(Strike(at, Moment.KILLED))
    with pytest.raises(Killed):
        recover(scene.settings)
    theatre.wires.begin()


@pytest.mark.parametrize("consent", [False, True, "r0000000"])
def test_a_repaired_log_is_taken_only_by_the_plans_id(theatre: Theatre, consent: bool | str) -> None:
    scene = stage(theatre, WITHOUT_QUORUM[2])
    given = scene.settings.model_copy(update={"recover": consent})
    with pytest.raises(Refused, match="code: consent-needed"):
        assess(Cluster(given)).require_safe(given)
    assert not theatre.wires.effects


def test_nothing_is_forced_where_nothing_of_any_log_can_be_used(theatre: Theatre) -> None:
    scene = stage(theatre, of(3, manager_a=NOTHING_GOOD, manager_b=NOTHING_GOOD, manager_c=NOTHING_GOOD))
    with pytest.raises(Refused, match="code: log-unreadable"):
        recover(scene.settings)
    assert not theatre.wires.effects


@pytest.mark.parametrize("full", [["manager-c"], ["manager-b", "manager-c"], list(names(3))])
def test_a_full_disk_is_the_operators_to_empty_and_the_engine_then_comes_back_by_a_restart(
    theatre: Theatre, full: list[str]
) -> None:
    scene = theatre.stage(Case(3, frozenset()))
    swarm = theatre.wires.swarm
    for name in full:
        swarm.fill(name)
    for _ in range(3):
        swarm.pass_time()
    with pytest.raises(Refused, match=r"requorum restart manager-c(?s:.*)code: disk-full"):
        recover(scene.settings)
    assert not theatre.wires.effects
    for name in full:
        swarm.named(name).full = False
        swarm.restart(swarm.named(name))
    for _ in range(3):
        swarm.pass_time()
    assert assess(Cluster(scene.settings)).diagnosis.kind is Kind.HEALTHY
