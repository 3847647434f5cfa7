"""Which entry is a node's: by the ID that it tells, and only without that by its address."""

from dataclasses import replace

import pytest

from recovery.swarm.entries import Member, entries_of, of_nobody
from tests.unit import factories as make

S = make.settings()
W1, W2 = S.workers
LISTED = make.members(S.nodes, leader="manager-a")
TOLD = {node.name: f"id-{node.name}" for node in S.nodes}
GATE = "10.77.9.1"
"""The address from which the managers hear several nodes."""


def changed(name: str, **changes: str) -> tuple[Member, ...]:
    return tuple(replace(m, **changes) if m.node_id == f"id-{name}" else m for m in LISTED)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "members",
    [
        LISTED,
        changed("manager-b", hostname="manager-c"),
        changed("worker-1", hostname="worker-2"),
        changed("worker-1", address=GATE),
        changed("worker-1", address="0.0.0.0"),
        changed("manager-b", address="192.0.2.7", manager_address="192.0.2.7:2377"),
        changed("worker-1", address=str(W2.address)),
        tuple(replace(m, address=GATE) if m.role == "worker" else m for m in LISTED),
    ],
    ids=[
        "at their addresses",
        "with another's host name for a moment",
        "two of one host name",
        "NAT",
        "no address",
        "another address is advertised",
        "at another node's address",
        "two behind one address",
    ],
)
def test_nodes_that_tell_their_ids_have_one_entry_each_wherever_they_are_heard_from(
    members: tuple[Member, ...],
) -> None:
    assert [entries_of(node, members, TOLD) for node in S.nodes] == [(member,) for member in members]
    assert of_nobody(S.nodes, members, TOLD) == ()


def test_a_node_that_tells_nothing_is_looked_for_at_its_address() -> None:
    assert entries_of(W1, LISTED, {}) == (LISTED[3],)
    assert entries_of(W1, changed("worker-1", address=GATE), {}) == ()


def test_an_entry_that_a_node_tells_to_be_its_own_is_no_silent_node_s() -> None:
    told = {name: node_id for name, node_id in TOLD.items() if name != W1.name}
    members = tuple(m for m in changed("worker-2", address=str(W1.address)) if m.node_id != "id-worker-1")
    assert entries_of(W1, members, told) == ()
    stranger = replace(LISTED[3], node_id="else", address=GATE)
    assert of_nobody(S.nodes, (*members, stranger), told) == (stranger,)


def test_an_id_of_another_swarm_is_no_entry() -> None:
    assert entries_of(W1, LISTED, {W1.name: "id-elsewhere"}) == (LISTED[3],)
