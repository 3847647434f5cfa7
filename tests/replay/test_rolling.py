"""Walks over all nodes on the fake swarm, whose rules say when a node may go away. They are interrupted after every effect."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import count

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as given_settings
from hypothesis import strategies as st

from recovery.cluster import Cluster
from recovery.errors import RequorumError
from recovery.node.engine import Engine as NodeEngine
from recovery.operations import fence, rolling, upgrade, walks
from recovery.operations.assess import assess
from recovery.operations.recover import recover_all
from recovery.operations.rolling import Act
from recovery.planning.record import NOTHING
from recovery.planning.rolling import Walk
from recovery.progress import Say
from recovery.settings import Engine, Settings
from recovery.steps import lending, member
from recovery.steps.run import Run
from recovery.swarm import drained, walk_mark
from recovery.swarm.entries import Member
from recovery.swarm.machines import Node
from tests.fake.cases import Case, Scene, Theatre, quiet
from tests.fake.machine import Machine
from tests.fake.raft import Entry, State
from tests.fake.wires import Killed, Moment, Strike

COMMAND = ("sync", "now")
VERBS = ("reboot", "run", "upgrade")
UPGRADED = {"version": "28.0", "command": "install 28.0.4"}
"""The fake's engines tell the last word of the command as their version."""


def walk_of(verb: str, cluster: Cluster, *, batch: int = 1, without_quorum: bool = False) -> tuple[Walk, Act]:
    if verb == "reboot":
        return walks.reboot_walk(batch, without_quorum=without_quorum), walks.reboot(cluster, say=quiet)
    if verb == "upgrade":
        walk = upgrade.upgrade_walk(cluster, batch, without_quorum=without_quorum)
        return walk, upgrade.upgrade(cluster, walk, update=lambda: 1, heard=quiet, say=quiet)
    walk = walks.run_walk(COMMAND, batch, without_quorum=without_quorum)
    return walk, walks.run(cluster, COMMAND, walk, heard=quiet, say=quiet)


def entries(theatre: Theatre) -> dict[str, Entry]:
    leader = theatre.wires.swarm.lives()
    assert leader
    return {entry.hostname: entry for entry in theatre.wires.swarm.state_of(leader).nodes.values()}


def shape(theatre: Theatre, **availabilities: str) -> None:
    """Give nodes another availability, and each of them two tasks."""
    leader = theatre.wires.swarm.lives()
    assert leader
    for name, availability in availabilities.items():
        entry = entries(theatre)[name.replace("_", "-")]
        theatre.wires.swarm.change(leader, partial(_with, replace(entry, availability=availability)))
    for entry in entries(theatre).values():
        theatre.wires.swarm.named(entry.hostname).tasks = 0 if entry.availability == "drain" else 2
    theatre.wires.begin()


def _with(entry: Entry, state: State, index: int) -> State:
    return state.with_node(entry, index)


def kept(theatre: Theatre) -> dict[str, tuple[str, dict[str, str]]]:
    """What a walk must not have changed in the end."""
    return {name: (entry.availability, dict(entry.labels)) for name, entry in entries(theatre).items()}


def machines(theatre: Theatre) -> Iterator[Machine]:
    yield from theatre.wires.swarm.machines.values()


def times(verb: str, machine: Machine) -> int:
    """How often a machine was taken."""
    return machine.boots - 1 if verb == "reboot" else len(machine.ran)


def walked(settings: Settings, verb: str, *, batch: int = 1, without_quorum: bool = False) -> tuple[str, ...]:
    cluster = Cluster(settings.model_copy(update={"engine": Engine.model_validate(UPGRADED)}))
    walk, act = walk_of(verb, cluster, batch=batch, without_quorum=without_quorum)
    return rolling.carry_out(cluster, walk, act, say=quiet)


def healthy(theatre: Theatre, managers: int = 3) -> Scene:
    scene = theatre.stage(Case(managers, frozenset()))
    shape(theatre)
    return scene


@pytest.mark.parametrize("verb", VERBS)
def test_every_node_is_taken_once_workers_first_and_the_leader_last(theatre: Theatre, verb: str) -> None:
    scene = healthy(theatre)
    shape(theatre, worker_1="pause", manager_b="active")
    before, leader = kept(theatre), theatre.wires.swarm.lives()
    assert leader
    taken = walked(scene.settings, verb)
    theatre.wires.swarm.pass_time()
    assert taken[0] == "worker-1"
    assert taken[-1] == leader.name
    assert len(taken) == len(set(taken)) == 4
    assert {times(verb, machine) for machine in machines(theatre)} == {1}
    assert kept(theatre) == before
    assert not theatre.wires.swarm.violations


