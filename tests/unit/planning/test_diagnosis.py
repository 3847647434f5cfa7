"""The diagnosis table, and properties that hold over every combination of reports."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

from recovery.planning.diagnosis import Diagnosis, Kind, diagnose
from recovery.settings import Settings
from recovery.swarm.machines import Node
from recovery.swarm.model import ACCESS_FAULTS, LocalState, NodeReport, Reach
from recovery.swarm.raft import quorum
from tests.unit import factories as make

S = make.settings()
A, B, C = S.managers
W1, W2 = S.workers
WORKERS = [make.worker(W1), make.worker(W2)]


def run(*reports: NodeReport, known: str | None = make.CLUSTER, copies: bool = True) -> Diagnosis:
    return diagnose(make.survey(reports), known, cluster="lab", copies=copies)


def led(node: Node, leader: str = "manager-a", unreachable: tuple[str, ...] = ()) -> NodeReport:
    return make.manager(node, S.nodes, leader=leader, unreachable=unreachable)


def in_state(node: Node, state: LocalState) -> NodeReport:
    return NodeReport(node, Reach.ANSWERS, state=state, raft=True, cluster_id=make.CLUSTER, marked="lab")


LEFT_OVER = replace(make.empty(A), raft=True)
TABLE: list[tuple[str, list[NodeReport], Kind]] = [
    ("all well", [led(A), led(B), led(C), *WORKERS], Kind.HEALTHY),
    ("a worker lost", [led(A), led(B), led(C), make.gone(W1), make.worker(W2)], Kind.HEALTHY),
    ("one gone", [led(A), led(B), make.gone(C), *WORKERS], Kind.MINORITY_LOST),
    (
        "one silent, peers do not reach it",
        [led(A, unreachable=("manager-c",)), led(B), make.silent(C)],
        Kind.MINORITY_LOST,
    ),
    ("one silent, peers reach it", [led(A), led(B), make.silent(C)], Kind.PARTITIONED),
    ("one rebuilt and empty", [led(A), led(B), make.empty(C)], Kind.MINORITY_LOST),
    ("two gone, one without leader", [make.leaderless(A), make.gone(B), make.gone(C)], Kind.QUORUM_LOST),
    ("two gone, one silent", [make.silent(A), make.gone(B), make.gone(C)], Kind.QUORUM_LOST),
    ("two gone, one stopped", [NodeReport(A, Reach.STOPPED), make.gone(B), make.gone(C)], Kind.QUORUM_LOST),
    (
        "two gone, one engine down with a log",
        [NodeReport(A, Reach.NO_ENGINE, raft=True), make.gone(B), make.gone(C)],
        Kind.QUORUM_LOST,
    ),
    ("all gone", [make.gone(A), make.gone(B), make.gone(C), *WORKERS], Kind.ALL_LOST),
    ("all rebuilt and empty", [make.empty(A), make.empty(B), make.empty(C), *WORKERS], Kind.ALL_LOST),
    ("all gone, workers too", [make.gone(node) for node in S.nodes], Kind.ALL_LOST),
    (
        "two gone, one engine down with nothing to be seen",
        [NodeReport(A, Reach.NO_ENGINE), make.gone(B), make.gone(C)],
        Kind.QUORUM_LOST,
    ),
    (
        "two gone, one active whose log cannot be read",
        [replace(make.leaderless(A), raft=False), make.gone(B), make.gone(C)],
        Kind.QUORUM_LOST,
    ),
    ("two gone, one with a log that nobody uses", [LEFT_OVER, make.gone(B), make.gone(C)], Kind.QUORUM_LOST),
    (
        "two gone, one where a restore was interrupted",
        [replace(LEFT_OVER, placed="copy"), make.gone(B), make.gone(C)],
        Kind.ALL_LOST,
    ),
    ("all locked", [in_state(node, LocalState.LOCKED) for node in (A, B, C)], Kind.LOCKED),
    (
        "two locked, one gone",
        [in_state(A, LocalState.LOCKED), in_state(B, LocalState.LOCKED), make.gone(C)],
        Kind.LOCKED,
    ),
    ("one locked, two gone", [in_state(A, LocalState.LOCKED), make.gone(B), make.gone(C)], Kind.QUORUM_LOST),
    ("one locked, the others lead", [led(A), led(B), in_state(C, LocalState.LOCKED)], Kind.MINORITY_LOST),
    ("two leaders", [led(A), led(B, leader="manager-b"), led(C)], Kind.FORKED),
    ("another swarm's manager", [led(A), led(B), make.manager(C, S.nodes, cluster="other")], Kind.FOREIGN),
    ("another swarm's worker", [led(A), led(B), led(C), make.worker(W1, cluster="other")], Kind.FOREIGN),
]


@pytest.mark.parametrize(("reports", "kind"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_diagnosis(reports: list[NodeReport], kind: Kind, snapshot: SnapshotAssertion) -> None:
    found = run(*reports)
    assert found.kind is kind
    assert all(report.node.name in found.text for report in reports)
    assert found.text == snapshot


@pytest.mark.parametrize(
    ("leader", "kind"), [("manager-a", Kind.HEALTHY), ("manager-b", Kind.FORKED)], ids=["one leader", "two leaders"]
)
def test_a_leader_is_known_by_its_id_and_not_by_its_host_name(leader: str, kind: Kind) -> None:
    """For a moment after a change an entry may have another node's host name, and several nodes may have one host name."""
    names = {"manager-a": "manager-b", "manager-b": "manager-a"}
    other = led(B, leader=leader)
    members = tuple(replace(entry, hostname=names.get(entry.hostname, entry.hostname)) for entry in other.members)
    assert run(led(A), replace(other, members=members), led(C)).kind is kind


