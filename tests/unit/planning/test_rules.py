"""Each rule of a diagnosis alone: when it speaks, and when it leaves the word to the next."""

from dataclasses import replace

import pytest

from recovery.planning import diagnosis
from recovery.planning.diagnosis import NOTHING, RULES, Kind
from recovery.planning.facts import gather
from recovery.swarm.model import LocalState, NodeReport, Reach
from tests.unit import factories as make

S = make.settings()
A, B, C = S.managers
W1, W2 = S.workers
LED_A, LED_B, LED_C = (make.manager(node, S.nodes) for node in S.managers)
WITHOUT_C = make.manager(A, S.nodes, unreachable=("manager-c",))
WITHOUT_A_AND_B = make.manager(C, S.nodes, unreachable=("manager-a", "manager-b"))
B_LEADS = make.manager(B, S.nodes, leader="manager-b")
OTHER_SWARM = make.manager(C, S.nodes, cluster="other")
LOCKED_A, LOCKED_B = (replace(make.leaderless(node), state=LocalState.LOCKED) for node in (A, B))
UNUSED_LOG = replace(make.empty(A), raft=True, cluster_id="other")
STAND_IN = replace(make.worker(W1), raft=True)
LIMITED = (NodeReport(B, Reach.LIMITED), NodeReport(C, Reach.LIMITED))
NO_RIGHTS = (NodeReport(B, Reach.NO_RIGHTS), NodeReport(C, Reach.NO_RIGHTS))
SLOW_C = NodeReport(C, Reach.SLOW, "no login within 20 s")
ALL_GONE = tuple(make.gone(node) for node in S.managers)
DECLARED = replace(make.silent(C), reach=Reach.NAMED, named="declared lost")
Given = tuple[NodeReport, ...]