@pytest.mark.parametrize("verb", VERBS)
def test_a_walk_that_is_killed_goes_on_and_takes_nobody_twice(
    theatre: Theatre, verb: str, points: Iterator[int]
) -> None:
    for at in points:
        scene = healthy(theatre)
        before = kept(theatre)
        theatre.wires.begin(Strike(at, Moment.KILLED))
        with suppress(Killed):
            walked(scene.settings, verb)
        struck = len(theatre.wires.effects) == at
        theatre.wires.begin()
        for _ in range(5):
            theatre.wires.swarm.pass_time()
        if not struck or (kept(theatre) == before and all(times(verb, machine) for machine in machines(theatre))):
            return  # it has ended
        walked(scene.settings, verb)
        most = 2 if verb == "run" else 1
        assert all(1 <= times(verb, machine) <= most for machine in machines(theatre))
        assert kept(theatre) == before
        assert not theatre.wires.swarm.violations


@given(
    managers=st.sampled_from((3, 5)),
    verb=st.sampled_from(VERBS),
    availability=st.sampled_from(("active", "pause", "drain")),
    strikes=st.lists(st.builds(Strike, st.integers(1, 40), st.sampled_from(Moment)), max_size=4),
)
@given_settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_interrupts_it_the_walk_ends_with_every_node_as_before(
    theatre: Theatre, managers: int, verb: str, availability: str, strikes: list[Strike]
) -> None:
    scene = theatre.stage(Case(managers, frozenset()))
    shape(theatre, worker_1=availability, manager_a="active")
    before = kept(theatre)
    for strike in strikes:
        theatre.wires.begin(strike)
        with suppress(Killed, RequorumError):
            walked(scene.settings, verb)
        theatre.wires.begin()
        for _ in range(5):
            theatre.wires.swarm.pass_time()
    walked(scene.settings, verb)
    for _ in range(5):
        theatre.wires.swarm.pass_time()
    assert all(times(verb, machine) >= 1 for machine in machines(theatre))
    assert kept(theatre) == before
    assert not theatre.wires.swarm.violations


def test_a_manager_that_the_quorum_needs_is_taken_only_if_that_is_accepted(theatre: Theatre) -> None:
    scene = healthy(theatre, managers=1)
    with pytest.raises(RequorumError) as refused:
        walked(scene.settings, "reboot")
    assert refused.value.code == "quorum-at-risk"
    assert theatre.wires.swarm.named("manager-a").boots == 1
    walked(scene.settings, "reboot", without_quorum=True)
    assert [machine.boots for machine in machines(theatre)] == [2, 2]


def test_nothing_is_taken_while_a_node_is_not_well(theatre: Theatre) -> None:
    scene = theatre.stage(Case(3, frozenset({"manager-b"})))
    shape(theatre)
    with pytest.raises(RequorumError) as refused:
        walked(scene.settings, "reboot")
    assert refused.value.code == "node-unwell"
    assert not theatre.wires.effects


def test_a_command_that_fails_stops_the_walk_and_the_node_stays_drained(theatre: Theatre) -> None:
    scene = healthy(theatre)
    cluster, argv = Cluster(scene.settings), ("false",)
    walk, heard = walks.run_walk(argv, 1, without_quorum=False), list[str]()
    with pytest.raises(RequorumError) as failed:
        rolling.carry_out(cluster, walk, walks.run(cluster, argv, walk, heard=heard.append, say=quiet), say=quiet)
    assert (failed.value.code, failed.value.node) == ("command-failed", "worker-1")
    assert failed.value.remedy.endswith("requorum run --rolling false")
    assert heard == ["worker-1: no"]
    assert entries(theatre)["worker-1"].availability == "drain"
    assert [name for name, machine in theatre.wires.swarm.machines.items() if machine.ran] == ["10.77.1.41"]


def test_another_walk_ends_the_one_of_before_and_gives_back_what_it_has_taken(theatre: Theatre) -> None:
    scene = healthy(theatre)
    before = kept(theatre)
    cluster, argv = Cluster(scene.settings), ("false",)
    walk = walks.run_walk(argv, 1, without_quorum=False)
    with suppress(RequorumError):
        rolling.carry_out(cluster, walk, walks.run(cluster, argv, walk, heard=quiet, say=quiet), say=quiet)
    labels = entries(theatre)["worker-1"].labels
    assert labels[drained.NOTE] == "active"
    assert labels[walk_mark.LABEL].startswith(walk.name)
    walked(scene.settings, "reboot")
    assert kept(theatre) == before