def test_an_unused_log_counts_while_nobody_leads_and_is_outrun_once_somebody_does() -> None:
    assert run(LEFT_OVER, make.gone(B), make.gone(C)).missing == ("manager-b", "manager-c")
    assert run(LEFT_OVER, led(B, leader="manager-b"), led(C, leader="manager-b")).missing == ("manager-a",)


def test_an_unused_log_of_another_swarm_is_foreign() -> None:
    assert run(replace(LEFT_OVER, cluster_id="other"), make.gone(B), make.gone(C)).kind is Kind.FOREIGN


def test_a_zone_of_which_nothing_is_left_is_named() -> None:
    a_is_gone = [make.gone(A), led(B, leader="manager-b"), led(C, leader="manager-b"), make.gone(W1), *WORKERS[1:]]
    assert "zone a is lost: manager-a, worker-1" in run(*a_is_gone).evidence
    assert not [line for line in run(*a_is_gone[:3], *WORKERS).evidence if line.startswith("zone")]
    assert not [line for line in run(*map(make.gone, S.nodes)).evidence if line.startswith("zone")], "all are"


def test_nothing_anywhere_is_absent_only_without_copies() -> None:
    reports = [make.gone(node) for node in S.nodes]
    assert run(*reports, known=None, copies=False).kind is Kind.ABSENT
    assert run(*reports, known=None, copies=True).kind is Kind.ALL_LOST


def test_workers_of_a_swarm_whose_managers_vanished_forbid_a_new_one() -> None:
    assert run(*[make.gone(m) for m in S.managers], *WORKERS, known=None, copies=False).kind is Kind.ALL_LOST


def test_without_a_known_id_only_machines_we_prepared_are_ours() -> None:
    ours, stranger = led(A), NodeReport(A, Reach.ANSWERS, state=LocalState.ACTIVE, cluster_id="x", raft=True)
    rest = [make.empty(B), make.empty(C)]
    assert run(ours, *rest, known=None, copies=False).kind is Kind.MINORITY_LOST
    assert run(stranger, *rest, known=None, copies=False).kind is Kind.FOREIGN
    elsewhere = replace(ours, marked="staging")
    assert run(elsewhere, *rest, known=None, copies=False).kind is Kind.FOREIGN


@pytest.mark.parametrize("reach", sorted(ACCESS_FAULTS))
def test_a_machine_that_keeps_us_out_is_never_lost(reach: Reach) -> None:
    hidden = [NodeReport(A, reach), NodeReport(B, reach), NodeReport(C, reach)]
    assert run(*hidden).kind is Kind.ACCESS
    assert run(*hidden[:2], make.leaderless(C)).kind is Kind.ACCESS
    assert run(*hidden[:2], make.silent(C)).kind is Kind.ACCESS
    healthy = run(*hidden[:2], led(C))
    assert healthy.kind is Kind.HEALTHY
    assert healthy.unseen == ("manager-a", "manager-b")
    assert len([line for line in healthy.warnings if f"is not seen from here: {reach}" in line]) == 2


def test_two_managers_that_are_gone_are_a_lost_quorum_whatever_the_third_says() -> None:
    found = run(NodeReport(A, Reach.DENIED), make.gone(B), make.gone(C))
    assert (found.kind, found.unseen, found.missing) == (Kind.QUORUM_LOST, ("manager-a",), ("manager-b", "manager-c"))


def test_a_leader_without_its_quorum_is_no_leader() -> None:
    deserted = led(A, unreachable=("manager-b", "manager-c"))
    assert not deserted.led
    assert run(deserted, make.gone(B), make.gone(C)).kind is Kind.QUORUM_LOST


