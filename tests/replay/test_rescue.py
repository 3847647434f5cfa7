"""`requorum rescue` on the fake swarm: brought back and proven, or refused with nothing changed; interrupted, it converges."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from recovery.errors import Refused, RequorumError
from recovery.operations.rescue import Target, reached
from recovery.planning.plan import Plan
from recovery.planning.steps import Action
from recovery.swarm.key_file import UnlockKey
from recovery.swarm.machines import Ssh
from recovery.swarm.model import LocalState
from recovery.swarm.single import Single
from tests.fake.engine import FakeApi
from tests.fake.machine import Machine
from tests.fake.swarm import Swarm
from tests.fake.wires import Killed, Moment, Strike, Wires, wired

HOST = "10.77.1.11"
OTHERS = ("10.77.2.12", "10.77.3.13")
NOTHING_GOOD = 1 << 20
TRIES = 3


@dataclass(frozen=True)
class Ailing:
    """A swarm of so many managers, of which the first is rescued; its log lacks so many entries, and who else is off."""

    managers: int = 1
    lost: int | None = None
    off: bool = True
    """Whether the other managers are off."""

    def __str__(self) -> str:
        log = "sound" if self.lost is None else f"without {self.lost if self.lost < NOTHING_GOOD else 'all'}"
        return f"{self.managers}, {log}, others {'off' if self.off else 'on'}"


@pytest.fixture(scope="module")
def wires() -> Iterator[Wires]:
    with wired() as made:
        yield made


def stage(wires: Wires, case: Ailing) -> Machine:
    """A swarm with some configs, and what is wrong with it."""
    swarm = wires.swarm = Swarm()
    wires.begin()
    first = swarm.make("manager-a", HOST)
    swarm.init(first, {"Name": "default"})
    for number, address in enumerate(OTHERS[: case.managers - 1]):
        machine = swarm.make(f"manager-{'bc'[number]}", address)
        swarm.pass_time()
        swarm.join(machine, [HOST], swarm.token(swarm.state_of(first), "manager"))
    for name in ("first", "second", "third", "last"):
        FakeApi(wires, f"unix:///fake/{HOST}").create_config(name, b"")
    for address in OTHERS[: case.managers - 1] if case.off else ():
        swarm.stop(swarm.machines[address].name)
    if case.lost is not None:
        swarm.damage("manager-a", lost=case.lost)
    for _ in range(3):
        swarm.pass_time()
    wires.begin()
    return first


def no_key() -> UnlockKey:
    raise AssertionError("no key is needed")


def target() -> Target:
    return Target(HOST, Ssh(private_key_file=Path("key"), known_hosts_file=Path("hosts")))


def look() -> tuple[Single, Plan]:
    with reached(target(), no_key, say=lambda _: None) as rescuer:
        return rescuer.look()


def rescue(consent: str) -> None:
    """What `requorum rescue --plan` does. Raises: as it does; Refused if the plan is another."""
    with reached(target(), no_key, say=lambda _: None) as rescuer:
        seen, plan = rescuer.look()
        if not plan.steps and not plan.refusal:
            return
        assert not plan.refusal, plan.refusal
        assert plan.id in ("", consent), "the consent covers the plan of an interrupted run"
        rescuer.carry_out(seen, plan)


def require_back(wires: Wires, first: Machine, case: Ailing) -> None:
    swarm = wires.swarm
    assert not swarm.violations
    assert len(swarm.founded) == 1, "no second swarm was founded"
    assert swarm.lives() is first
    assert first.directory
    assert (first.directory.cluster_id, first.directory.repaired) == (swarm.founded[0], "")
    assert "config-first" in swarm.state_of(first).configs
    assert first.kept, "a safety copy is kept"
    assert look()[1] == Plan(look()[1].kind, swarm.founded[0]), "nothing is left to do"


RESCUED = [
    Ailing(1, 2),
    Ailing(1, 1),
    Ailing(3, 2),
    Ailing(3),
    Ailing(2, 1),
]


@pytest.mark.parametrize("case", RESCUED, ids=str)
def test_one_manager_is_brought_back_by_the_plans_id(wires: Wires, case: Ailing) -> None:
    first = stage(wires, case)
    seen, plan = look()
    assert (plan.cut is not None) is (case.lost is not None)
    assert plan.without == OTHERS[: case.managers - 1]
    assert seen.report.node.address.exploded == HOST, "its files tell its address"
    assert (Action.REPAIR in {step.action for step in plan.steps}) is (case.lost is not None)
    rescue(plan.id)
    require_back(wires, first, case)


@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize("case", RESCUED[:4], ids=str)
def test_interrupted_at_any_effect_it_converges_under_the_same_consent(
    wires: Wires, points: Iterator[int], case: Ailing, moment: Moment
) -> None:
    for at in points:
        first = stage(wires, case)
        consent = look()[1].id
        wires.begin(Strike(at, moment))
        with suppress(Killed, RequorumError):
            rescue(consent)
        met = len(wires.effects) >= at
        wires.begin()
        for _ in range(TRIES):
            wires.swarm.pass_time()
            with suppress(RequorumError):
                rescue(consent)
        require_back(wires, first, case)
        if not met:
            break
    assert at > 2, "a rescue has effects"


@pytest.mark.parametrize("case", RESCUED, ids=str)
def test_a_look_leaves_the_swarm_directory_as_it_is(wires: Wires, case: Ailing) -> None:
    first = stage(wires, case)
    before = first.directory
    plan = look()[1]
    assert plan.id
    assert first.directory == before
    assert set(wires.effects) <= {"manager-a: keep a safety copy"}
    assert look()[1].id == plan.id, "two looks show one plan"
    assert len(first.kept) == (case.lost is not None), "an unchanged directory is kept once"


def test_a_healthy_manager_stays_as_it_is(wires: Wires) -> None:
    stage(wires, Ailing())
    _, plan = look()
    assert (plan.steps, plan.refusal) == ((), None)
    assert not wires.effects


@pytest.mark.parametrize(
    ("case", "code"),
    [
        (Ailing(3, 2, off=False), "manager-answers"),
        (Ailing(1, NOTHING_GOOD), "log-unreadable"),
    ],
    ids=str,
)
def test_what_cannot_be_rescued_is_refused(wires: Wires, case: Ailing, code: str) -> None:
    first = stage(wires, case)
    before = first.directory
    _, plan = look()
    assert plan.refusal
    assert (plan.refusal.code, plan.steps) == (code, ())
    assert first.directory == before


def test_a_host_without_a_log_is_told_where_it_may_be(wires: Wires) -> None:
    first = stage(wires, Ailing())
    wires.swarm.leave(first)
    refusal = look()[1].refusal
    assert refusal
    assert refusal.code == "no-log"


def test_a_full_disk_comes_first(wires: Wires) -> None:
    first = stage(wires, Ailing(1, 2))
    first.full = True
    seen, plan = look()
    assert plan.refusal
    assert plan.refusal.code == "disk-full"
    assert "journalctl --vacuum-size" in seen.report.full
    assert not wires.effects, "nothing is copied to a full disk"


def test_a_manager_that_comes_back_before_the_force_stops_it(wires: Wires) -> None:
    first = stage(wires, Ailing(3))
    with reached(target(), no_key, say=lambda _: None) as rescuer:
        seen, plan = rescuer.look()
        wires.swarm.start("manager-b")
        with pytest.raises(Refused, match="code: plan-outdated"):
            rescuer.carry_out(seen, plan)
    assert len(wires.swarm.founded) == 1
    assert first.state is LocalState.ACTIVE


def test_a_manager_that_somebody_else_rescued_meanwhile_is_not_forced_again(wires: Wires) -> None:
    first = stage(wires, Ailing(3))
    with reached(target(), no_key, say=lambda _: None) as rescuer:
        seen, plan = rescuer.look()
        rescue(plan.id)
        before = first.directory
        with pytest.raises(Refused, match="code: plan-outdated"):
            rescuer.carry_out(seen, plan)
    assert first.directory == before


@pytest.mark.parametrize("lost", [1, 2])
def test_nor_is_a_log_repaired_that_goes_on(wires: Wires, lost: int) -> None:
    first = stage(wires, Ailing(1, lost))
    with reached(target(), no_key, say=lambda _: None) as rescuer:
        seen, plan = rescuer.look()
        rescue(plan.id)
        before = first.directory
        with pytest.raises(Refused, match="code: plan-outdated"):
            rescuer.carry_out(seen, plan)
    assert first.directory == before


def test_the_id_covers_the_log_its_end_and_who_is_missing(wires: Wires) -> None:
    ids = set()
    for case in (Ailing(1, 2), Ailing(1, 1), Ailing(3, 2), Ailing(2, 2), Ailing(3)):
        stage(wires, case)
        plan = look()[1]
        ids |= {plan.id, replace(plan, cut="another end").id}
    assert len(ids) == 10
