"""What is planned where managers have moved to other addresses."""

from dataclasses import replace

import pytest

from recovery.planning.steps import Action
from recovery.swarm.model import NodeReport
from tests.unit import factories as make
from tests.unit.planning.plans import LOST, MOVED, changed, choice, named, plan
from tests.unit.planning.test_diagnosis import W1, A, B, C, led


def test_a_restore_elsewhere_shows_what_follows_and_the_seed_s_vote_is_given_anew_beside_a_second_manager() -> None:
    stranded = replace(make.worker(W1), remotes=("10.70.0.1:2377", "10.70.0.2:2377"))
    lost = [*LOST[:3], stranded, LOST[4]]
    shown = plan(lost, chosen=choice(), moved=MOVED)
    made = plan(lost, chosen=choice(), moved=MOVED, recover=shown.id)
    assert made.refusal is None
    assert [(step.action, step.node) for step in made.steps[3:]] == [
        (Action.RESTORE, "manager-a"),
        (Action.COMPARE, "manager-a"),
        (Action.REDIRECT, "manager-b"),
        (Action.JOIN, "manager-b"),
        (Action.READDRESS, "manager-a"),
        (Action.JOIN, "manager-a"),
        (Action.REDIRECT, "worker-1"),
        (Action.JOIN, "manager-c"),
        (Action.PROVE, "swarm"),
    ]
    assert "force a new cluster at 10.77.1.11" in made.steps[3].effect
    notes = "\n".join(made.losses)
    assert "manager-a from 10.70.0.1 to 10.77.1.11, manager-b from" in notes
    assert "two swarms" in notes


def test_where_only_others_move_the_seed_keeps_its_vote() -> None:
    shown = plan(LOST, chosen=choice(), moved=MOVED[1:])
    made = plan(LOST, chosen=choice(), moved=MOVED[1:], recover=shown.id)
    assert [step.action for step in made.steps[3:]] == [
        Action.RESTORE,
        Action.COMPARE,
        Action.JOIN,
        Action.JOIN,
        Action.PROVE,
    ]


@pytest.mark.parametrize("typed", [False, True])
@pytest.mark.parametrize("spent", [False, True])
@pytest.mark.parametrize("recover", [False, True, "r0000000"])
def test_only_its_id_consents_to_a_plan_elsewhere(recover: bool | str, spent: bool, typed: bool) -> None:
    made = plan(LOST, chosen=choice(), moved=MOVED, recover=recover, spent=spent, typed=typed)
    assert made.refusal is not None
    assert made.agreed() == made, "no other word will do"
    assert made.refusal.code == "consent-needed"
    assert "manager-c from 10.70.0.3 to 10.77.3.13" in made.refusal.why
    assert "requorum:managers" in made.refusal.why
    assert f"pulumi up --config recover={made.id}" in made.refusal.remedy
    assert made.id not in (plan(LOST, chosen=choice()).id, plan(LOST, chosen=choice(), moved=MOVED[1:]).id)


def test_a_manager_alone_is_not_restored_elsewhere() -> None:
    made = plan([make.empty(A), named(B), named(C)], chosen=choice(), moved=MOVED[:1], recover=True)
    assert made.refusal is not None
    assert not made.steps
    assert made.refusal.code == "second-manager-needed"


def test_what_a_recovery_elsewhere_left_unfinished_is_finished() -> None:
    elsewhere = [changed(led(node), "manager-a", manager_address="10.70.0.1:2377") for node in (A, B, C)]
    stranded = replace(make.worker(W1), remotes=("10.70.0.1:2377",))
    made = plan([*elsewhere, stranded])
    assert [(step.action, step.node) for step in made.steps] == [
        (Action.REDIRECT, "manager-b"),
        (Action.READDRESS, "manager-a"),
        (Action.JOIN, "manager-a"),
        (Action.REDIRECT, "worker-1"),
    ]


def test_a_vote_is_not_given_anew_where_no_other_manager_can_be_beside_it() -> None:
    alone = changed(led(A, unreachable=("manager-b", "manager-c")), "manager-a", manager_address="10.70.0.1:2377")
    alone = replace(alone, members=tuple(m for m in alone.members if m.hostname == "manager-a"))
    made = plan([alone, make.silent(B), make.silent(C)])
    assert made.refusal is not None
    assert "start the machine of another manager" in made.refusal.remedy


OLD = "10.70.0.1:2377"
LEFT = changed(led(A), "manager-b", address="10.77.9.9", manager_address="10.77.9.9:2377")
"""Tells of a manager that is not in the stack file, and that the leader reaches."""


@pytest.mark.parametrize(
    ("remotes", "leader", "is_so"),
    [
        ((), led(A), False),
        ((OLD,), led(A), True),
        ((OLD,), make.empty(A), True),
        ((OLD,), changed(led(A), "manager-a", manager_address=OLD), True),
        ((OLD, "10.77.3.13:2377"), led(A), False),
        (("10.77.9.9:2377",), LEFT, False),
        (("10.77.9.9:2377",), changed(LEFT, "manager-b", reachable=False), True),
    ],
    ids=[
        "it knows nobody",
        "elsewhere",
        "elsewhere, and nobody leads",
        "the leader is listed at its former address",
        "one is left",
        "it knows a manager that the file has no more",
        "it knows one that is down",
    ],
)
def test_a_worker_is_stranded_that_knows_no_manager_of_now(
    remotes: tuple[str, ...], leader: NodeReport, is_so: bool
) -> None:
    seen = make.survey([leader, make.empty(B), make.empty(C), replace(make.worker(W1), remotes=remotes)])
    assert [report.node.name for report in seen.stranded] == ([W1.name] if is_so else [])


def test_a_manager_is_not_stranded() -> None:
    """It finds its peers by its log."""
    assert not replace(make.leaderless(A), remotes=(OLD,)).is_stranded([str(A.address)])


@pytest.mark.parametrize("votes", [True, False], ids=["it votes there", "its vote is where it was before"])
def test_a_worker_that_knows_a_manager_of_now_is_not_stranded_whatever_the_file_calls_it(votes: bool) -> None:
    only = replace(A, role="worker")
    entry = replace(make.members([A], leader=A.name)[0], address=str(A.address) if votes else "10.77.9.9")
    leader = replace(make.manager(only, [A]), members=(entry,))
    seen = make.survey([leader, make.empty(B), replace(make.worker(W1), remotes=(f"{A.address}:2377",))])
    assert [report.node.name for report in seen.stranded] == ([] if votes else [W1.name])
