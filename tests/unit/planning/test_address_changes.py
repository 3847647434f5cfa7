"""What may move: nobody who votes, and nothing while somebody of this swarm is left at an address of before."""

from dataclasses import replace
from typing import Any

import pytest

from recovery.errors import Refused
from recovery.planning.address_changes import address_changes, forbidden, require_allowed, without_replaced
from recovery.planning.entries import is_forsaken, stale
from recovery.swarm.entries import Member
from recovery.swarm.model import LocalState, NodeReport, Reach
from recovery.swarm.moved import AddressChange, still_in_swarm
from tests.unit import factories as make

S = make.settings()
A, B, C = S.managers
OLD = "10.70.0.1"
MOVE = AddressChange("manager-a", "id-manager-a", OLD, str(A.address))
ELSEWHERE = {"address": OLD, "manager_address": f"{OLD}:2377"}
"""Of an entry that is where it was."""


def test_a_manager_moved_when_its_copy_was_taken_elsewhere() -> None:
    copies = {"manager-a": make.manifest(address=OLD), "manager-b": make.manifest("manager-b", address=str(B.address))}
    assert address_changes(S.managers, copies) == (MOVE,)


def listed(node_report: NodeReport, **changes: Any) -> NodeReport:
    """The report with the entry of manager-a changed."""
    return replace(
        node_report, members=tuple(replace(m, **changes) if m.hostname == A.name else m for m in node_report.members)
    )


BOUND: list[tuple[str, list[NodeReport], bool]] = [
    (
        "it votes where it was",
        [make.silent(A), *(listed(make.manager(n, S.nodes, leader="manager-b"), **ELSEWHERE) for n in (B, C))],
        True,
    ),
    (
        "it is down, and its vote is there still",
        [
            make.gone(A),
            *(
                listed(make.manager(n, S.nodes, leader="manager-b"), **ELSEWHERE, ready=False, reachable=False)
                for n in (B, C)
            ),
        ],
        True,
    ),
    (
        "it was taken out",
        [make.empty(A), *(listed(make.manager(n, S.nodes, leader="manager-b"), node_id="other") for n in (B, C))],
        False,
    ),
    (
        "its vote was taken",
        [
            make.empty(A),
            *(
                listed(make.manager(n, S.nodes, leader="manager-b"), address=OLD, manager_address="", reachable=False)
                for n in (B, C)
            ),
        ],
        False,
    ),
    (
        "forced elsewhere, the log has it where it was",
        [listed(make.manager(A, S.nodes), manager_address=f"{OLD}:2377"), make.empty(B), make.empty(C)],
        False,
    ),
    ("no leader, and others hold the log", [make.gone(A), make.leaderless(B), make.gone(C)], True),
    (
        "no leader, and a worker of the file holds the log",
        [make.gone(A), make.gone(B), make.gone(C), replace(make.leaderless(C), node=S.workers[0])],
        True,
    ),
    ("no leader, and it holds the log where it is now", [make.leaderless(A), make.gone(B), make.gone(C)], False),
    ("everybody is lost", [make.gone(A), make.gone(B), make.gone(C)], False),
]


@pytest.mark.parametrize(("reports", "is_forbidden"), [row[1:] for row in BOUND], ids=[row[0] for row in BOUND])
def test_a_manager_does_not_move_while_the_swarm_has_it_elsewhere(
    reports: list[NodeReport], is_forbidden: bool
) -> None:
    seen = make.survey(reports)
    assert forbidden((MOVE,), seen) == ((MOVE,) if is_forbidden else ())
    if is_forbidden:
        with pytest.raises(Refused, match=rf"manager-a at {OLD}(?s:.*)code: manager-moved"):
            require_allowed(S, (MOVE,), seen)
    else:
        require_allowed(S, (MOVE,), seen)


