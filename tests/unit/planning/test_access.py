"""What is said and refused about nodes that Requorum cannot see into."""

import pytest
from hypothesis import given
from syrupy.assertion import SnapshotAssertion

from recovery.cluster import Cluster
from recovery.error_codes import CODES
from recovery.errors import Refused
from recovery.operations import backup
from recovery.operations.assess import Assessment
from recovery.planning.access import MAY_PASS, advice, faults, in_the_way
from recovery.planning.decide import make_plan
from recovery.planning.diagnosis import Kind, diagnose
from recovery.planning.plan import Source
from recovery.swarm.model import ACCESS_FAULTS, NodeReport, Reach
from tests.unit import factories as make
from tests.unit.planning.test_diagnosis import W1, A, B, C, S, led, surveys

GONE = [make.gone(node) for node in S.managers]
WITHOUT_C = [led(A, unreachable=("manager-c",)), led(B, unreachable=("manager-c",)), make.gone(C)]
FAULTS = sorted(ACCESS_FAULTS)


def assessed(*reports: NodeReport, known: str | None = make.CLUSTER, copies: bool = True) -> Assessment:
    seen = make.survey(reports)
    found = diagnose(seen, known, cluster="lab", copies=copies)
    return Assessment(seen, found, make_plan(found, S, Source(), (), make.NOW))


@pytest.mark.parametrize("reach", FAULTS)
def test_each_fault_has_its_code_and_one_thing_to_do(reach: Reach, snapshot: SnapshotAssertion) -> None:
    found = advice(NodeReport(B, reach, scan=f"ssh-keyscan -p 22 {B.dial}"), S.ssh)
    assert found.code in CODES
    assert "fence" not in found.remedy
    assert found.remedy == snapshot


def test_a_recovery_is_refused_with_the_fault_of_each_node_and_no_word_of_fencing(snapshot: SnapshotAssertion) -> None:
    found = assessed(
        NodeReport(A, Reach.SLOW, "no login within 20 s"),
        NodeReport(B, Reach.LIMITED, "it drops new connections"),
        make.silent(C),
        NodeReport(W1, Reach.NO_RIGHTS, "the login is user 1000: not root, and without sudo that needs no password"),
    )
    assert found.diagnosis.kind is Kind.ACCESS
    assert found.plan.refusal
    assert found.plan.refusal.code == "not-seen"
    with pytest.raises(Refused, match=r"code: slow-login$") as refused:
        found.require_safe(S)
    assert "fence" not in str(refused.value) + found.plan.refusal.remedy
    assert str(refused.value) == snapshot


@pytest.mark.parametrize("reach", FAULTS)
@pytest.mark.parametrize(
    ("others", "node", "blocks"),
    [
        ([make.gone(A), make.gone(B)], C, lambda _: True),
        ([led(A), led(B)], C, lambda reach: reach not in MAY_PASS),
        (WITHOUT_C, W1, lambda reach: reach not in MAY_PASS),
        ([make.leaderless(A), *GONE[1:]], W1, lambda reach: reach not in MAY_PASS),
        (GONE, W1, lambda _: False),
    ],
    ids=[
        "a manager, no leader",
        "a manager, a leader",
        "a worker, a leader",
        "a worker, no leader",
        "all managers lost",
    ],
)
def test_what_is_in_the_way(
    reach: Reach, others: list[NodeReport], node: object, blocks: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = NodeReport(node, reach)  # type: ignore[arg-type]
    found = assessed(*others, kept)
    assert in_the_way(found.survey, found.diagnosis) == ((kept,) if blocks(reach) else ())  # type: ignore[operator]


@pytest.mark.parametrize("reach", FAULTS)
def test_no_cluster_is_created_past_a_node_that_cannot_be_seen_into(reach: Reach) -> None:
    found = assessed(*map(make.empty, S.managers), NodeReport(W1, reach), known=None, copies=False)
    assert found.diagnosis.kind is Kind.ABSENT
    with pytest.raises(Refused):
        found.require_safe(S)


@given(surveys(S))
def test_nobody_is_told_to_fence_while_a_manager_cannot_be_seen_into(reports: list[NodeReport]) -> None:
    found = assessed(*reports)
    if found.survey.leader or not faults(found.survey):
        return
    with pytest.raises(Refused) as refused:
        found.require_safe(S)
    assert "requorum fence" not in str(refused.value)
    assert not found.plan.refusal or "requorum fence" not in found.plan.refusal.remedy


def test_a_backup_names_the_fault_instead_of_a_missing_leader(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = make.survey([NodeReport(node, Reach.DENIED, "the machine does not accept the key") for node in S.managers])
    monkeypatch.setattr(backup, "survey", lambda *_, **__: seen)
    with pytest.raises(
        Refused, match=r"backing up cluster lab(?s:.*)manager-c: access denied(?s:.*)code: access-denied$"
    ):
        backup._order(Cluster(S))
