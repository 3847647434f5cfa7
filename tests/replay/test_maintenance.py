"""A node in maintenance stays drained through updates and losses, and gets back what it had: on the fake swarm."""

from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from datetime import timedelta

import pytest

from recovery.cluster import Cluster
from recovery.errors import Refused, RequorumError
from recovery.node.engine import Engine
from recovery.operations import lifecycle, maintenance
from recovery.settings import Settings, parse
from recovery.swarm.maintenance import NOTE, Maintenance
from recovery.swarm.placing import Load
from tests.edits.files import Base, Raw, State
from tests.edits.trial import Stage, node_ids, stage
from tests.fake.cases import Case, Theatre, quiet
from tests.fake.raft import Entry
from tests.fake.stack import Stack
from tests.fake.wires import Killed, Moment, Strike, wired
from tests.unit import factories as make

WORKER = "one"


@pytest.fixture(scope="module")
def theatre() -> Iterator[Stage]:
    with stage() as made:
        yield made


def entry_at(theatre: Stage | Theatre, address: str) -> Entry:
    leader = theatre.wires.swarm.lives()
    assert leader
    entries = theatre.wires.swarm.state_of(leader).nodes.values()
    return next(entry for entry in entries if entry.address == address)


def drained(theatre: Stage, availability: str | None) -> tuple[Stack, Raw, Settings, str]:
    """A stack whose first worker is in maintenance, and was ``availability`` before by the stack file, if that names one."""
    picture = theatre.build(Base.NAMED)
    stack, raw = theatre.lose(picture, State.HEALTHY), deepcopy(dict(picture.file.values))
    if availability:
        raw["workers"][0]["availability"] = availability
        assert not stack.up(raw).failure
    settings = parse(raw)
    kept = maintenance.drain(Cluster(settings), settings.node(WORKER), None, say=quiet)
    assert kept.before == (availability or "active")
    return stack, raw, settings, raw["workers"][0]["address"]


@pytest.mark.parametrize("availability", [None, "active", "pause"])
def test_an_update_leaves_a_maintenance_alone_and_says_so(theatre: Stage, availability: str | None) -> None:
    stack, raw, settings, address = drained(theatre, availability)
    shown = stack.preview(raw)
    assert any(f"{WORKER} is in maintenance" in line for line in shown.log), shown.log
    done = stack.up(raw)
    assert (done.failure, done.operations, done.effects) == ("", [], [])
    assert entry_at(theatre, address).availability == "drain"
    maintenance.undrain(Cluster(settings), settings.node(WORKER), say=quiet)
    entry = entry_at(theatre, address)
    assert (entry.availability, NOTE in entry.labels) == (availability or "active", False)
    again = stack.up(raw)
    assert (again.failure, again.operations) == ("", [])


@pytest.mark.parametrize("state", [State.ONE_LOST, State.QUORUM_LOST, State.ALL_LOST])
def test_a_recovery_keeps_the_maintenance(theatre: Stage, state: State) -> None:
    _, raw, settings, address = drained(theatre, "active")
    lifecycle.fresh_copies(Cluster(settings), say=quiet)
    swarm, before = theatre.wires.swarm, node_ids(theatre.wires.swarm)
    managers = [node["address"] for node in raw["managers"]]
    for at in managers[: {State.ONE_LOST: 1, State.QUORUM_LOST: 2, State.ALL_LOST: 3}[state]]:
        name = swarm.machines[at].name
        swarm.lose(name)
        swarm.make(name, at)
    for _ in range(3):
        swarm.pass_time()
    stack = Stack(theatre.wires, theatre.build(Base.NAMED).state)
    done = stack.up(raw, consent=True)
    assert not done.failure
    for _ in range(3):
        swarm.pass_time()
    entry = entry_at(theatre, address)
    assert (entry.availability, entry.labels[NOTE]) == ("drain", "active")
    assert node_ids(swarm) == before
    assert not swarm.violations


def test_a_machine_that_is_replaced_is_drained_too(theatre: Stage) -> None:
    stack, raw, settings, address = drained(theatre, "active")
    before, name = entry_at(theatre, address), theatre.wires.swarm.machines[address].name
    theatre.wires.swarm.lose(name)
    theatre.wires.swarm.make(name, address)
    assert not stack.up(raw).failure
    entry = entry_at(theatre, address)
    assert entry.node_id != before.node_id
    assert (entry.availability, entry.labels[NOTE]) == ("drain", "active")
    maintenance.undrain(Cluster(settings), settings.node(WORKER), say=quiet)
    assert entry_at(theatre, address).availability == "active"


def test_a_second_drain_keeps_the_first_note_and_changes_the_end(theatre: Stage) -> None:
    _, _, settings, address = drained(theatre, None)
    node, end = settings.node(WORKER), make.NOW + timedelta(days=9999)
    for given, known in ((end, end), (None, end)):
        assert maintenance.drain(Cluster(settings), node, given, say=quiet) == Maintenance("active", known)
    assert entry_at(theatre, address).availability == "drain"
    assert maintenance.undrain(Cluster(settings), node, say=quiet) == Maintenance("active", end)
    assert maintenance.undrain(Cluster(settings), node, say=quiet) is None
    assert entry_at(theatre, address).availability == "active"


@pytest.mark.parametrize("moment", Moment)
def test_a_drain_that_is_killed_has_drained_and_noted_or_neither(moment: Moment) -> None:
    with wired() as wires:
        theatre = Theatre(wires)
        scene = theatre.stage(Case(3, frozenset()))
        node = scene.settings.node("worker-1")
        struck = 0
        for at in range(1, 9):
            wires.begin(Strike(at, moment))
            with suppress(Killed, RequorumError):
                maintenance.drain(Cluster(scene.settings), node, None, say=quiet)
            struck += len(wires.effects) >= at
            wires.begin()
            entry = entry_at(theatre, str(node.address))
            assert (entry.availability == "drain") == (NOTE in entry.labels)
        assert struck
        assert maintenance.undrain(Cluster(scene.settings), node, say=quiet) == Maintenance("active")


def test_a_drain_without_a_place_for_tasks_changes_nothing(theatre: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = theatre.build(Base.NAMED)
    theatre.lose(picture, State.HEALTHY)
    settings = parse(picture.file.values)
    monkeypatch.setattr(Engine, "load", lambda _: Load())
    monkeypatch.setattr(maintenance, "without_place", lambda *_: {"db": "no other node meets node.labels.disk==ssd"})
    before = len(theatre.wires.effects)
    with pytest.raises(Refused) as refused:
        maintenance.drain(Cluster(settings), settings.node(WORKER), None, say=quiet)
    assert refused.value.code == "no-place-for-tasks"
    assert "db (no other node meets node.labels.disk==ssd)" in refused.value.why
    assert len(theatre.wires.effects) == before
