"""What is proposed for which ailment; nothing that would cost the quorum."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from syrupy.assertion import SnapshotAssertion

from recovery.cli.show import doctor as shown
from recovery.cli.show.contract import DEGRADED, FINE
from recovery.error_codes import CODES
from recovery.errors import Refused
from recovery.operations.rebalance import chosen
from recovery.planning.diagnosis import Diagnosis, diagnose
from recovery.planning.doctor import awaits_recovery, examine, objection, standby, trouble
from recovery.planning.findings.finding import OBJECTIONS, Finding
from recovery.planning.guidance import guide
from recovery.planning.membership import role_now
from recovery.steps.votes import not_voting
from recovery.swarm.entries import Member
from recovery.swarm.model import LocalState, NodeReport, Reach
from recovery.swarm.votes import survives_outage
from recovery.swarm.workload import Service
from tests.unit import factories as make
from tests.unit.planning.test_diagnosis import W1, W2, WORKERS, A, B, C, S, in_state, led, surveys

WITHOUT_C = [led(A, unreachable=("manager-c",)), led(B, unreachable=("manager-c",))]
DOWN = NodeReport(C, Reach.NO_ENGINE, raft=True)


def cases(*reports: NodeReport, of: Any = S) -> tuple[Finding, ...]:
    seen = make.survey(reports)
    return examine(of, seen, diagnose(seen, make.CLUSTER, cluster="lab", copies=True))


def proposed(*reports: NodeReport, of: Any = S) -> dict[str, list[tuple[str, bool]]]:
    return {c.node: [(str(p.remedy), not p.refused) for p in c.proposals] for c in cases(*reports, of=of)}


STEPS = [("restart", True), ("reboot", True), ("replace", True), ("promote", True)]


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        ([led(A), led(B), led(C), *WORKERS], {}),
        ([*WITHOUT_C, make.gone(C), *WORKERS], {}),
        ([*WITHOUT_C, make.empty(C), *WORKERS], {}),
        ([*WITHOUT_C, DOWN, *WORKERS], {"manager-c": STEPS}),
        ([*WITHOUT_C, make.leaderless(C), *WORKERS], {"manager-c": STEPS}),
        ([*WITHOUT_C, in_state(C, LocalState.ERROR), *WORKERS], {"manager-c": STEPS}),
        ([*WITHOUT_C, make.damaged(C), *WORKERS], {"manager-c": [("update", True)]}),
        ([*WITHOUT_C, make.halted(C), *WORKERS], {"manager-c": [("update", True)]}),
        ([*WITHOUT_C, make.full(C), *WORKERS], {"manager-c": [("free", True)]}),
        ([make.damaged(A), make.gone(B), make.gone(C), *WORKERS], {"manager-a": [("recover", True)]}),
        ([*WITHOUT_C, in_state(C, LocalState.PENDING), *WORKERS], {"manager-c": STEPS}),
        ([*WITHOUT_C, in_state(C, LocalState.LOCKED), *WORKERS], {"manager-c": [("unlock", True)]}),
        ([*WITHOUT_C, DOWN], {"manager-c": STEPS}),
        (
            [*WITHOUT_C, make.silent(C), *WORKERS],
            {"manager-c": [("start", True), ("replace", True), ("promote", True)]},
        ),
        (
            [led(A), led(B), make.silent(C), make.silent(W1)],
            {"manager-c": [("access", True)], "worker-1": [("access", True)]},
        ),
        (
            [make.gone(A), make.gone(B), DOWN, *WORKERS],
            {"manager-c": [("restart", True), ("reboot", True), ("replace", False)]},
        ),
        (
            [make.gone(A), make.gone(B), make.silent(C), *WORKERS],
            {"manager-c": [("start", True), ("replace", True)]},
        ),
        (
            [make.gone(A), make.gone(B), NodeReport(C, Reach.STOPPED), *WORKERS],
            {"manager-c": [("start", True), ("replace", False)]},
        ),
        (
            [led(A), led(B), led(C), NodeReport(W1, Reach.NO_ENGINE), make.worker(W2)],
            {"worker-1": [("restart", True), ("reboot", True), ("replace", True)]},
        ),
        ([led(A), led(B, leader="manager-b"), DOWN], {}),
        (
            [led(A), led(B), NodeReport(C, Reach.SLOW, "no login within 20 s"), *WORKERS],
            {"manager-c": [("access", True)]},
        ),
        (
            [NodeReport(A, Reach.DENIED, "no"), NodeReport(B, Reach.REFUSED, "no"), make.silent(C)],
            {
                "manager-a": [("access", True)],
                "manager-b": [("access", True)],
                "manager-c": [("start", True), ("replace", False)],
            },
        ),
        (
            [
                make.gone(A),
                NodeReport(
                    B, Reach.NO_RIGHTS, "the login is user 1000: not root, and without sudo that needs no password"
                ),
                make.leaderless(C),
            ],
            {"manager-b": [("access", True)]},
        ),
    ],
    ids=[
        "all well",
        "known to be gone",
        "empty",
        "engine down",
        "not reached",
        "in error",
        "a damaged log",
        "a damaged log, and the engine is down",
        "a full disk",
        "the last log is damaged",
        "pending",
        "locked",
        "workers not asked",
        "silent",
        "silent, and the leader reaches it",
        "the last survivor's engine is down",
        "the last survivor is silent",
        "the last survivor is stopped",
        "a worker's engine is down",
        "two leaders",
        "a slow login",
        "kept out of two, and one silent",
        "without rights on one, no leader on another",
    ],
)
def test_proposals(
    reports: list[NodeReport], expected: dict[str, list[tuple[str, bool]]], snapshot: SnapshotAssertion
) -> None:
    assert proposed(*reports) == expected
    seen = make.survey(reports)
    found = diagnose(seen, make.CLUSTER, cluster="lab", copies=True)
    assert shown.doctor_lines(shown.Examined(found, examine(S, seen, found), guide(S, seen, found))) == snapshot


def test_a_manager_that_votes_and_does_not_report_is_to_be_restarted() -> None:
    listed = [replace(member, ready=member.hostname != "manager-c") for member in led(A).members]
    [case] = cases(*(replace(led(node), members=tuple(listed)) for node in (A, B, C)), *WORKERS)
    assert case.node == "manager-c"
    assert [str(proposal.remedy) for proposal in case.proposals if not proposal.refused] == [
        "restart",
        "reboot",
        "replace",
    ]


def test_nothing_is_proposed_now_that_would_cost_the_quorum() -> None:
    """B is gone, C's engine hangs without the others having noticed yet: A and C hold the quorum."""
    short = [replace(led(A, unreachable=("manager-b",))), make.gone(B), DOWN, *WORKERS]
    [case] = cases(*short)
    refused = {str(proposal.remedy): proposal.code for proposal in case.proposals}
    assert refused["restart"] == refused["reboot"] == refused["replace"] == "quorum-at-risk"
    assert not refused["promote"]