VOTES = [listed(make.manager(node, S.nodes, leader="manager-b"), **ELSEWHERE) for node in (B, C)]
REPLACED: list[tuple[str, list[NodeReport], bool]] = [
    ("an empty machine is there now", [make.empty(A), *VOTES], True),
    ("a machine is to be made there", [make.gone(A), *VOTES], True),
    ("nothing answers there", [make.silent(A), *VOTES], False),
    ("it is declared lost", [replace(make.silent(A), reach=Reach.NAMED), *VOTES], False),
    ("it runs there itself", [make.manager(A, S.nodes, leader="manager-b"), *VOTES], False),
    ("no leader", [make.empty(A), make.leaderless(B), make.leaderless(C)], False),
]


@pytest.mark.parametrize(("reports", "is_so"), [row[1:] for row in REPLACED], ids=[row[0] for row in REPLACED])
def test_an_empty_machine_takes_a_manager_s_place_while_there_is_a_leader(
    reports: list[NodeReport], is_so: bool
) -> None:
    assert without_replaced((MOVE,), make.survey(reports)) == (() if is_so else (MOVE,))


LEFT: list[tuple[str, NodeReport, bool]] = [
    ("a manager", make.manager(A, S.nodes), True),
    ("a manager without a leader", make.leaderless(A), True),
    ("a worker now", make.worker(A), True),
    ("a log whose engine is down", replace(make.leaderless(A), reach=Reach.NO_ENGINE, state=LocalState.INACTIVE), True),
    ("a log that nobody uses", replace(make.leaderless(A), state=LocalState.INACTIVE), True),
    ("a manager of another swarm", make.manager(A, S.nodes, cluster="other"), False),
    ("an empty machine", make.empty(A), False),
    ("silence", make.silent(A), False),
    ("a machine with another host key", NodeReport(A, Reach.WRONG_KEY), False),
]


@pytest.mark.parametrize(("seen", "is_so"), [row[1:] for row in LEFT], ids=[row[0] for row in LEFT])
def test_nothing_is_restored_while_one_of_this_swarm_is_where_it_was(seen: NodeReport, is_so: bool) -> None:
    assert still_in_swarm(seen, make.CLUSTER) is is_so


ENTRY = Member("old", "manager-a", OLD, "manager", "drain", ready=False)
STALE: list[tuple[str, Member, bool]] = [
    ("down, elsewhere, of its name", ENTRY, True),
    ("down, at its address, of another name", replace(ENTRY, hostname="before", address=str(A.address)), True),
    ("Ready elsewhere", replace(ENTRY, ready=True), False),
    ("votes elsewhere", replace(ENTRY, manager_address=f"{OLD}:2377"), False),
    ("another name elsewhere", replace(ENTRY, hostname="stranger"), False),
    ("its name at another node's address", replace(ENTRY, address=str(B.address)), False),
    ("its own", replace(ENTRY, node_id="own"), False),
    ("a worker of its name elsewhere", replace(ENTRY, role="worker"), False),
    ("Ready, heard from its address", replace(ENTRY, hostname="stranger", address=str(A.address), ready=True), False),
    ("Ready, of its name, at its address", replace(ENTRY, address=str(A.address), ready=True), True),
    ("it votes at its address", replace(ENTRY, hostname="x", ready=True, manager_address=f"{A.address}:2377"), True),
    ("another node's own, heard from its address", replace(ENTRY, node_id="of-b", address=str(A.address)), False),
]


@pytest.mark.parametrize(("entry", "is_so"), [row[1:] for row in STALE], ids=[row[0] for row in STALE])
def test_an_entry_is_stale_that_a_machine_of_before_left_behind(entry: Member, is_so: bool) -> None:
    own = replace(ENTRY, node_id="own", address=str(A.address), ready=True)
    listed = (entry,) if entry.node_id == own.node_id else (own, entry)
    assert stale(listed, A, "own", S.nodes, {A.name: "own", B.name: "of-b"}) == ([entry] if is_so else [])
    assert not (is_forsaken(entry, S.nodes) and (entry.ready or entry.votes))
