"""Warnings that do not depend on what is wrong."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from recovery.planning.warnings import declared_lost, doubles, unnamed, warnings
from recovery.swarm import maintenance
from recovery.swarm.found import Validity
from recovery.swarm.model import NodeReport, Reach
from recovery.swarm.on_node import OnNode
from tests.unit import factories as make

S = make.settings()
A, B, C = S.managers
W1, W2 = S.workers
LED = tuple(make.manager(node, S.nodes) for node in S.managers)
WELL = (*LED, make.worker(W1), make.worker(W2))


def heard_from(reports: tuple[NodeReport, ...], name: str, address: str) -> list[NodeReport]:
    """The reports, with the leader hearing of the named node at another address."""
    return [
        replace(r, members=tuple(replace(m, address=address) if m.hostname == name else m for m in r.members))
        for r in reports
    ]


def test_a_healthy_swarm_has_none() -> None:
    assert warnings(make.survey(WELL)) == ()


@pytest.mark.parametrize(("left", "told"), [(1, "requorum restart manager-b"), (-1, "requorum doctor")])
def test_an_engine_whose_certificate_has_ended_is_not_to_be_restarted(left: int, told: str) -> None:
    """It would not come back into the swarm."""
    ends = make.NOW + timedelta(days=left)
    seen = (LED[0], replace(LED[1], certificate=Validity(ends - timedelta(days=90), ends)), *WELL[2:])
    [warning] = warnings(make.survey(seen))
    assert warning.endswith(f"next: {told}")


def test_an_identity_that_is_heard_from_elsewhere_too(snapshot: SnapshotAssertion) -> None:
    [warning] = doubles(make.survey(heard_from(WELL, "manager-b", "10.77.2.99")))
    assert warning == snapshot


@pytest.mark.parametrize(
    ("name", "address", "changes"),
    [
        ("manager-b", "", {}),
        ("manager-b", "0.0.0.0", {}),
        ("manager-b", "10.77.2.99", {"on_node": OnNode(addresses=("10.77.2.12", "10.77.2.99"))}),
        ("manager-b", "10.77.2.99", {"advertised": "10.77.2.99"}),
        ("worker-1", "10.77.2.99", {}),
    ],
    ids=["it has not reported yet", "it reports to itself", "its second address", "it advertises another", "NAT"],
)
def test_a_node_that_is_heard_from_another_address_of_its_own(name: str, address: str, changes: dict[str, Any]) -> None:
    reports = [replace(r, **changes) if r.node.name == name else r for r in heard_from(WELL, name, address)]
    assert doubles(make.survey(reports)) == ()


def test_an_old_machine_that_is_heard_from_while_the_new_one_is_gone() -> None:
    lost = (make.manager(A, S.nodes, unreachable=("manager-b",)), make.gone(B), LED[2])
    [warning] = doubles(make.survey(heard_from(lost, "manager-b", "10.77.2.99")))
    assert "from 10.77.2.99" in warning


def test_two_nodes_of_one_identity(snapshot: SnapshotAssertion) -> None:
    twins = (*LED, make.worker(W1), replace(make.worker(W2), node_id="id-worker-1"))
    assert doubles(make.survey(twins)) == snapshot


def test_a_voting_manager_that_the_stack_file_does_not_name(snapshot: SnapshotAssertion) -> None:
    [warning] = unnamed(make.survey((LED[0], LED[1], make.worker(W1))))
    assert warning == snapshot


def test_a_declaration_of_loss_says_whether_a_machine_is_awaited(snapshot: SnapshotAssertion) -> None:
    declared = replace(make.silent(A), reach=Reach.NAMED, named="declared lost 1 min ago by ops@desk: switched off")
    answers = replace(make.empty(B), named="declared lost 1 min ago by ops@desk: switched off")
    assert declared_lost(make.survey((declared, answers, make.silent(C)))) == snapshot


def maintained(label: str, availability: str) -> tuple[str, ...]:
    """The warnings about worker-1 with this note."""
    changed = {"labels": {maintenance.NOTE: label}, "availability": availability}
    led = [
        replace(r, members=tuple(replace(m, **changed) if m.hostname == W1.name else m for m in r.members)) for r in LED
    ]
    return warnings(make.survey((*led, *WELL[3:])))


def test_a_maintenance_that_should_have_ended(snapshot: SnapshotAssertion) -> None:
    [warning] = maintained(f"active {make.NOW - timedelta(minutes=1):%Y-%m-%dT%H:%M}Z", "drain")
    assert warning == snapshot


def test_a_node_in_maintenance_that_somebody_made_active(snapshot: SnapshotAssertion) -> None:
    [warning] = maintained("pause", "active")
    assert warning == snapshot


@pytest.mark.parametrize("label", ["active", "active 2099-01-01T00:00:00+00:00"])
def test_a_maintenance_that_goes_on_is_no_warning(label: str) -> None:
    assert maintained(label, "drain") == ()
