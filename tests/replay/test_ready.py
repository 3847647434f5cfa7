"""Managers that vote and are not Ready, and what an interrupted join left, are put right."""

from dataclasses import replace
from typing import Any

import pytest

from recovery.cluster import Cluster
from recovery.copies import snapshot
from recovery.copies.catalog import Catalog
from recovery.copies.escrow import Escrow
from recovery.errors import DamagedCopy, NoUnlockKey, ProofFailed, Refused
from recovery.node.engine import Engine
from recovery.node.ssh import Shell
from recovery.operations.assess import assess
from recovery.planning.diagnosis import Kind
from recovery.planning.record import NOTHING
from recovery.steps import member
from recovery.steps import prove as steps_prove
from recovery.steps.prove import Health
from recovery.steps.quorum import establish
from recovery.steps.run import Run
from recovery.swarm import raft_options
from recovery.swarm.key_file import UnlockKey
from tests.fake.cases import Case, Copies, Scene, Theatre, names, quiet
from tests.fake.machine import Machine
from tests.replay.recovering import recover, require_recovered
from tests.unit.swarm.test_key_file import unlock_key


def deaf(theatre: Theatre, monkeypatch: pytest.MonkeyPatch, key: UnlockKey | None) -> tuple[Case, Scene, list[Health]]:
    """A lost quorum of which the survivor that is forced does not gossip at the proof; what the proof came to."""
    case = Case(3, frozenset({"manager-b", "manager-c"}))
    scene, real, proven = theatre.stage(case), steps_prove.prove, list[Health]()

    def prove(*given: Any, **named: Any) -> Health:
        forced = theatre.wires.swarm.named("manager-a")
        assert forced is theatre.wires.swarm.lives()
        forced.gossips, forced.key = False, key
        proven.append(real(*given, **named))
        assert not theatre.wires.swarm.unheard, "the leader has heard of every node"
        return proven[-1]

    monkeypatch.setattr(steps_prove, "prove", prove)
    return case, scene, proven


@pytest.mark.parametrize("key", [None, unlock_key()], ids=["open", "locked"])
def test_a_leader_that_is_restarted_for_gossip_is_unlocked_and_the_proof_is_made_of_what_the_next_one_says(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch, key: UnlockKey | None
) -> None:
    monkeypatch.setattr(Escrow, "opening", lambda *_, **__: key)
    case, scene, proven = deaf(theatre, monkeypatch, key)
    recover(scene.settings)
    require_recovered(theatre, case, scene)
    done = [what for what in theatre.wires.effects if what.startswith("manager-a")]
    assert done[-2 if key else -1 :] == ["manager-a: restart its engine", *(["manager-a: unlock"] if key else [])]
    leader = theatre.wires.swarm.lives()
    assert leader
    assert [health.leader for health in proven] == [leader.name]
    assert leader.name != "manager-a"


def test_a_leader_that_would_stay_locked_is_not_restarted(theatre: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: Any, **__: Any) -> Any:
        raise NoUnlockKey("looking for the unlock key", "none of the 2 keys in escrow opens it", remedy="give it")

    monkeypatch.setattr(Escrow, "opening", none)
    _, scene, _ = deaf(theatre, monkeypatch, unlock_key())
    with pytest.raises(ProofFailed, match=r"gossip of manager-a: failed(?s:.*)code: proof-failed"):
        recover(scene.settings)
    assert "manager-a: restart its engine" not in theatre.wires.effects


@pytest.mark.parametrize("lost", [("manager-c",), ("manager-a", "manager-b")], ids=["one", "two"])
def test_a_manager_that_votes_and_never_reports_is_restarted_once_the_others_are_a_quorum(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch, lost: tuple[str, ...]
) -> None:
    case = Case(3, frozenset(lost))
    scene, swarm = theatre.stage(case), theatre.wires.swarm
    give = swarm._give_vote

    def gives(leader: Machine, machine: Machine) -> None:
        give(leader, machine)
        machine.reports = machine.name != lost[-1]

    monkeypatch.setattr(swarm, "_give_vote", gives)
    recover(scene.settings)
    require_recovered(theatre, case, scene)
    assert theatre.wires.effects.count(f"{lost[-1]}: restart its engine") == 1


def test_a_manager_that_stops_to_report_after_its_join_is_restarted_by_the_proof(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, real = Case(3, frozenset({"manager-c"})), steps_prove.prove
    scene, swarm = theatre.stage(case), theatre.wires.swarm

    def prove(*given: Any, **named: Any) -> Health:
        swarm.named("manager-c").reports = False
        return real(*given, **named)

    monkeypatch.setattr(steps_prove, "prove", prove)
    recover(scene.settings)
    require_recovered(theatre, case, scene)
    assert theatre.wires.effects.count("manager-c: restart its engine") == 1


def test_what_a_broken_join_left_of_raft_options_is_brought_back_with_the_next_look_at_a_manager(
    theatre: Theatre,
) -> None:
    scene = theatre.stage(Case(3, frozenset()))
    node = scene.settings.managers[1]
    failing = pytest.raises(ProofFailed)
    with failing, Shell(node, scene.settings.ssh) as there, Engine(there).short_log():
        raise ProofFailed("joining manager-c", "it is not Ready", remedy="")
    leader = theatre.wires.swarm.lives()
    assert leader
    assert raft_options.NOTE in theatre.wires.swarm.state_of(leader).spec["Labels"]
    member.bring_back(Run(Cluster(scene.settings), NOTHING, quiet), node)
    spec = theatre.wires.swarm.state_of(leader).spec
    assert raft_options.NOTE not in spec["Labels"]
    assert {key: spec["Raft"][key] for key in raft_options.KEYS} == raft_options.DEFAULTS


@pytest.mark.parametrize("kind", [Kind.FORKED, Kind.FOREIGN])
def test_a_quorum_that_is_not_given_says_what_to_do_about_that(
    theatre: Theatre, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = theatre.stage(Case(3, frozenset()))
    run = Run(Cluster(scene.settings), NOTHING, quiet)
    diagnosis = replace(assess(Cluster(scene.settings)).diagnosis, kind=kind)
    monkeypatch.setattr(run, "diagnose", lambda: diagnosis)
    with pytest.raises(Refused) as refused:
        establish(run)
    told = str(refused.value)
    assert "docker swarm leave --force" in told
    assert "recover=true" not in told


def test_a_survivor_whose_log_cannot_be_read_is_told_with_what_to_do_about_it(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torn(_: Any) -> Any:
        raise DamagedCopy("taking a copy", "the log holds no entry", remedy="run it again")

    scene = theatre.stage(Case(3, frozenset({"manager-a", "manager-b"})))
    monkeypatch.setattr(snapshot, "look", torn)
    with pytest.raises(DamagedCopy, match=r"manager-c: (?s:.*)docker swarm leave --force(?s:.*)code: log-unreadable"):
        recover(scene.settings)


def test_a_plan_says_which_objects_a_damaged_copy_would_have_brought_back(theatre: Theatre) -> None:
    scene = theatre.stage(Case(3, frozenset(names(3)), Copies.NEWEST_DAMAGED))
    newest = Catalog(scene.settings).copies[0].name
    assert f"according to {newest}, these are lost: configs config-early" in assess(Cluster(scene.settings)).plan.losses