SPEAKS: dict[str, list[tuple[str, Given]]] = {
    "foreign": [
        ("a manager of another swarm", (LED_A, LED_B, OTHER_SWARM)),
        ("a worker of another swarm", (LED_A, make.worker(W1, cluster="other"))),
        ("an unused log of another swarm", (UNUSED_LOG, make.gone(B), make.gone(C))),
    ],
    "forked": [
        ("two leaders in one swarm", (LED_A, B_LEADS, LED_C)),
        ("two swarms", (LED_A, OTHER_SWARM)),
    ],
    "healthy": [
        ("all managers", (LED_A, LED_B, LED_C)),
        ("a worker lost", (LED_A, LED_B, LED_C, make.gone(W1))),
        ("one that refuses us, which the leader reaches", (LED_A, LED_B, NodeReport(C, Reach.REFUSED))),
        ("one that is heard, all others kept from us", (LED_A, NodeReport(B, Reach.DENIED), NodeReport(C, Reach.SLOW))),
        ("a leader's list that a user without rights saw", (replace(LED_A, reach=Reach.NO_RIGHTS), LED_B, LED_C)),
    ],
    "partitioned": [
        ("one silent, which the leader reaches", (LED_A, LED_B, make.silent(C))),
        ("one silent and one that refuses us", (LED_A, make.silent(B), NodeReport(C, Reach.REFUSED))),
        ("two silent, which the leader reaches", (LED_A, make.silent(B), make.silent(C))),
    ],
    "minority_lost": [
        ("one gone", (LED_A, LED_B, make.gone(C))),
        ("one silent, which the leader does not reach either", (WITHOUT_C, LED_B, make.silent(C))),
        ("one empty", (LED_A, LED_B, make.empty(C))),
        ("one that refuses us, which the leader does not reach", (WITHOUT_C, LED_B, NodeReport(C, Reach.REFUSED))),
        ("one gone and one that refuses us", (LED_A, make.gone(B), NodeReport(C, Reach.REFUSED))),
    ],
    "not_seen": [
        ("all denied", tuple(NodeReport(node, Reach.DENIED) for node in S.managers)),
        ("two limited beside one without a leader", (make.leaderless(A), *LIMITED)),
        ("one slow beside one silent and one without a leader", (make.leaderless(A), make.silent(B), SLOW_C)),
        ("one slow beside two silent", (make.silent(A), make.silent(B), SLOW_C)),
        ("two without rights beside one gone", (make.gone(A), *NO_RIGHTS)),
        ("two limited beside a locked one", (LOCKED_A, *LIMITED)),
    ],
    "locked": [
        ("two of three locked", (LOCKED_A, LOCKED_B, make.gone(C))),
        ("one locked beside one without a leader", (LOCKED_A, make.leaderless(B), make.gone(C))),
    ],
    "held_by_workers": [("a promoted worker", (*ALL_GONE, STAND_IN))],
    "held_by_managers": [
        ("one without a leader", (make.leaderless(A), make.gone(B), make.gone(C))),
        ("one with an unused log", (replace(UNUSED_LOG, cluster_id=make.CLUSTER), make.gone(B), make.gone(C))),
        ("one whose engine is down", (NodeReport(A, Reach.NO_ENGINE, raft=True), make.gone(B), make.gone(C))),
    ],
    "maybe_alive": [
        ("one silent", (make.silent(A), make.gone(B), make.gone(C))),
        ("one stopped", (NodeReport(A, Reach.STOPPED), make.gone(B), make.gone(C))),
        ("one that refuses us", (NodeReport(A, Reach.DENIED), make.gone(B), make.gone(C))),
    ],
    "all_lost": [
        ("all gone", ALL_GONE),
        ("all empty", tuple(make.empty(node) for node in S.managers)),
    ],
}
LEAVES: dict[str, list[tuple[str, Given]]] = {
    "foreign": [
        ("the known swarm", (LED_A, LED_B, LED_C)),
        ("an unused log of the known swarm", (replace(UNUSED_LOG, cluster_id=make.CLUSTER),)),
        ("nodes in no swarm", (make.empty(A), make.silent(B), make.gone(C))),
    ],
    "forked": [
        ("one leader", (LED_A, LED_B, LED_C)),
        ("no leader", (make.leaderless(A),)),
        ("a second leader without its quorum", (B_LEADS, WITHOUT_A_AND_B)),
    ],
    "healthy": [
        ("one silent", (LED_A, LED_B, make.silent(C))),
        ("no leader", (make.leaderless(A), make.leaderless(B), make.leaderless(C))),
        ("a leader without its quorum", (WITHOUT_A_AND_B,)),
    ],
    "partitioned": [
        ("one gone", (LED_A, LED_B, make.gone(C))),
        ("one silent, which the leader does not reach either", (WITHOUT_C, LED_B, make.silent(C))),
        ("one silent and one gone", (LED_A, make.gone(B), make.silent(C))),
        ("no leader", (make.silent(A), make.silent(B), make.silent(C))),
    ],
    "minority_lost": [("no leader", (make.leaderless(A), make.gone(B), make.gone(C)))],
    "not_seen": [
        ("all silent", tuple(make.silent(node) for node in S.managers)),
        ("one slow, the others gone", (make.gone(A), make.gone(B), SLOW_C)),
        ("one slow, the others without a leader", (make.leaderless(A), make.leaderless(B), SLOW_C)),
        ("a worker that refuses us", (*ALL_GONE, NodeReport(W1, Reach.REFUSED))),
    ],
    "locked": [
        ("one of three locked", (LOCKED_A, make.gone(B), make.gone(C))),
        ("none locked", (make.leaderless(A), make.leaderless(B), make.gone(C))),
    ],
    "held_by_workers": [
        ("workers without a log", (*ALL_GONE, make.worker(W1))),
        ("a manager with a log", (make.leaderless(A), make.worker(W1))),
    ],
    "held_by_managers": [
        ("all gone", ALL_GONE),
        ("an interrupted restore", (replace(UNUSED_LOG, placed="copy"), make.gone(B), make.gone(C))),
        ("a promoted worker", (*ALL_GONE, STAND_IN)),
    ],
    "maybe_alive": [
        ("all gone", ALL_GONE),
        ("gone, empty and declared lost", (make.gone(A), make.empty(B), DECLARED)),
        ("a silent worker", (*ALL_GONE, make.silent(W1))),
    ],
    "all_lost": [],
}
RULINGS = {
    "foreign": Kind.FOREIGN,
    "forked": Kind.FORKED,
    "healthy": Kind.HEALTHY,
    "partitioned": Kind.PARTITIONED,
    "minority_lost": Kind.MINORITY_LOST,
    "not_seen": Kind.ACCESS,
    "locked": Kind.LOCKED,
    "held_by_workers": Kind.QUORUM_LOST,
    "held_by_managers": Kind.QUORUM_LOST,
    "maybe_alive": Kind.QUORUM_LOST,
    "all_lost": Kind.ALL_LOST,
}