def test_each_reason_not_to_run_a_command_has_a_code() -> None:
    assert set(OBJECTIONS.values()) <= CODES.keys()


@given(surveys(S))
def test_no_proposal_that_can_be_taken_halts_a_manager_the_quorum_needs(reports: list[NodeReport]) -> None:
    seen = make.survey([*reports, *WORKERS])
    for case in cases(*seen.reports):
        for proposal in case.proposals:
            assert proposal.command
            if str(proposal.remedy) in ("restart", "reboot", "replace") and not proposal.refused and seen.leader:
                assert survives_outage(S.node(case.node), seen.leader.members)


PENDING = replace(make.worker(W1), state=LocalState.PENDING)


@pytest.mark.parametrize(
    ("managers", "worker", "codes"),
    [
        ((make.gone(A), make.gone(B), make.gone(C)), PENDING, {"restart": "no-leader", "reboot": "no-leader"}),
        (
            (make.leaderless(A), make.silent(B), make.silent(C)),
            PENDING,
            {"restart": "no-leader", "reboot": "no-leader"},
        ),
        ((make.gone(A), make.gone(B), make.gone(C)), NodeReport(W1, Reach.NO_ENGINE), {"restart": "", "reboot": ""}),
        ((led(A), led(B), led(C)), PENDING, {"restart": "", "reboot": ""}),
    ],
    ids=["all managers lost", "no quorum", "its engine is down", "a leader"],
)
def test_a_worker_that_waits_for_a_manager_is_not_restarted(
    managers: tuple[NodeReport, ...], worker: NodeReport, codes: dict[str, str]
) -> None:
    """Its containers run. After a restart, no manager starts them again."""
    case = next(one for one in cases(*managers, worker) if one.node == "worker-1")
    assert {str(one.remedy): one.code for one in case.proposals if str(one.remedy) in codes} == codes
    leads = managers[0].control
    assert any(one.effect.endswith("swarm starts their tasks again") for one in case.proposals) is leads


