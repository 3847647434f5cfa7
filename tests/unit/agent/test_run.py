"""A round of the agent: what it leaves in each case."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from time import time
from typing import Any

import pytest

from recovery.agent import order as agent_order
from recovery.agent import run as agent_run
from recovery.agent import run as rounds
from recovery.agent import state as states
from recovery.agent.run import DUE
from recovery.agent.state import AGAIN, DONE, FAILED, State
from recovery.copies import snapshot, storing
from recovery.copies.manifest import Manifest, Verdict
from recovery.errors import CommandFailed
from recovery.onnode import api
from recovery.s3 import lease
from recovery.s3 import site as s3_site
from tests.unit.agent.world import FIRST, PREFIX, SECOND, World, of_copies, refused


def test_a_change_is_copied_stored_and_noted(world: World) -> None:
    assert world.run() == DONE
    assert of_copies(world.stored()) == ["manifest.json", "zst.age"]
    noted = json.loads(world.bucket.Object(f"{PREFIX}agent/mark.json").get()["Body"].read())
    assert noted["fingerprint"] == world.state.fingerprint != ""
    assert not world.waiting
    assert world.state.failure == ""
    assert world.state.proven == world.state.taken > 0


def test_when_nothing_changed_s3_is_not_even_asked(world: World) -> None:
    assert world.run() == DONE
    with world.without_s3():
        assert world.run() == DONE
    assert world.taken == 1


def test_a_copy_that_is_due_is_taken_though_nothing_changed(world: World) -> None:
    world.run()
    (world.folder / DUE).touch()
    assert world.run() == DONE
    assert world.taken == 2
    assert world.run() == DONE
    assert world.taken == 2


def test_without_s3_a_copy_waits_and_is_stored_once(world: World) -> None:
    with world.without_s3():
        assert world.run() == AGAIN
        assert world.run() == AGAIN
    assert (world.taken, len(world.waiting)) == (1, 1)
    assert "cannot be reached" in world.state.failure
    assert world.run() == DONE
    assert (world.taken, len(world.waiting), world.state.failure) == (1, 0, "")
    assert of_copies(world.stored()) == ["manifest.json", "zst.age"]


def test_without_s3_only_the_first_copies_and_whoever_is_due(world: World) -> None:
    world.node = SECOND
    with world.without_s3():
        assert world.run() == AGAIN
        assert world.taken == 0
        (world.folder / DUE).touch()
        assert world.run() == AGAIN
    assert world.taken == 1


def test_another_manager_waits_for_the_first_and_copies_when_that_does_not(world: World) -> None:
    world.run()
    world.version, world.node, before = 2, SECOND, world.state
    world.state = State()
    assert world.run() == AGAIN, "a copy has come since it last looked"
    assert world.taken == 1
    assert world.run() == DONE
    assert world.taken == 2
    assert world.state.fingerprint != before.fingerprint


def test_what_another_manager_copied_is_known(world: World) -> None:
    world.run()
    world.node, world.state = SECOND, State()
    assert world.run() == DONE
    assert world.taken == 1
    assert world.state.fingerprint


def test_while_another_copies_it_is_tried_again_later(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease.Leases, "hold", refused)
    assert world.run() == AGAIN
    assert (world.taken, world.state.failure) == (0, "")


def test_a_copy_that_is_not_proven_is_stored_and_not_noted(world: World) -> None:
    world.verdict = Verdict.FAILED
    assert world.run() == AGAIN
    assert of_copies(world.stored()) == ["manifest.json", "zst.age"]
    assert "agent/mark.json" not in world.stored()
    assert "FAILED its proof" in world.state.failure


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.UNPROVEN])
def test_what_is_not_proven_is_tried_again_less_and_less_often(world: World, verdict: Verdict) -> None:
    world.verdict = verdict
    for tries in (1, 2, 3):
        world.run()
        assert world.run() == AGAIN
        assert world.taken == world.state.tries == tries, "not before its time, however often it is woken"
        world.later(agent_order.pause(tries))
    world.change()
    world.run()
    assert (world.taken, world.state.tries) == (4, 1), "what is new is tried at once"
    (world.folder / DUE).touch()
    world.run()
    assert world.taken == 5, "and so is what is due"
    world.verdict = Verdict.PROVEN
    world.later(agent_order.pause(9))
    assert world.run() == DONE
    assert (world.taken, world.state.failure) == (6, "")


def test_what_is_not_proven_without_s3_is_not_tried_on_and_on_either(world: World) -> None:
    world.verdict = Verdict.UNPROVEN
    with world.without_s3():
        for _ in range(3):
            assert world.run() == AGAIN
    assert world.taken == 1


def test_a_copy_that_breaks_off_is_not_tried_on_and_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    (world.folder / DUE).touch()
    tries = []

    def broken(*_: object, **__: object) -> None:
        tries.append(1)
        raise CommandFailed("taking a copy", "no memory", remedy="wait", node="manager-a")

    monkeypatch.setattr(snapshot, "take", broken)
    assert world.run() == FAILED
    assert world.run() == AGAIN
    assert len(tries) == 1
    assert "no memory" in world.state.failure, "a round that only waits does not make good for it"
    monkeypatch.setattr(snapshot, "take", world.take)
    world.later(agent_order.pause(1))
    assert world.run() == DONE
    assert world.state.failure == ""


@pytest.mark.parametrize("broken", [False, True], ids=["not proven", "broken off"])
def test_a_try_that_took_long_is_followed_by_a_rest_too(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    clock, tries = [time()], list[float]()

    def take(*args: Any, **named: Any) -> Manifest:
        clock[0] += 100.0
        tries.append(clock[0])
        if broken:
            raise CommandFailed("taking a copy", "no end within 100 s", remedy="wait", node="manager-a")
        return world.take(*args, **named)

    for module in (rounds, states):
        monkeypatch.setattr(module, "time", lambda: clock[0])
    monkeypatch.setattr(snapshot, "take", take)
    world.verdict = Verdict.UNPROVEN
    world.run()
    clock[0] += agent_order.pause(1) - 1
    assert world.run() == AGAIN
    assert len(tries) == 1
    clock[0] += 1
    world.run()
    assert len(tries) == 2


def test_while_it_rests_another_managers_copy_will_do(world: World) -> None:
    world.verdict = Verdict.UNPROVEN
    world.run()
    failed = world.state
    world.verdict, world.node, world.state = Verdict.PROVEN, SECOND, State()
    world.run()
    world.node, world.state = FIRST, failed
    assert world.run() == DONE
    assert world.taken == 2
    assert "could not prove" in world.state.failure, "its own copies are still not proven"


def leaderless(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: object) -> None:
        raise api.Refused("the swarm does not have a leader")

    monkeypatch.setattr(api, "holdings", refused)


def test_without_a_leader_nothing_is_copied_and_what_waits_is_stored(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world.without_s3():
        world.run()
    leaderless(monkeypatch)
    assert world.run() == FAILED
    assert (world.taken, len(world.waiting)) == (1, 0)
    assert of_copies(world.stored()) == ["manifest.json", "zst.age"]
    assert "does not have a leader" in world.state.failure
    assert world.state.faults["engine"].endswith("code: engine-refused")
    assert world.run() == FAILED


def test_while_a_restore_is_not_proven_nothing_is_copied(world: World) -> None:
    (world.data / "swarm").mkdir(parents=True)
    (world.data / "swarm" / ".requorum").write_text("swarm-copy")
    assert world.run() == FAILED
    assert world.taken == 0
    assert world.state.faults["engine"].endswith("code: recovery-under-way")


def test_what_changes_while_a_copy_is_taken_is_copied_in_the_same_run(world: World) -> None:
    world.meanwhile = [world.change, world.change]
    assert world.run() == DONE
    assert world.taken == 3


def test_who_gets_no_turn_for_long_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(lease.Leases, "hold", refused)
        assert world.run() == AGAIN
        world.state = replace(world.state, refused=world.state.refused - rounds.REFUSED_SECONDS)
        assert world.run() == AGAIN
        assert "manager-b is still at it" in world.state.failure
    assert world.run() == DONE
    assert (world.state.failure, world.state.refused) == ("", 0.0)


def test_a_failed_due_copy_stays_a_fault_until_a_copy_is_proven(world: World) -> None:
    world.run()
    world.verdict = Verdict.FAILED
    (world.folder / DUE).touch()
    world.run()
    assert world.run() == DONE, "nothing has changed"
    assert "FAILED its proof" in world.state.failure
    world.verdict = Verdict.PROVEN
    (world.folder / DUE).touch()
    world.run()
    assert world.state.failure == ""


def test_a_clock_that_is_wrong_is_told_until_it_is_set(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time that a copy bears is this clock's, and which copy is the newest goes by that."""
    wrong = timedelta(minutes=6)
    monkeypatch.setattr(s3_site, "skew", lambda _, __: wrong)
    assert world.run() == DONE
    assert "this machine's clock is 360 s ahead of the main site's" in world.state.failure
    wrong, world.version = -wrong, world.version + 1
    assert world.run() == DONE
    assert "this machine's clock is 360 s behind the main site's" in world.state.failure
    wrong, world.version = timedelta(minutes=4), world.version + 1
    assert world.run() == DONE
    assert not world.state.failure


def test_the_newest_copy_is_stored_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with world.without_s3():
        world.run()
        world.version = 2
        world.run()
    sent: list[datetime] = []
    real = storing.write

    def write(*given: Any) -> None:
        sent.append(given[2].taken)
        real(*given)

    monkeypatch.setattr(agent_run, "write", write)
    assert world.run() == DONE
    assert sent == sorted(sent, reverse=True)
    assert len(sent) == 2
    assert sent[0] - sent[1] < timedelta(minutes=1)