def ruling(
    name: str, reports: Given, *, known: str | None = make.CLUSTER, copies: bool = True
) -> diagnosis.Ruling | None:
    rule = next(rule for rule in RULES if rule.__name__ == name)
    return rule(gather(make.survey(reports), known, cluster="lab", copies=copies))


@pytest.mark.parametrize(
    ("name", "reports"),
    [pytest.param(name, given, id=f"{name}: {what}") for name, rows in SPEAKS.items() for what, given in rows],
)
def test_a_rule_speaks(name: str, reports: Given) -> None:
    found = ruling(name, reports)
    assert found
    assert found.kind is RULINGS[name]
    assert found.reasons


@pytest.mark.parametrize(
    ("name", "reports"),
    [pytest.param(name, given, id=f"{name}: {what}") for name, rows in LEAVES.items() for what, given in rows],
)
def test_a_rule_leaves_the_word_to_the_next(name: str, reports: Given) -> None:
    assert ruling(name, reports) is None


def test_every_rule_has_its_tables() -> None:
    names = [rule.__name__ for rule in RULES]
    assert names == list(SPEAKS) == list(LEAVES) == list(RULINGS)


def test_where_no_swarm_is_known_a_machine_that_cannot_be_seen_into_is_no_lost_quorum() -> None:
    first = (make.empty(A), make.empty(B), SLOW_C)
    assert ruling("not_seen", first, known=None, copies=False)
    assert not ruling("not_seen", first, known=None, copies=True)
    assert not ruling("not_seen", first, copies=False)


def test_a_foreign_swarm_is_seen_without_rights_too() -> None:
    assert ruling("foreign", (replace(LED_A, reach=Reach.NO_RIGHTS, cluster_id="other"),))
    assert not ruling("foreign", (replace(LED_A, reach=Reach.NO_RIGHTS),))


def test_without_a_known_id_what_was_not_prepared_for_the_cluster_is_foreign() -> None:
    assert ruling("foreign", (LED_A,), known=None) is None
    assert ruling("foreign", (replace(LED_A, marked=""),), known=None)
    assert ruling("foreign", (replace(LED_A, marked="staging"),), known=None)


@pytest.mark.parametrize(
    ("reports", "known", "copies", "speaks"),
    [
        (ALL_GONE, None, False, False),
        (ALL_GONE, make.CLUSTER, False, True),
        (ALL_GONE, None, True, True),
        ((*ALL_GONE, make.worker(W2)), None, False, True),
        ((*ALL_GONE, make.empty(W2)), None, False, False),
    ],
)
def test_there_was_a_swarm_if_it_has_an_id_copies_or_workers(
    reports: Given, known: str | None, copies: bool, speaks: bool
) -> None:
    assert (ruling("all_lost", reports, known=known, copies=copies) is not None) is speaks
    assert (diagnosis.rule(gather(make.survey(reports), known, cluster="lab", copies=copies)) is NOTHING) is not speaks


@pytest.mark.parametrize(
    ("first", "second", "reports"),
    [
        ("foreign", "forked", (LED_A, OTHER_SWARM)),
        ("foreign", "minority_lost", (LED_A, LED_B, OTHER_SWARM, make.worker(W1, cluster="other"))),
        ("forked", "healthy", (LED_A, B_LEADS, LED_C)),
        ("minority_lost", "held_by_managers", (LED_A, LED_B, make.gone(C))),
        ("minority_lost", "locked", (LED_A, LED_B, replace(make.leaderless(C), state=LocalState.LOCKED))),
        ("partitioned", "maybe_alive", (LED_A, LED_B, make.silent(C))),
        ("locked", "held_by_managers", (LOCKED_A, LOCKED_B, make.gone(C))),
        ("held_by_workers", "all_lost", (*ALL_GONE, STAND_IN)),
        ("held_by_managers", "all_lost", (make.leaderless(A), make.gone(B), make.gone(C))),
        ("maybe_alive", "all_lost", (make.silent(A), make.gone(B), make.gone(C))),
    ],
)
def test_where_two_rules_speak_the_safer_one_wins(first: str, second: str, reports: Given) -> None:
    names = [rule.__name__ for rule in RULES]
    assert names.index(first) < names.index(second)
    assert ruling(first, reports)
    assert ruling(second, reports)
    assert diagnosis.rule(gather(make.survey(reports), make.CLUSTER, cluster="lab", copies=True)) == ruling(
        first, reports
    )