def test_replacing_an_existing_machine_needs_a_command_or_a_word() -> None:
    bare = make.settings(hosts={"driver": "existing"})
    [case] = cases(*WITHOUT_C, make.silent(C), of=bare)
    assert case.proposals[1].command.startswith("requorum fence manager-c --lost; ")
    [case] = cases(*WITHOUT_C, DOWN, of=bare)
    assert case.proposals[2].code == "no-fence-command"


def test_a_manager_without_a_vote_rejoins_by_an_update() -> None:
    members = tuple(
        replace(m, manager_address="", reachable=False) if m.hostname == "manager-c" else m for m in led(A).members
    )
    [case] = cases(replace(led(A), members=members), replace(led(B), members=members), make.leaderless(C))
    assert [(str(p.remedy), p.command) for p in case.proposals] == [("update", "pulumi up")]


@pytest.mark.parametrize(
    ("others", "command"),
    [((led(A), led(B)), "pulumi up"), ((make.gone(A), make.gone(B)), "requorum plan")],
    ids=["beside a quorum", "without one"],
)
def test_a_locked_manager_is_never_to_be_unlocked_by_hand(others: tuple[NodeReport, ...], command: str) -> None:
    """Without a quorum that blocks its engine, and the key lies in escrow."""
    [case] = cases(*others, in_state(C, LocalState.LOCKED))
    assert [(str(p.remedy), p.command) for p in case.proposals] == [("unlock", command)]


def stand_in(members: tuple[Member, ...], name: str) -> tuple[Member, ...]:
    return tuple(
        replace(m, manager_address=f"{m.address}:2377", reachable=True, role="manager") if m.hostname == name else m
        for m in members
    )


def test_who_may_be_promoted(snapshot: SnapshotAssertion) -> None:
    short = make.survey([*WITHOUT_C, make.gone(C), *WORKERS])
    assert objection(S, short, W1) == ""
    assert standby(S, short) == W1
    full = make.survey([led(A), led(B), led(C), *WORKERS])
    assert standby(S, full) is None
    leaderless = make.survey([make.leaderless(A), make.gone(B), make.gone(C)])
    down = make.survey([led(A, unreachable=("manager-c", "worker-1")), led(B), make.gone(C), *WORKERS])
    assert standby(S, down) == W2
    stood = make.survey([replace(WITHOUT_C[0], members=stand_in(WITHOUT_C[0].members, "worker-1"))])
    assert {
        "a manager": objection(S, short, A),
        "all managers vote": objection(S, full, W1),
        "no leader": objection(S, leaderless, W1),
        "not Ready": objection(S, down, W1),
        "a stand-in": objection(S, stood, W1),
        "beside a stand-in": objection(S, stood, W2),
    } == snapshot


def test_a_stand_in_is_preferably_of_a_zone_that_has_no_manager() -> None:
    of_b = [led(A, unreachable=("manager-b",)), make.gone(B), led(C, unreachable=("manager-b",)), *WORKERS]
    assert standby(S, make.survey(of_b)) == W2


def test_a_stand_in_is_demoted_once_every_manager_votes_again() -> None:
    waiting = stand_in(WITHOUT_C[0].members, "worker-1")
    assert not_voting(S, waiting) == ["manager-c"]
    assert not_voting(S, stand_in(led(A).members, "worker-1")) == []


@pytest.mark.parametrize(
    ("seen", "role"),
    [
        (led(A), "manager"),
        (make.leaderless(A), "manager"),
        (replace(make.leaderless(A), raft=False), "worker"),
        (make.worker(W1), "worker"),
        (replace(make.worker(W1), control=True, raft=True), "manager"),
        (make.silent(A), "manager"),
        (in_state(W1, LocalState.PENDING), "worker"),
    ],
)
def test_the_role_that_a_node_has_now(seen: NodeReport, role: str) -> None:
    assert role_now(seen) == role


