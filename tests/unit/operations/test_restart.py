"""A stand-in for a lost manager, and managers that must not be halted."""

from typing import Any

import pytest

from recovery.cluster import Cluster
from recovery.copies.escrow import Escrow
from recovery.errors import NoUnlockKey, Refused
from recovery.node.engine import Engine
from recovery.operations.promote import promote
from recovery.operations.restart import await_back, reboot, restart
from recovery.survey.nodes import stable_survey
from recovery.swarm import raft_options
from recovery.swarm.model import LocalState
from tests.fake.cases import Case, Theatre, quiet
from tests.fake.wires import wired
from tests.unit.swarm.test_key_file import unlock_key

ELECTION = 40.0
"""The clock's seconds for which nobody leads: one that hung, and an election."""


def test_a_worker_that_is_promoted_is_sent_a_short_log_and_waited_for_through_an_election(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with wired() as wires:
        scene = Theatre(wires).stage(Case(3, frozenset({"manager-c"})))
        swarm, update = wires.swarm, Engine.update_member
        go_on, noted = swarm.pass_time, list[bool]()

        def updated(engine: Engine, node_id: str, **changes: Any) -> None:
            update(engine, node_id, **changes)
            noted.append(raft_options.NOTE in engine.options()["Labels"])
            end = wires.clock + ELECTION
            swarm._leaders.clear()
            monkeypatch.setattr(swarm, "pass_time", lambda: go_on() if wires.clock > end else None)

        monkeypatch.setattr(Engine, "update_member", updated)
        promote(Cluster(scene.settings), scene.settings.node("worker-1"), say=quiet)
        leader = swarm.lives()
        assert leader
        assert "worker-1" in {machine.name for machine in swarm.followers(leader)}
        assert noted == [True]
        assert raft_options.NOTE not in swarm.state_of(leader).spec["Labels"]


@pytest.mark.parametrize("act", [restart, reboot])
def test_the_last_survivor_is_not_halted_where_only_a_recovery_brings_the_quorum_back(act: Any) -> None:
    with wired() as wires:
        scene = Theatre(wires).stage(Case(3, frozenset({"manager-a", "manager-b"})))
        done = len(wires.effects)
        with pytest.raises(Refused) as refused:
            act(Cluster(scene.settings), scene.settings.node("manager-c"), say=quiet)
        assert refused.value.code == "recover-first"
        assert refused.value.remedy.startswith("requorum plan")
        assert len(wires.effects) == done


@pytest.mark.parametrize("act", [restart, reboot])
def test_no_worker_is_halted_without_a_leader_that_starts_its_tasks_again(act: Any) -> None:
    with wired() as wires:
        scene = Theatre(wires).stage(Case(3, frozenset({"manager-a", "manager-b"})))
        done = len(wires.effects)
        with pytest.raises(Refused) as refused:
            act(Cluster(scene.settings), scene.settings.node("worker-1"), say=quiet)
        assert refused.value.code == "no-leader"
        assert len(wires.effects) == done


def test_an_engine_that_starts_locked_is_unlocked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Escrow, "opening", lambda *_, **__: unlock_key())
    with wired() as wires:
        scene = Theatre(wires).stage(Case(3, frozenset()))
        wires.swarm.named("manager-c").key = unlock_key()
        now = restart(Cluster(scene.settings), scene.settings.node("manager-c"), say=quiet)
        assert now.state is LocalState.ACTIVE
        assert wires.effects[-2:] == ["manager-c: restart its engine", "manager-c: unlock"]


def test_without_a_leader_an_engine_that_starts_locked_is_left_to_the_recovery(monkeypatch: pytest.MonkeyPatch) -> None:
    """One key is not enough there."""
    monkeypatch.setattr(Escrow, "opening", lambda *_, **__: unlock_key())
    with wired() as wires:
        scene = Theatre(wires).stage(Case(3, frozenset({"manager-b", "manager-c"})))
        cluster, node = Cluster(scene.settings), scene.settings.node("manager-a")
        before = stable_survey(cluster)
        wires.swarm.named("manager-a").state = LocalState.LOCKED
        now = await_back(cluster, node, before, "restarting the engine", 1.0, say=quiet)
        assert now.state is LocalState.LOCKED
        assert "manager-a: unlock" not in wires.effects


@pytest.mark.parametrize("act", [restart, reboot])
def test_an_engine_that_would_stay_locked_is_not_stopped(monkeypatch: pytest.MonkeyPatch, act: Any) -> None:
    def none(*_: Any, **__: Any) -> Any:
        raise NoUnlockKey("unlocking manager-a", "escrow has no key", remedy="run it again", code="no-unlock-key")

    monkeypatch.setattr(Escrow, "opening", none)
    with wired() as wires:
        scene = Theatre(wires).stage(Case(3, frozenset()))
        wires.swarm.named("manager-a").key = unlock_key()
        done = len(wires.effects)
        with pytest.raises(NoUnlockKey):
            act(Cluster(scene.settings), scene.settings.node("manager-a"), say=quiet)
        assert len(wires.effects) == done
