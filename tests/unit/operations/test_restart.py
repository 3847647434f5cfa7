"""A stand-in for a lost manager, and managers that must not be halted."""

from typing import Any

import pytest

from recovery.cluster import Cluster
from recovery.errors import Refused
from recovery.node.engine import Engine
from recovery.operations.promote import promote
from recovery.operations.restart import reboot, restart
from recovery.swarm import raft_options
from tests.fake.cases import Case, Theatre, quiet
from tests.fake.wires import wired

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