def test_a_stand_in_that_may_hold_the_log_forbids_a_recovery_beside_it() -> None:
    standing = replace(make.leaderless(W1), raft=True)
    for left in ([make.leaderless(A), make.gone(B), make.gone(C)], [make.gone(A), make.gone(B), make.gone(C)]):
        found: Diagnosis = diagnose(make.survey([*left, standing]), make.CLUSTER, cluster="lab", copies=True)
        assert found.kind == "quorum lost"
        assert found.stand_ins == ("worker-1",)


def test_json_and_lines_say_the_same() -> None:
    seen = make.survey([*WITHOUT_C, DOWN, *WORKERS])
    found = diagnose(seen, make.CLUSTER, cluster="lab", copies=True)
    made = examine(S, seen, found)
    guidance = guide(S, seen, found)
    document = shown.doctor_json(shown.Examined(found, made, guidance))
    assert document["exitCode"] == DEGRADED
    text = "\n".join(shown.doctor_lines(shown.Examined(found, made, guidance)))
    assert f"next: {document['next']}" in text
    for proposal in document["cases"][0]["proposals"]:
        assert proposal["command"] in text
    well = diagnose(make.healthy(S), make.CLUSTER, cluster="lab", copies=True)
    assert shown.doctor_code(well, guide(S, make.healthy(S), well)) == FINE
    assert shown.doctor_lines(shown.Examined(well, (), guide(S, make.healthy(S), well))) == (shown.HEALTHY,)


def test_a_swarm_without_its_managers_is_not_called_well() -> None:
    seen = make.survey([make.gone(manager) for manager in S.managers])
    lost = diagnose(seen, make.CLUSTER, cluster="lab", copies=True)
    lines = shown.doctor_lines(shown.Examined(lost, (), guide(S, seen, lost)))
    assert lines[-1] == "next: requorum plan"
    assert not any(shown.HEALTHY in line for line in lines)


WEB, API, AGENT, IDLE = (
    Service("1", "web", 3),
    Service("2", "api", 2),
    Service("3", "agent", None),
    Service("4", "idle", 0),
)


def test_replicated_services_with_tasks_are_rebalanced() -> None:
    services = (WEB, API, AGENT, IDLE)
    assert chosen(services, ()) == (API, WEB)
    assert chosen(services, ["web"]) == (WEB,)
    for name in ("agent", "idle", "nothing"):
        with pytest.raises(Refused, match="api, web"):
            chosen(services, [name])


def test_nothing_ails_a_member_whose_leader_is_lost_with_it() -> None:
    seen = make.survey([make.leaderless(A), make.gone(B), make.gone(C)])
    assert trouble(seen.of("manager-a"), seen) == ""


@pytest.mark.parametrize(
    ("reports", "first"),
    [
        ([in_state(C, LocalState.ERROR), make.gone(A), make.gone(B)], "recover-first"),
        ([in_state(C, LocalState.PENDING), make.gone(A), make.empty(B)], "recover-first"),
        ([DOWN, make.gone(A), make.gone(B)], ""),
        ([in_state(C, LocalState.ERROR), make.silent(A), make.gone(B)], ""),
        ([in_state(C, LocalState.ERROR), in_state(A, LocalState.ERROR), make.gone(B)], ""),
        ([in_state(C, LocalState.ERROR), *WITHOUT_C], ""),
    ],
    ids=["in error", "pending", "engine down", "one silent", "two left", "a quorum"],
)
def test_a_survivor_is_not_restarted_if_only_a_recovery_helps(reports: list[NodeReport], first: str) -> None:
    case = next(case for case in cases(*reports, *WORKERS) if case.node == "manager-c")
    codes = {str(proposal.remedy): proposal.code for proposal in case.proposals}
    assert codes["restart"] == codes["reboot"] == first


def test_a_survivor_whose_disk_was_full_may_be_restarted_although_the_others_are_lost() -> None:
    seen = make.survey([make.full(C), make.gone(A), make.gone(B)])
    assert not awaits_recovery(seen, seen.of("manager-c"))
    other = make.survey([make.damaged(C), make.gone(A), make.gone(B)])
    assert awaits_recovery(other, other.of("manager-c"))
