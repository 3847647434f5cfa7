"""What is planned for each diagnosis; above all, when nothing is."""

from dataclasses import replace

import pytest
from hypothesis import given

from recovery.error_codes import CODES
from recovery.planning.diagnosis import Kind
from recovery.planning.plan import Plan
from recovery.planning.steps import Action
from recovery.swarm.model import LocalState, NodeReport
from tests.unit import factories as make
from tests.unit.planning.plans import FRESH, LOST, STALE, VOTELESS, changed, choice, doubled, plan
from tests.unit.planning.test_diagnosis import W1, A, B, C, S, led, surveys


@pytest.mark.parametrize("recover", [False, True])
def test_nothing_is_done_to_a_healthy_swarm(recover: bool) -> None:
    made = plan(list(make.healthy(S).reports), recover=recover, chosen=choice())
    assert made == Plan(Kind.HEALTHY, make.CLUSTER)


@pytest.mark.parametrize(
    ("reports", "left"),
    [
        ([changed(led(A), "manager-c", **VOTELESS, role="worker"), led(B), make.worker(C)], ["join manager-c"]),
        ([changed(led(A), "manager-c", **VOTELESS), led(B), make.worker(C)], ["leave manager-c", "join manager-c"]),
        (
            [changed(led(A), "manager-c", **VOTELESS), led(B), make.leaderless(C)],
            ["save manager-c", "leave manager-c", "join manager-c"],
        ),
        (
            [changed(led(A), "manager-c", **VOTELESS), led(B), replace(make.leaderless(C), state=LocalState.LOCKED)],
            ["save manager-c", "leave manager-c", "join manager-c"],
        ),
        (
            [led(A, unreachable=("manager-c",)), led(B), replace(make.leaderless(C), state=LocalState.INACTIVE)],
            ["save manager-c", "aside manager-c", "join manager-c"],
        ),
        (
            [led(A, unreachable=("manager-c",)), led(B), replace(make.leaderless(C), state=LocalState.LOCKED)],
            ["unlock manager-c"],
        ),
        ([doubled(led(A), "manager-c"), led(B), led(C)], ["join manager-c"]),
        ([doubled(led(A), "worker-1"), led(B), led(C), make.worker(W1)], ["join worker-1"]),
        ([doubled(led(A), "manager-c", address="10.70.0.9", manager_address=""), led(B), led(C)], ["join manager-c"]),
        ([doubled(led(A), "worker-1", address="10.70.0.9"), led(B), led(C), make.worker(W1)], []),
        ([replace(led(A), placed="copy"), led(B), led(C)], ["save manager-a", "compare manager-a"]),
        ([led(A), replace(led(B), opened=True), led(C)], ["lock manager-b"]),
        ([led(A), led(B), led(C), replace(make.worker(W1), raft=True)], ["demote worker-1"]),
        ([led(A), led(B), make.silent(C), replace(make.worker(W1), raft=True)], []),
        ([changed(led(A), "manager-c", **VOTELESS), led(B), make.silent(C)], []),
        ([led(A, unreachable=("manager-c",)), led(B), make.leaderless(C)], []),
    ],
    ids=[
        "no vote yet",
        "threw its log away",
        "left behind",
        "left behind and locked",
        "in no swarm, with a log",
        "locked",
        "two entries",
        "two of a worker",
        "an entry at a former address",
        "another worker with its host name",
        "not compared with its copy",
        "not locked again",
        "a stand-in is no longer needed",
        "a stand-in is needed",
        "silent",
        "has its vote",
    ],
)
def test_what_broke_off_is_finished(reports: list[NodeReport], left: list[str]) -> None:
    made = plan(reports, recover=True, chosen=choice())
    assert [f"{step.action} {step.node}" for step in made.steps] == left


def test_a_new_cluster_is_founded_once_and_joined_by_all() -> None:
    made = plan([make.gone(node) for node in S.nodes], copies=False)
    assert [step.node for step in made.steps if step.action is Action.REBUILD] == [node.name for node in S.nodes]
    assert [(step.action, step.node) for step in made.steps[5:]] == [
        (Action.FOUND, "manager-a"),
        (Action.JOIN, "manager-b"),
        (Action.JOIN, "manager-c"),
        (Action.JOIN, "worker-1"),
        (Action.JOIN, "worker-2"),
        (Action.PROVE, "swarm"),
    ]
    assert [step for step in made.steps if not step.repeatable] == [made.steps[5]]


def test_one_lost_manager_and_one_lost_worker_rejoin() -> None:
    made = plan([led(A), led(B), make.gone(C), make.gone(W1)])
    assert [(step.action, step.node) for step in made.steps] == [
        (Action.REBUILD, "manager-c"),
        (Action.REBUILD, "worker-1"),
        (Action.JOIN, "manager-c"),
        (Action.JOIN, "worker-1"),
    ]


