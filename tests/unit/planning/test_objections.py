"""What keeps a step from being taken: one table for each action."""

from dataclasses import replace
from typing import Any

import pytest

from recovery.planning import steps
from recovery.planning.objections import PRECONDITIONS, objection, precondition
from recovery.planning.steps import Action, Step
from recovery.swarm.machines import Node
from recovery.swarm.model import LocalState, NodeReport, Reach
from tests.unit import factories as make
from tests.unit.planning.test_diagnosis import W1, A, B, C, S, led
from tests.unit.steps.test_orphans import ALONE

GONE = [make.gone(node) for node in S.managers]
EMPTY = [make.empty(node) for node in S.managers]
HEALTHY = [led(A), led(B), led(C)]
LEFT = [make.leaderless(A), make.gone(B), make.gone(C)]
LOCKED = replace(make.leaderless(C), state=LocalState.LOCKED)
OLD_LOG = replace(make.leaderless(C), state=LocalState.INACTIVE)
ELSEWHERE = "10.70.0.1"
STRANDED = replace(make.worker(W1), remotes=(f"{ELSEWHERE}:2377",))


def voting(node: Node, *, voters: tuple[str, ...] = (), gone: tuple[str, ...] = (), **changes: Any) -> NodeReport:
    """A manager whose list has these voters beside the managers, and others that cannot be reached; ``changes`` are manager-a's."""
    members = tuple(
        replace(
            member,
            **{
                "reachable": member.hostname not in gone and (member.reachable or member.hostname in voters),
                "manager_address": f"{member.address}:2377" if member.hostname in voters else member.manager_address,
                **(changes if member.hostname == "manager-a" else {}),
            },
        )
        for member in led(node).members
    )
    return replace(led(node), members=members)


MISPLACED = [voting(node, manager_address=f"{ELSEWHERE}:2377") for node in (A, B, C)]
STANDS_IN = replace(make.worker(W1), raft=True)

HARMED = [make.damaged(A), make.gone(B), make.halted(C)]

