"""Clocks that differ by less than anybody notices do not decide which changes are given up."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from recovery.cluster import Cluster
from recovery.copies import snapshot
from recovery.copies.copy import Copy
from recovery.copies.taking import take_one, take_safety
from recovery.errors import Refused
from recovery.operations.assess import assess
from recovery.planning.diagnosis import Kind
from recovery.spans import SKEW
from recovery.swarm.model import LocalState
from tests.fake.cases import Case, Scene, Theatre, names
from tests.fake.machine import Cut
from tests.replay.recovering import recover

AHEAD = SKEW - timedelta(minutes=1)
LATER = "committed later"


def copied(scene: Scene, name: str, ahead: timedelta = timedelta()) -> Copy:
    """A copy of a manager whose clock is ahead by so much."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + ahead

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshot, "datetime", Clock)
        return take_one(Cluster(scene.settings).catalog(), scene.settings, scene.settings.node(name))[0]


def apart(theatre: Theatre) -> tuple[Scene, Copy, Copy]:
    """The clock of manager-b is ahead. It is copied and cut off, the others go on and are copied, and then these are lost."""
    scene, swarm = theatre.stage(Case(3, frozenset())), theatre.wires.swarm
    early = copied(scene, "manager-b", AHEAD)
    swarm.cut("manager-b", Cut.EVERYBODY)
    for _ in range(3):
        swarm.pass_time()
    theatre.write(LATER)
    theatre.write("next")
    late = copied(scene, "manager-a")
    assert late.taken < early.taken, "by their clocks"
    swarm.cut("manager-b", Cut.NOBODY)
    lose(theatre, "manager-a", "manager-c")
    return scene, early, late


def lose(theatre: Theatre, *names: str) -> None:
    for name in names:
        machine = theatre.wires.swarm.named(name)
        machine.directory, machine.state = None, LocalState.INACTIVE
    for _ in range(3):
        theatre.wires.swarm.pass_time()
    theatre.wires.begin()


def test_only_the_plans_id_consents_to_lose_what_a_copy_holds_that_is_older_by_its_clock(theatre: Theatre) -> None:
    scene, _, late = apart(theatre)
    flagged = scene.settings.model_copy(update={"recover": True})
    plan = assess(Cluster(flagged), typed=True).plan
    assert plan.survivor == "manager-b"
    assert plan.ahead == late.name
    assert plan.refusal
    assert plan.refusal.code == "consent-needed"
    assert plan.agreed().refusal, "no other word will do"
    with pytest.raises(Refused):
        assess(Cluster(flagged), typed=True).require_safe(flagged)
    assert not theatre.wires.effects
    recover(scene.settings)  # by its ID
    assert assess(Cluster(scene.settings)).diagnosis.kind is Kind.HEALTHY


def test_what_was_given_up_is_not_ahead_of_the_swarm_that_was_forced(theatre: Theatre) -> None:
    scene, *_ = apart(theatre)
    recover(scene.settings)
    for _ in range(3):
        theatre.wires.swarm.pass_time()
    lose(theatre, "manager-a", "manager-c")
    plan = assess(Cluster(scene.settings)).plan
    assert (plan.kind, plan.survivor, plan.ahead) == (Kind.QUORUM_LOST, "manager-b", None)


def test_a_restore_takes_the_copy_that_holds_most_and_not_that_of_the_clock_that_is_ahead(theatre: Theatre) -> None:
    scene, _, late = apart(theatre)
    lose(theatre, "manager-b")
    assert assess(Cluster(scene.settings)).plan.copy == late.name
    recover(scene.settings)
    leader = theatre.wires.swarm.lives()
    assert leader
    assert f"config-{LATER}" in theatre.wires.swarm.state_of(leader).configs
    assert not theatre.wires.swarm.violations


def test_a_safety_copy_hides_no_copy_of_its_manager(theatre: Theatre) -> None:
    """Two of three managers are away from the third, which is copied before and after its quorum is lost. Then all are lost."""
    scene, swarm = theatre.stage(Case(3, frozenset())), theatre.wires.swarm
    copied(scene, "manager-b", AHEAD)
    swarm.cut("manager-b", Cut.EVERYBODY)
    for _ in range(3):
        swarm.pass_time()
    theatre.write(LATER)
    theatre.write("next")
    late = copied(scene, "manager-a")
    lose(theatre, "manager-c")
    with Cluster(scene.settings).shell(scene.settings.node("manager-a")) as shell:
        take_safety(Cluster(scene.settings).store, scene.settings, shell)
    swarm.cut("manager-b", Cut.NOBODY)
    lose(theatre, "manager-a")
    plan = assess(Cluster(scene.settings)).plan
    assert (plan.survivor, plan.ahead) == ("manager-b", late.name)
    lose(theatre, "manager-b")
    assert assess(Cluster(scene.settings)).plan.copy == late.name


def test_what_a_restore_gave_up_is_not_restored_at_the_next_loss(theatre: Theatre) -> None:
    """The copies that were given up are of a later term than the one that the operator chose, and their logs are longer."""
    scene, swarm = theatre.stage(Case(3, frozenset())), theatre.wires.swarm
    chosen = copied(scene, "manager-a")
    for _ in range(3):
        swarm.reboot()
        swarm.pass_time()
    for number in range(20):
        theatre.write(f"given up {number}")
    for name in names(3):
        copied(scene, name)
    lose(theatre, *names(3))
    recover(scene.settings.model_copy(update={"copy_from": chosen.name}))
    before = {copy.name for copy in Cluster(scene.settings).catalog().copies if copy.taken <= chosen.taken}
    given_up = {copy.name for copy in Cluster(scene.settings).catalog().copies[3:]} - before - {chosen.name}
    assert len(given_up) == 3
    for _ in range(3):
        swarm.pass_time()
    lose(theatre, *names(3))
    plan = assess(Cluster(scene.settings)).plan
    assert plan.copy
    assert plan.copy not in given_up | before