def test_a_machine_that_is_there_is_not_made_again() -> None:
    made = plan([led(A), led(B), make.empty(C)])
    assert [(step.action, step.node) for step in made.steps] == [(Action.JOIN, "manager-c")]


def test_a_silent_manager_beside_a_quorum_is_left_alone() -> None:
    made = plan([led(A, unreachable=("manager-c",)), led(B), make.silent(C)])
    assert made.steps == ()
    assert made.losses[0].startswith("manager-c is silent")


def test_a_silent_manager_with_the_others_lost_forbids_a_restore() -> None:
    made = plan([make.silent(A), make.gone(B), make.gone(C)], recover=True, chosen=choice())
    assert made.refusal is not None
    assert made.refusal.code == "silent-manager"
    assert "manager-a" in made.refusal.remedy


def test_without_a_quorum_or_a_log_a_manager_that_is_not_known_to_be_lost_forbids_a_restore() -> None:
    waiting = replace(make.leaderless(A), raft=False)
    made = plan([waiting, make.gone(B), make.gone(C)], recover=True, chosen=choice())
    assert made.refusal is not None
    assert made.refusal.code == "no-survivor"


@given(surveys(S))
def test_a_swarm_is_only_made_when_every_manager_is_known_lost(reports: list[NodeReport]) -> None:
    made = plan(reports, recover=True, chosen=choice())
    if any(step.action in (Action.FOUND, Action.RESTORE) for step in made.steps):
        assert all(report.known_lost for report in reports)
        assert not any(report.led for report in reports)


@given(surveys(S))
def test_every_plan_either_acts_or_refuses_never_both(reports: list[NodeReport]) -> None:
    made = plan(reports, recover=True, chosen=choice())
    assert not (made.steps and made.refusal and not made.refusal.consent)
    assert made.refusal is None or (made.refusal.remedy and made.refusal.code in CODES)


def test_with_the_flag_nothing_is_founded_where_nothing_is_found() -> None:
    made = plan([make.gone(node) for node in S.nodes], recover=True, copies=False)
    assert not made.steps
    assert made.refusal is not None
    assert made.refusal.code == "nothing-to-recover"


def slices(made: Plan) -> tuple[list[str], dict[str, list[str]]]:
    """Who carries a plan out: the steps that give the quorum, and those of each node."""
    nodes = {node.name: [str(step.action) for step in made.steps_of(node.name)] for node in S.nodes}
    return [f"{step.action} {step.node}" for step in made.quorum_steps], {k: v for k, v in nodes.items() if v}


@pytest.mark.parametrize(
    ("made", "quorum", "nodes"),
    [
        (
            plan(LOST, recover=True, chosen=choice()),
            ["restore manager-a", "compare manager-a"],
            {"manager-b": ["join"], "manager-c": ["join"]},
        ),
        (
            plan([make.leaderless(A), make.leaderless(B), make.gone(C)], recover=True, survivors=(FRESH, STALE)),
            ["save manager-b", "save manager-a", "force manager-b", "leave manager-a"],
            {"manager-a": ["join"], "manager-c": ["join"]},
        ),
        (
            plan([replace(make.leaderless(node), state=LocalState.LOCKED) for node in (A, B)] + [make.gone(C)]),
            ["unlock manager-a", "unlock manager-b"],
            {"manager-c": ["join"]},
        ),
        (
            plan([led(A), led(B), replace(make.leaderless(C), state=LocalState.LOCKED)]),
            [],
            {"manager-c": ["unlock"]},
        ),
        (
            plan(
                [changed(led(node), "manager-a", manager_address="10.70.0.1:2377") for node in (A, B)] + [make.gone(C)]
            ),
            ["redirect manager-b", "readdress manager-a", "join manager-a"],
            {"manager-c": ["join"]},
        ),
    ],
    ids=["restored", "forced", "all locked", "one locked", "elsewhere"],
)
def test_what_gives_the_quorum_comes_first_and_each_node_has_its_own_steps(
    made: Plan, quorum: list[str], nodes: dict[str, list[str]]
) -> None:
    assert slices(made) == (quorum, nodes)
    taken = [step for step in made.steps if step.action not in (Action.REBUILD, Action.PROVE)]
    assert taken[: len(quorum)] == list(made.quorum_steps)
    assert len(taken) == len(quorum) + sum(map(len, nodes.values()))


def test_a_locked_manager_with_a_damaged_log_is_not_unlocked_but_rejoins_once_the_others_lead() -> None:
    locked = [replace(make.leaderless(node), state=LocalState.LOCKED) for node in (A, B, C)]
    made = plan([*locked[:2], replace(locked[2], damage="a wrong checksum")])
    assert made.kind is Kind.LOCKED
    assert [(step.action, step.node) for step in made.steps] == [
        (Action.UNLOCK, "manager-a"),
        (Action.UNLOCK, "manager-b"),
        (Action.SAVE, "manager-c"),
        (Action.LEAVE, "manager-c"),
        (Action.JOIN, "manager-c"),
    ]