TABLE: list[tuple[Step, list[NodeReport], str]] = [
    (steps.found(A), GONE, ""),
    (steps.found(A), EMPTY, ""),
    (steps.found(A), HEALTHY, "manager-a is not known to be lost (answers), manager-b"),
    (steps.found(A), [*EMPTY[:2], make.silent(C)], "manager-c is not known to be lost (silent)"),
    (steps.found(A), [*EMPTY, make.worker(W1)], "worker-1 is in a swarm"),
    (steps.rebuild("manager-a"), GONE, ""),
    (steps.rebuild("manager-a"), EMPTY, "manager-a exists (answers)"),
    (steps.rebuild("manager-a"), [make.silent(A)], "manager-a exists (silent)"),
    (steps.save("manager-a"), LEFT, ""),
    (steps.save("manager-a"), EMPTY, "manager-a has no log"),
    (steps.unlock("manager-c"), [led(A), led(B), LOCKED], ""),
    (steps.unlock("manager-c"), HEALTHY, "manager-c is not locked"),
    (steps.open_key_file("manager-a"), LEFT, ""),
    (steps.open_key_file("manager-a"), HEALTHY, "manager-a has a leader"),
    (steps.force(A), LEFT, ""),
    (steps.force(A), HEALTHY, "manager-a has a leader"),
    (steps.force(A), [LEFT[0], make.silent(B), make.gone(C)], "manager-b may be alive (silent)"),
    (steps.force(A), [LEFT[0], NodeReport(B, Reach.NO_ENGINE, raft=True), make.gone(C)], "manager-b may be alive"),
    (steps.force(A), EMPTY, "manager-a has no log"),
    (steps.force(A), [LEFT[0], make.gone(B), make.halted(C)], ""),
    (steps.force(A), HARMED, "the log of manager-a is damaged (a wrong checksum)"),
    (steps.repair("manager-a", "entry 9"), HARMED, ""),
    (
        steps.repair("manager-a", "entry 9"),
        [replace(LEFT[0], state=LocalState.ERROR, repaired="it was"), *LEFT[1:]],
        "",
    ),
    (steps.repair("manager-a", "entry 9"), LEFT, "manager-a has no damaged log"),
    (steps.repair("manager-a", "entry 9"), [HARMED[0], make.silent(B), make.gone(C)], "manager-b may be alive"),
    (steps.repair("manager-a", "entry 9"), [HARMED[0], led(B, "manager-b"), led(C, "manager-b")], "has a leader"),
    (steps.leave_damaged("manager-c"), [led(A), led(B), make.damaged(C)], ""),
    (steps.leave_damaged("manager-c"), [led(A), led(B), make.halted(C)], "manager-c is a member of the swarm"),
    (
        steps.leave_damaged("manager-c"),
        [led(A), led(B), replace(make.damaged(C), cluster_id="other")],
        "manager-c is a member of the swarm",
    ),
    (steps.leave_damaged("manager-c"), [*LEFT[:2], make.damaged(C)], "no manager has a leader"),
    (steps.set_aside("manager-c"), [led(A), led(B), make.halted(C)], ""),
    (steps.set_aside("manager-c"), [led(A), led(B), make.damaged(C)], "manager-c has no unused log"),
    (steps.restore(A, "a copy", make.CLUSTER), EMPTY, ""),
    (steps.restore(A, "a copy", make.CLUSTER), GONE, "manager-a does not answer (gone)"),
    (steps.restore(A, "a copy", make.CLUSTER), [EMPTY[0], led(B, "manager-b"), led(C, "manager-b")], "has a leader"),
    (steps.restore(A, "a copy", make.CLUSTER), [EMPTY[0], make.leaderless(B), EMPTY[2]], "manager-b is not known"),
    (steps.restore(A, "a copy", make.CLUSTER), [EMPTY[0], make.silent(B), EMPTY[2]], "manager-b is not known"),
    (steps.compare("manager-a"), [replace(led(A), placed="a copy"), *HEALTHY[1:]], ""),
    (steps.compare("manager-a"), HEALTHY, "manager-a has no restore that is not proven yet"),
    (steps.compare("manager-a"), [replace(LEFT[0], placed="a copy"), *LEFT[1:]], "manager-a has no leader"),
    (steps.lock("manager-a"), HEALTHY, ""),
    (steps.lock("manager-a"), LEFT, "manager-a has no leader"),
    (steps.leave("manager-c"), [ALONE, EMPTY[1], make.leaderless(C)], ""),
    (steps.leave("manager-c"), HEALTHY, "manager-c is a member of the swarm"),
    (steps.leave("manager-c"), [EMPTY[0], EMPTY[1], make.leaderless(C)], "no manager has a leader"),
    (steps.leave_unlisted("worker-1"), [*HEALTHY, replace(make.worker(W1), node_id="id-later")], ""),
    (steps.leave_unlisted("worker-1"), [*HEALTHY, make.worker(W1)], "worker-1 is a member of the swarm"),
    (
        steps.leave_unlisted("worker-1"),
        [*HEALTHY, replace(make.worker(W1), node_id="id-later", cluster_id="other")],
        "worker-1 is a member of the swarm",
    ),
    (steps.set_aside("manager-c"), [led(A), led(B), OLD_LOG], ""),
    (steps.set_aside("manager-c"), [EMPTY[0], EMPTY[1], OLD_LOG], "no manager has a leader"),
    (steps.set_aside("manager-c"), HEALTHY, "manager-c has no unused log"),
    (steps.join(C), [led(A), led(B), EMPTY[2]], ""),
    (steps.join(C), HEALTHY, ""),
    (steps.join(C), EMPTY, "no manager has a leader"),
    (steps.join(C), [led(A), led(B), make.silent(C)], "manager-c does not answer (silent)"),
    (steps.join(C), [led(A), led(B), OLD_LOG], "manager-c has an old log"),
    (steps.join(C), [led(A), led(B), LOCKED], "manager-c is locked"),
    (steps.join(C), [ALONE, EMPTY[1], make.leaderless(C)], "manager-c is still in the old swarm"),
    (steps.join(C), [led(A), led(B), make.worker(C, cluster="other")], "manager-c belongs to swarm other"),
    (steps.join(C), [led(A), led(B), replace(led(C), node_id="removed")], "the swarm removed manager-c"),
    (steps.readdress("manager-a"), MISPLACED, ""),
    (steps.readdress("manager-a"), HEALTHY, "the swarm already has the address of manager-a"),
    (
        steps.readdress("manager-a"),
        [voting(A, gone=("manager-b",), manager_address=f"{ELSEWHERE}:2377"), make.silent(B), led(C)],
        "the quorum would be lost without manager-a",
    ),
    (steps.detour("manager-b", "manager-a"), MISPLACED, ""),
    (steps.detour("manager-b", "manager-a"), HEALTHY, "manager-b already knows the present address of a manager"),
    (steps.redirect("worker-1"), [*HEALTHY, STRANDED], ""),
    (
        steps.redirect("worker-1"),
        [*HEALTHY, make.worker(W1)],
        "worker-1 already knows the present address of a manager",
    ),
    (steps.redirect("worker-1"), [*EMPTY, STRANDED], "no manager has a leader"),
    (steps.demote("worker-1"), [voting(node, voters=("worker-1",)) for node in (A, B, C)] + [STANDS_IN], ""),
    (steps.demote("worker-1"), [*HEALTHY, make.worker(W1)], "worker-1 does not vote"),
    (
        steps.demote("worker-1"),
        [voting(A, voters=("worker-1",), gone=("manager-c",)), led(B), make.silent(C), STANDS_IN],
        "manager-c cannot vote yet",
    ),
    (steps.prove("all"), HEALTHY, ""),
    (steps.prove("all"), EMPTY, "no manager has a leader"),
]


@pytest.mark.parametrize(("step", "reports", "why"), TABLE, ids=[f"{r[0].action}: {r[2] or 'taken'}" for r in TABLE])
def test_a_step_is_taken_only_where_its_precondition_holds(step: Step, reports: list[NodeReport], why: str) -> None:
    assert [step.node] == [r.node.name for r in reports if r.node.name == step.node] or step.action is Action.PROVE
    said = objection(step, make.survey(reports), copies=False)
    assert why in said
    assert bool(why) is bool(said)


def test_nothing_is_founded_beside_copies() -> None:
    assert objection(steps.found(A), make.survey(EMPTY), copies=True) == "S3 holds copies of this cluster"


def test_every_action_has_a_precondition_that_is_both_kept_and_broken_above() -> None:
    assert PRECONDITIONS.keys() | {Action.PROVE} == set(Action)
    for action in Action:
        assert precondition(action)
        assert {bool(why) for step, _, why in TABLE if step.action is action} == {True, False}, action