def test_a_manager_is_not_taken_if_another_one_goes_while_its_tasks_end(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = theatre.stage(Case(3, frozenset()))
    shape(theatre, manager_a="active", manager_b="active", manager_c="active")
    swarm, wait = theatre.wires.swarm, lending.await_empty
    leader = swarm.lives()
    assert leader
    other = next(name for name in ("manager-c", "manager-b") if name != leader.name)

    def meanwhile(engine: NodeEngine, entry: Member, doing: str, *, say: Say) -> None:
        wait(engine, entry, doing, say=say)
        if entry.hostname not in ("worker-1", other):
            swarm.stop(other)

    monkeypatch.setattr(lending, "await_empty", meanwhile)
    with pytest.raises(RequorumError) as refused:
        walked(scene.settings, "reboot")
    assert refused.value.code == "node-unwell"
    assert refused.value.node == other
    assert not swarm.violations


def test_an_update_gives_back_what_a_walk_had_drained_and_the_walk_goes_on(theatre: Theatre) -> None:
    scene = healthy(theatre)
    before = kept(theatre)
    for at in count(1):
        theatre.wires.begin(Strike(at, Moment.KILLED))
        with suppress(Killed):
            walked(scene.settings, "reboot")
        if entries(theatre)["worker-1"].availability == "drain":
            break
    theatre.wires.begin()
    node = scene.settings.node("worker-1")
    assert "availability drain becomes active" in assess(Cluster(scene.settings)).changes.entries["worker-1"]
    member.bring_back(Run(Cluster(scene.settings), NOTHING, quiet), node)
    assert entries(theatre)["worker-1"].availability == "active"
    assert set(walked(scene.settings, "reboot")) == {machine.name for machine in machines(theatre)}
    assert kept(theatre) == before


def test_a_node_that_does_not_come_back_stops_the_walk_and_the_next_run_goes_on_with_it(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = healthy(theatre)
    before, swarm = kept(theatre), theatre.wires.swarm
    boot = type(swarm).boot_again

    def stays_off(of: object, machine: Machine) -> None:
        boot(swarm, machine)
        machine.absent = 0

    monkeypatch.setattr(type(swarm), "boot_again", stays_off)
    for code in ("node-not-back", "node-not-back"):
        with pytest.raises(RequorumError) as failed:
            walked(scene.settings, "reboot")
        assert (failed.value.code, failed.value.node) == (code, "worker-1")
        assert "requorum reboot --all" in failed.value.remedy
    monkeypatch.undo()
    swarm.start("worker-1")
    assert walked(scene.settings, "reboot")[0] == "worker-1"
    assert {machine.boots for machine in machines(theatre)} == {2}
    assert kept(theatre) == before


def test_an_upgrade_leaves_out_who_has_the_engine_and_is_no_downgrade(theatre: Theatre) -> None:
    scene = healthy(theatre)
    theatre.wires.swarm.named("manager-b").engine = "28.0.4"
    theatre.wires.swarm.named("worker-1").engine = "29.1.0"
    leader = theatre.wires.swarm.lives()
    assert leader
    taken = walked(scene.settings, "upgrade")
    assert set(taken) == {"manager-a", "manager-c"}
    assert {m.name: m.engine for m in machines(theatre)} == {
        "manager-a": "28.0.4", "manager-b": "28.0.4", "manager-c": "28.0.4", "worker-1": "29.1.0",
    }  # fmt: skip
    assert walked(scene.settings, "upgrade") == ()


def test_a_command_that_brings_another_engine_stops_the_upgrade(theatre: Theatre) -> None:
    scene = healthy(theatre)
    engine = Engine.model_validate({"version": "28.0", "command": "install 20.10.5"})
    cluster = Cluster(scene.settings.model_copy(update={"engine": engine}))
    walk = upgrade.upgrade_walk(cluster, 1, without_quorum=False)
    with pytest.raises(RequorumError) as failed:
        rolling.carry_out(cluster, walk, upgrade.upgrade(cluster, walk, lambda: 1, heard=quiet, say=quiet), say=quiet)
    assert (failed.value.code, failed.value.node) == ("engine-not-upgraded", "worker-1")
    assert "20.10.24 and is 20.10.5" in failed.value.why
    assert walked(scene.settings, "upgrade")[0] == "worker-1"


def test_machines_of_a_driver_are_replaced_one_after_the_other_under_their_identity(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = healthy(theatre)
    swarm, before = theatre.wires.swarm, theatre.wires.swarm.identities
    engine = Engine.model_validate({"version": "28.0"})
    cluster = Cluster(scene.settings.model_copy(update={"engine": engine}))
    gone: list[str] = []

    def fenced(_: Cluster, node: Node, **__: object) -> None:
        swarm.require_others(swarm.named(node.name))
        swarm.lose(node.name)
        gone.append(node.name)

    def update() -> int:
        """What `pulumi up` does."""
        (name,) = gone[-1:]
        swarm.make(name, str(scene.settings.node(name).address), marked="lab").engine = "28.0.4"
        recover_all(Cluster(scene.settings), assess(Cluster(scene.settings)), say=quiet)
        return 0

    monkeypatch.setattr(fence, "fence", fenced)
    walk = upgrade.upgrade_walk(cluster, 1, without_quorum=False)
    rolling.carry_out(cluster, walk, upgrade.upgrade(cluster, walk, update, heard=quiet, say=quiet), say=quiet)
    assert gone[0] == "worker-1"
    assert len(gone) == len(set(gone)) == 4
    assert {machine.engine for machine in machines(theatre)} == {"28.0.4"}
    now = swarm.identities
    assert {name: now[name] for name in now if name.startswith("manager")} == {
        name: before[name] for name in before if name.startswith("manager")
    }
    assert not swarm.violations
    assert not [entry for entry in entries(theatre).values() if walk_mark.LABEL in entry.labels]