@pytest.mark.parametrize(
    ("reports", "electing"),
    [
        ([make.gone(A), make.leaderless(B), make.leaderless(C)], True),
        ([make.gone(A), make.leaderless(B), in_state(C, LocalState.PENDING)], True),
        ([make.gone(A), make.gone(B), make.leaderless(C)], False),
        ([make.gone(A), NodeReport(B, Reach.SLOW), make.leaderless(C)], True),
        ([make.gone(A), NodeReport(B, Reach.SLOW), NodeReport(C, Reach.SLOW)], False),
        ([make.gone(A), led(B), make.leaderless(C)], False),
        ([make.gone(A), in_state(B, LocalState.LOCKED), in_state(C, LocalState.LOCKED)], False),
    ],
)
def test_an_election_is_under_way_when_enough_managers_wait(reports: list[NodeReport], electing: bool) -> None:
    assert make.survey(reports).electing is electing


MAKERS: list[Callable[[Node], NodeReport]] = [
    led,
    lambda node: led(node, leader="manager-b"),
    make.leaderless,
    make.silent,
    make.gone,
    make.empty,
    lambda node: in_state(node, LocalState.LOCKED),
    lambda node: NodeReport(node, Reach.REFUSED),
    lambda node: NodeReport(node, Reach.SLOW),
    lambda node: replace(led(node), reach=Reach.NO_RIGHTS),
    lambda node: NodeReport(node, Reach.STOPPED),
    lambda node: NodeReport(node, Reach.NO_ENGINE, raft=True),
    lambda node: NodeReport(node, Reach.NO_ENGINE),
    lambda node: replace(make.leaderless(node), raft=False),
    lambda node: replace(make.empty(node), raft=True),
    lambda node: replace(make.empty(node), raft=True, placed="copy"),
]


def surveys(of: Settings) -> st.SearchStrategy[list[NodeReport]]:
    return st.tuples(*(st.sampled_from(MAKERS).map(lambda maker, node=node: maker(node)) for node in of.managers)).map(
        list
    )


@given(surveys(S), st.booleans())
def test_only_known_loss_of_every_manager_is_all_lost_or_absent(reports: list[NodeReport], copies: bool) -> None:
    kind = run(*reports, copies=copies).kind
    if kind in (Kind.ALL_LOST, Kind.ABSENT):
        assert all(report.known_lost for report in reports)
    if all(report.known_lost for report in reports):
        assert kind is Kind.ALL_LOST


@given(surveys(S))
def test_a_leader_that_answers_is_never_called_lost(reports: list[NodeReport]) -> None:
    if any(report.led for report in reports):
        assert run(*reports).kind in (Kind.HEALTHY, Kind.MINORITY_LOST, Kind.PARTITIONED, Kind.FORKED)


@given(surveys(S))
def test_what_was_not_heard_is_never_counted_as_lost(reports: list[NodeReport]) -> None:
    """A quorum is lost only if what keeps us out, were it well, could not have one with whoever is silent."""
    if run(*reports).kind in (Kind.QUORUM_LOST, Kind.ALL_LOST, Kind.LOCKED):
        unseen = [report for report in reports if report.reach in ACCESS_FAULTS]
        silent = [report for report in reports if report.reach is Reach.SILENT]
        assert not unseen or len(unseen + silent) < quorum(len(reports))


@given(surveys(S))
def test_one_manager_that_tells_of_a_leader_decides_whatever_keeps_us_from_the_others(
    reports: list[NodeReport],
) -> None:
    """The same reports, with every manager but one led one kept from us: the leader's list decides alone."""
    first = next((report for report in reports if report.led), None)
    if first is None:
        return
    hidden = [report if report is first else NodeReport(report.node, Reach.DENIED) for report in reports]
    reached = all(member.reachable for member in first.members if member.votes)
    assert run(*hidden).kind is (Kind.HEALTHY if reached else Kind.MINORITY_LOST)


def test_a_machine_named_lost_is_neither_missing_nor_silent() -> None:
    said = replace(make.silent(A), reach=Reach.NAMED, named="named lost 1 min ago by ops@desk: switched off")
    found = run(said, make.empty(B), make.empty(C))
    assert found.kind is Kind.ALL_LOST
    assert (found.missing, found.silent, found.away) == (("manager-b", "manager-c"), (), ("manager-a",))
    assert found.left_alone == ("manager-a",)
    assert "manager-a: lost (named lost 1 min ago by ops@desk: switched off)" in found.text
    assert run(said, make.silent(B), make.gone(C)).kind is Kind.QUORUM_LOST


def test_workers_of_a_lost_swarm_are_not_left_behind() -> None:
    found = run(*map(make.empty, (A, B, C)), *WORKERS)
    assert (found.kind, found.left_behind, found.gone) == (Kind.ALL_LOST, (), ())
