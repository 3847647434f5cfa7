"""What is planned without a quorum: who is forced, who is waited for, and who rejoins."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from recovery.copies.manifest import Proof, Verdict
from recovery.planning.decide import make_plan
from recovery.planning.diagnosis import diagnose
from recovery.planning.plan import Source
from recovery.planning.steps import Action
from recovery.planning.survivors import copy_ahead_of, rank
from recovery.swarm.model import LocalState
from recovery.swarm.survivor import Survivor
from recovery.swarm.wal import Position
from tests.unit import factories as make
from tests.unit.planning.plans import FRESH, STALE, choice, named, plan, two_of_five_left
from tests.unit.planning.test_diagnosis import W1, A, B, C


def test_without_a_quorum_the_survivor_that_holds_most_is_forced_and_the_rest_rejoin() -> None:
    five, reports = two_of_five_left()
    found = diagnose(make.survey(reports), make.CLUSTER, cluster="lab", copies=True)
    made = make_plan(found, five, Source(), rank((STALE, FRESH)), make.NOW)
    assert made.survivor == "manager-b"
    assert [(step.action, step.node) for step in made.steps] == [
        (Action.REBUILD, "manager-c"),
        (Action.REBUILD, "manager-a2"),
        (Action.REBUILD, "manager-b2"),
        (Action.SAVE, "manager-b"),
        (Action.SAVE, "manager-a"),
        (Action.FORCE, "manager-b"),
        (Action.LEAVE, "manager-a"),
        (Action.JOIN, "manager-a"),
        (Action.JOIN, "manager-c"),
        (Action.JOIN, "manager-a2"),
        (Action.JOIN, "manager-b2"),
        (Action.PROVE, "swarm"),
    ]
    assert "entry 57" in made.losses[0]
    assert "entry 40" in made.losses[0]
    assert made.losses[1].startswith("entries of manager-b's log")
    assert made.losses[1].endswith(": 1")
    named = make_plan(found, five.model_copy(update={"copy_from": "a-copy"}), Source(), (FRESH,), make.NOW)
    assert any("requorum:copy" in loss for loss in named.losses)


def test_a_worker_that_the_stack_file_calls_a_manager_is_promoted_after_the_force() -> None:
    five, reports = two_of_five_left()
    promoted = [make.worker(one.node) if one.node.name == "manager-b2" else one for one in reports]
    found = diagnose(make.survey(promoted), make.CLUSTER, cluster="lab", copies=True)
    made = make_plan(found, five, Source(), rank((STALE, FRESH)), make.NOW)
    assert (Action.JOIN, "manager-b2") in [(step.action, step.node) for step in made.steps]


def test_a_lost_quorum_is_not_forced_without_the_flag() -> None:
    made = plan([make.leaderless(A), make.gone(B), make.gone(C)], survivors=(STALE,))
    assert made.refusal is not None
    assert made.refusal.code == "consent-needed"


@pytest.mark.parametrize("typed", [False, True])
@pytest.mark.parametrize("spent", [False, True])
@pytest.mark.parametrize("recover", [False, True, "r0000000"])
def test_only_its_id_consents_to_force_from_a_survivor_that_lacks_what_a_copy_holds(
    recover: bool | str, spent: bool, typed: bool
) -> None:
    lost, further = [make.leaderless(A), make.gone(B), make.gone(C)], choice("manager-b", "10.77.2.12").copy
    made = plan(lost, recover=recover, spent=spent, typed=typed, survivors=(STALE,), ahead=further)
    assert made.refusal is not None
    assert made.agreed() == made, "no other word will do"
    assert made.refusal.code == "consent-needed"
    assert further.name in made.refusal.why
    assert f"pulumi up --config recover={made.id}" in made.refusal.remedy
    assert any(f"{further.name} holds" in loss for loss in made.losses)
    assert made.id != plan(lost, survivors=(STALE,)).id
    assert plan(lost, recover=made.id, survivors=(STALE,), ahead=further).refusal is None


@pytest.mark.parametrize(
    ("position", "changes", "is_ahead"),
    [
        (Position(3, 41, 41), {}, True),
        (Position(3, 41, 40), {}, False),
        (Position(4, 38, 38), {}, True),
        (Position(2, 99, 99), {}, False),
        (Position(3, 99, 99), {"kind": "safety"}, False),
        (Position(3, 99, 99), {"proof": Proof(Verdict.FAILED, make.NOW)}, False),
    ],
    ids=["further", "not committed", "a later leader", "an earlier one", "nobody restores it", "at fault"],
)
def test_a_copy_is_ahead_that_holds_what_the_best_survivor_never_heard_of(
    position: Position, changes: dict[str, Any], is_ahead: bool
) -> None:
    made = make.manifest("manager-b", position=position, **changes)
    assert (copy_ahead_of(STALE, {make.copy_of(made): made}) is not None) is is_ahead


def test_of_one_term_the_survivor_is_forced_that_is_known_to_be_committed_furthest() -> None:
    """A forced new cluster drops what lies beyond that, however long the log is."""
    long, short = Survivor("manager-a", Position(3, 60, 40)), Survivor("manager-b", Position(3, 50, 49))
    late = Survivor("manager-c", Position(4, 41, 40))
    assert [one.name for one in rank((long, short))] == ["manager-b", "manager-a"]
    assert rank((long, short, late))[0] == late, "elected since: it has what was committed before"


def test_a_damaged_log_counts_as_far_as_it_is_repaired_and_comes_after_a_sound_one_that_is_its_equal() -> None:
    sound = Survivor("manager-a", Position(2, 40, 39))
    cut = replace(sound, name="manager-b", damage="a wrong checksum")
    longer = replace(cut, position=Position(2, 41, 40))
    useless = Survivor("manager-c", Position(0, 0, 0), damage="it holds no entry")
    assert rank((useless, cut, sound)) == (sound, cut, useless)
    assert rank((useless, sound, longer)) == (longer, sound, useless)


def test_the_plans_id_depends_on_where_the_repaired_log_ends() -> None:
    cut = Survivor("manager-a", Position(2, 40, 39), damage="a wrong checksum")
    harmed = [make.damaged(A), make.gone(B), make.gone(C)]
    made = plan(harmed, survivors=(cut,))
    again = plan(
        [replace(harmed[0], state=LocalState.INACTIVE, damage="", repaired="a wrong checksum"), *harmed[1:]],
        survivors=(replace(cut, in_place=True),),
    )
    assert made.id == again.id, "in place, it is consented to still"
    assert Action.REPAIR not in {step.action for step in again.steps}
    assert plan(harmed, survivors=(replace(cut, position=Position(2, 39, 38)),)).id != made.id
    assert plan(harmed, survivors=(replace(cut, damage=""),)).id != made.id
    consented = plan(harmed, survivors=(cut,), recover=made.id)
    assert consented.refusal is None
    for recover in (True, "r0000000"):
        refused = plan(harmed, survivors=(cut,), recover=recover, typed=True).agreed()
        assert refused.refusal
        assert refused.refusal.code == "consent-needed"


def test_an_older_copy_may_be_of_a_history_that_was_given_up() -> None:
    old = make.manifest("manager-b", position=Position(9, 900, 900), ago=timedelta(days=2))
    new = make.manifest("manager-c", position=Position(3, 39, 39))
    assert copy_ahead_of(STALE, {make.copy_of(made): made for made in (old, new)}) is None


@pytest.mark.parametrize(
    ("own", "position", "is_ahead"),
    [
        (-4, Position(3, 50, 50), True),
        (-4, Position(3, 39, 39), False),
        (-15, Position(3, 50, 50), False),
    ],
    ids=["the clock of the survivor may be ahead", "it has that too", "its own copy is newer for certain"],
)
def test_a_copy_that_is_older_by_its_clock_may_be_ahead(own: int, position: Position, is_ahead: bool) -> None:
    mine = make.manifest(STALE.name, position=Position(3, 39, 39), ago=timedelta(minutes=own))
    late = make.manifest("manager-c", position=position, ago=timedelta(0))
    found = copy_ahead_of(STALE, {make.copy_of(made): made for made in (mine, late)})
    assert found == (make.copy_of(late) if is_ahead else None)


def test_a_proof_ends_what_was_consented_to_before() -> None:
    lost = [make.leaderless(A), make.gone(B), make.gone(C)]
    before = plan(lost, survivors=(STALE,))
    assert plan(lost, survivors=(STALE,), recover=before.id).refusal is None
    assert plan(lost, survivors=(STALE,), recover=before.id, proven="20260102T030405000000Z").refusal is not None


def test_a_leader_ends_what_was_consented_to_before_and_entries_that_nobody_confirmed_do_not() -> None:
    lost = [make.leaderless(A), make.gone(B), make.gone(C)]
    before = plan(lost, survivors=(STALE,))
    longer, led = (replace(STALE, position=Position(term, 44, 40)) for term in (3, 4))
    assert plan(lost, survivors=(longer,), recover=before.id).refusal is None
    assert plan(lost, survivors=(led,), recover=before.id).refusal is not None


def test_a_lost_quorum_is_not_forced_beside_a_silent_manager() -> None:
    made = plan([make.leaderless(A), make.silent(B), make.gone(C)], recover=True, survivors=(STALE,))
    assert made.refusal is not None
    assert made.refusal.code == "silent-manager"
    assert "manager-b" in made.refusal.remedy


def test_a_silent_manager_is_refused_with_the_command_that_declares_it_lost() -> None:
    made = plan([make.leaderless(A), make.silent(B), make.silent(C)], recover=True, survivors=(STALE,))
    assert made.refusal is not None
    assert made.refusal.code == "silent-manager"
    assert "requorum fence manager-b; requorum fence manager-c" in made.refusal.remedy
    assert made.lines == (f"note: survivor {STALE.text}",), "what there is without them"


def test_managers_declared_lost_no_longer_forbid_a_recovery_and_are_left_alone() -> None:
    made = plan([make.leaderless(A), named(B), named(C)], recover=True, survivors=(STALE,))
    assert made.survivor == "manager-a"
    assert {step.node for step in made.steps} == {"manager-a", "swarm"}
    assert sum("declared lost 1 min ago by ops@desk" in line for line in made.lines) == 2


def test_nothing_is_forced_beside_a_promoted_worker_without_a_leader() -> None:
    standing = replace(make.leaderless(W1), raft=True)
    made = plan([make.leaderless(A), make.gone(B), make.gone(C), standing], recover=True, survivors=(STALE,))
    assert not made.steps
    assert made.refusal is not None
    assert made.refusal.code == "stand-in-holds-log"
    assert "worker-1" in made.refusal.why
    assert "unhealthy-manager.md" in made.refusal.remedy
