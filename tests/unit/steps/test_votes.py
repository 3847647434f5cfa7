"""Whose vote may be taken, and when it is."""

from dataclasses import replace
from typing import Any

import pytest

from recovery.steps import join, votes
from recovery.swarm.model import Member
from recovery.swarm.votes import survives_without
from tests.unit import factories as make


@pytest.mark.parametrize(
    ("managers", "unreachable", "gone", "survives"),
    [
        (3, (), "manager-a", True),
        (3, ("manager-a",), "manager-a", True),
        (3, ("manager-a",), "manager-b", False),
        (2, (), "manager-a", True),
        (2, ("manager-b",), "manager-a", False),
        (5, ("manager-a", "manager-b"), "manager-a", True),
        (5, ("manager-a", "manager-b"), "manager-c", False),
        (1, (), "manager-a", False),
    ],
)
def test_a_vote_is_taken_only_where_the_others_are_a_quorum(
    managers: int, unreachable: tuple[str, ...], gone: str, survives: bool
) -> None:
    nodes = make.settings(5).nodes
    listed = make.members([*nodes[:managers], *nodes[5:]], leader="manager-a", unreachable=unreachable)
    assert survives_without(entry(listed, gone), listed) is survives


def entry(members: tuple[Member, ...], name: str) -> Member:
    return next(member for member in members if member.hostname == name)


class Chief:
    """A leader that takes a vote at once."""

    def __init__(self, members: tuple[Member, ...]) -> None:
        self._members = {member.node_id: member for member in members}

    def members(self) -> tuple[Member, ...]:
        return tuple(self._members.values())

    def member(self, node_id: str) -> Member:
        return self._members[node_id]

    def update_member(self, node_id: str, *, role: str, **_: Any) -> None:
        address = self._members[node_id].manager_address if role == "manager" else ""
        self._members[node_id] = replace(self._members[node_id], role=role, manager_address=address)


def test_a_worker_that_stood_in_is_one_once_its_engine_has_given_up_managing_and_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of = make.settings()
    node = of.workers[0]
    promoted = [replace(node, role="manager") if one == node else one for one in of.nodes]
    leader = make.manager(of.managers[0], promoted)
    of_manager = make.manager(node, promoted)
    says = [of_manager, replace(of_manager, raft=False), replace(of_manager, control=False), make.worker(node)]
    monkeypatch.setattr(votes, "ask", lambda _: says.pop(0))
    monkeypatch.setattr(votes, "sleep", lambda _: None)
    monkeypatch.setattr(join, "take_one", lambda *_: None)
    monkeypatch.setattr(join, "Catalog", lambda _: None)
    chief: Any = Chief(leader.members)
    here: Any = object()
    join._shape(of, chief, node, here, f"id-{node.name}", (), leader, [].append)
    assert says == []
