"""What is wrong, what it means, and what to run next: a table over every kind of diagnosis."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from syrupy.assertion import SnapshotAssertion

from recovery.planning.decide import make_plan
from recovery.planning.diagnosis import Diagnosis, Kind, diagnose
from recovery.planning.guidance import MEANING, PROVE, SHOW_PLAN, Guidance, guide
from recovery.planning.plan import Plan, Source
from recovery.swarm.model import LocalState, NodeReport, Reach, Survey
from tests.unit import factories as make
from tests.unit.planning.plans import FRESH, LOST, MOVED, STALE, choice, named
from tests.unit.planning.test_diagnosis import W1, W2, WORKERS, A, B, C, S, in_state, led, surveys

WITHOUT_C = [led(A, unreachable=("manager-c",)), led(B, unreachable=("manager-c",))]
EXISTING = make.settings(hosts={"driver": "existing"})
BEGUN = datetime(2026, 1, 2, 3, 0, tzinfo=UTC)
ALL_LED = [led(A), led(B), led(C)]
ALONE = [make.manager(A, (A, W1, W2)), make.gone(B), make.gone(C), *WORKERS]
FIVE = make.settings(5)
ONE_OF_FIVE_GONE = [make.manager(node, FIVE.nodes, unreachable=("manager-e",)) for node in FIVE.managers[:4]]


def seen(*reports: NodeReport, known: str | None = make.CLUSTER, copies: bool = True) -> tuple[Survey, Diagnosis]:
    survey = make.survey(reports)
    return survey, diagnose(survey, known, cluster="lab", copies=copies)


CASES: list[tuple[str, Any, list[NodeReport], str, str]] = [
    ("all well", S, [*ALL_LED, *WORKERS], "healthy", ""),
    ("a worker gone", S, [*ALL_LED, make.gone(W1), make.worker(W2)], "managers healthy, worker-1 down", "pulumi up"),
    (
        "a worker's engine down",
        S,
        [*ALL_LED, NodeReport(W1, Reach.NO_ENGINE), make.worker(W2)],
        "managers healthy, worker-1 down",
        "requorum restart worker-1",
    ),
    (
        "a worker declared lost",
        S,
        [*ALL_LED, named(W1), make.worker(W2)],
        "managers healthy, worker-1 down",
        "start a fresh machine for worker-1 at 10.77.1.21, then: pulumi up",
    ),
    (
        "a manager with a slow login",
        S,
        [led(A), led(B), NodeReport(C, Reach.SLOW, "no login within 20 s"), *WORKERS],
        "all managers vote, manager-c not seen from here",
        "find out what the login of",
    ),
    ("one gone", S, [*WITHOUT_C, make.gone(C), *WORKERS], "2 of 3 managers", "pulumi up"),
    ("one of five gone", FIVE, [*ONE_OF_FIVE_GONE, make.gone(FIVE.managers[4])], "4 of 5 managers", "pulumi up"),
    ("founded, and none joined", S, ALONE, "1 of 3 managers", "pulumi up"),
    ("one silent", S, [*WITHOUT_C, make.silent(C), *WORKERS], "2 of 3 managers", "docker start manager-c"),
    (
        "one silent, existing",
        EXISTING,
        [*WITHOUT_C, make.silent(C), *WORKERS],
        "2 of 3 managers",
        "switch on manager-c",
    ),
    ("cut off", S, [led(A), led(B), make.silent(C)], "partitioned", "wait 30 s, until the leader notices"),
    (
        "a worker cut off",
        S,
        [led(A), led(B), led(C), make.silent(W1)],
        "managers healthy, worker-1 not seen from here",
        "wait 30 s, until the leader notices a machine that has died, then: requorum status. If the line stays, repair the network from this machine to worker-1",
    ),
    (
        "one silent, and a worker cut off",
        S,
        [*WITHOUT_C, make.silent(C), make.silent(W1)],
        "2 of 3 managers",
        "docker start manager-c",
    ),
    ("a damaged log", S, [*WITHOUT_C, make.damaged(C), *WORKERS], "2 of 3 managers", "pulumi up"),
    (
        "a full disk",
        S,
        [*WITHOUT_C, make.full(C), *WORKERS],
        "2 of 3 managers",
        "remove on manager-c what requorum doctor",
    ),
    ("every log damaged", S, [make.damaged(A), make.damaged(B), make.halted(C)], "quorum lost", SHOW_PLAN),
    ("a survivor", S, [make.leaderless(A), make.gone(B), make.gone(C)], "quorum lost", SHOW_PLAN),
    (
        "a survivor and a silent one",
        S,
        [make.leaderless(A), make.silent(B), make.gone(C)],
        "quorum lost",
        "docker start manager-b (docker unpause, where one is paused), wait 60 s, then: requorum plan. If a machine is lost: requorum fence manager-b",
    ),
    (
        "all silent, existing",
        EXISTING,
        [*map(make.silent, S.managers)],
        "quorum lost",
        "switch on manager-a (10.77.1.11)",
    ),
    (
        "a survivor whose engine is down",
        S,
        [make.gone(A), make.gone(B), NodeReport(C, Reach.NO_ENGINE, raft=True)],
        "quorum lost",
        "requorum restart manager-c",
    ),
    (
        "a stand-in holds the log",
        S,
        [make.leaderless(A), make.gone(B), make.gone(C), replace(make.leaderless(W1), raft=True)],
        "quorum lost",
        "recover by hand from the stand-in",
    ),
    ("all lost", S, LOST, "all lost", SHOW_PLAN),
    (
        "all declared lost, no machine",
        EXISTING,
        [*map(named, S.managers)],
        "all lost",
        "start a fresh machine at one of 10.77.1.11, 10.77.2.12, 10.77.3.13",
    ),
    ("locked", S, [in_state(node, LocalState.LOCKED) for node in S.managers], "locked", "pulumi up"),
    ("forked", S, [led(A), led(B, leader="manager-b")], "forked", "decide which swarm to keep"),
    (
        "foreign",
        S,
        [led(A), led(B), make.manager(C, S.nodes, cluster="other")],
        "foreign",
        "check the cluster's name in requorum:cluster",
    ),
    (
        "not seen",
        S,
        [NodeReport(node, Reach.DENIED, "no") for node in S.managers],
        "not seen from here",
        "on manager-a: correct requorum:ssh.user",
    ),
]


@pytest.mark.parametrize(
    ("of", "reports", "state", "command"), [row[1:] for row in CASES], ids=[row[0] for row in CASES]
)
def test_what_is_said(
    of: Any, reports: list[NodeReport], state: str, command: str, snapshot: SnapshotAssertion
) -> None:
    found = guide(of, *seen(*reports))
    assert found.state == state
    assert found.command.startswith(command)
    assert bool(found.command) == bool(command)
    assert found.lines == snapshot


NEVER: list[tuple[str, list[NodeReport], str]] = [
    ("machines to make", [*map(make.gone, S.nodes)], "pulumi up"),
    ("fresh machines", [*map(make.empty, S.nodes)], "pulumi up"),
    ("a worker is silent", [*map(make.empty, (A, B, C, W1)), make.silent(W2)], "start worker-2 (10.77.2.22)"),
]


@pytest.mark.parametrize(("reports", "command"), [row[1:] for row in NEVER], ids=[row[0] for row in NEVER])
def test_a_cluster_that_never_was_is_not_called_lost(
    reports: list[NodeReport], command: str, snapshot: SnapshotAssertion
) -> None:
    found = guide(S, *seen(*reports, known=None, copies=False))
    assert found.state == "not founded yet"
    assert found.command.startswith(command)
    assert found.lines == snapshot


def test_every_kind_has_a_meaning_and_a_case() -> None:
    assert set(MEANING) == set(Kind)
    assert {seen(*row[2])[1].kind for row in CASES} | {Kind.ABSENT} == set(Kind)


def planned(reports: list[NodeReport], *, of: Any = S, survivors: Any = (), **source: Any) -> tuple[Plan, Guidance]:
    survey, diagnosis = seen(*reports)
    known = {"cas": survey.cas(make.CLUSTER), **source}
    plan = make_plan(diagnosis, of, Source(**known), survivors, make.NOW)
    return plan, guide(of, survey, diagnosis, plan)


SURVIVED = [make.leaderless(A), make.leaderless(B), *(make.gone(n) for n in S.managers[2:])]


@pytest.mark.parametrize("recover", [False, True, "rfffffff"])
def test_the_command_has_the_plans_id_whoever_consented(recover: bool | str) -> None:
    of = S.model_copy(update={"recover": recover})
    for plan, found in (
        planned(LOST, of=of, choice=choice()),
        planned([make.leaderless(A), make.gone(B), make.gone(C)], of=of, survivors=(STALE,)),
    ):
        assert plan.id
        assert found.command == f"pulumi up --config recover={plan.id}"
    told = planned(LOST, of=of, choice=choice())
    assert told[1].text == guide(S, *seen(*LOST)).text, "the words do not depend on what is known of the plan"


def test_a_plan_that_costs_more_is_not_just_a_command(snapshot: SnapshotAssertion) -> None:
    moved, ahead = (
        planned(LOST, choice=choice(address="10.70.0.1"), moved=MOVED),
        planned(SURVIVED, survivors=(FRESH, STALE), ahead=choice("manager-c").copy),
    )
    for plan, found in (moved, ahead):
        assert f"pulumi up --config recover={plan.id}" in found.command
        assert plan.refusal
        assert found.command == plan.refusal.remedy
    shown = [[line.replace(plan.id, "PLAN-ID") for line in found.lines] for plan, found in (moved, ahead)]
    assert shown == snapshot


def test_no_good_copy_is_said_once_it_was_looked_for() -> None:
    plan, found = planned(LOST)
    assert plan.refusal
    assert found.command == plan.refusal.remedy
    assert found.command != SHOW_PLAN


@pytest.mark.parametrize(
    ("reports", "command"),
    [
        ([*ALL_LED, *WORKERS], PROVE),
        ([*WITHOUT_C, make.silent(C), *WORKERS], PROVE),
        ([*WITHOUT_C, make.gone(C), *WORKERS], "pulumi up"),
        (LOST, SHOW_PLAN),
        ([make.leaderless(A), make.silent(B), make.gone(C)], "docker start manager-b"),
    ],
    ids=["healthy", "one silent", "one gone", "all lost", "a silent one"],
)
def test_an_unfinished_run_comes_first(reports: list[NodeReport], command: str) -> None:
    found = guide(S, *seen(*reports), unfinished=BEGUN)
    assert found.sentence.startswith("the run that began at 2026-01-02 03:00:00 UTC is not proven")
    assert found.sentence.endswith(guide(S, *seen(*reports)).sentence)
    assert found.command.startswith(command)


def test_a_change_is_made_by_an_update_after_what_is_down_is_repaired() -> None:
    assert guide(S, *seen(*ALL_LED, *WORKERS), changed=True).command == "pulumi up"
    down = guide(S, *seen(*ALL_LED, NodeReport(W1, Reach.NO_ENGINE), make.worker(W2)), changed=True)
    assert down.command == "requorum restart worker-1"


@given(surveys(S))
def test_whatever_is_found_is_said_and_never_sends_anybody_in_a_circle(reports: list[NodeReport]) -> None:
    survey, diagnosis = seen(*reports, *WORKERS)
    found = guide(S, survey, diagnosis)
    assert found.sentence
    assert found.command or diagnosis.kind in (Kind.HEALTHY, Kind.MINORITY_LOST, Kind.PARTITIONED)
    assert "requorum doctor" not in found.command
    assert found.command != "requorum status"
    assert "\n" not in "".join((found.state, found.sentence, found.meaning))
