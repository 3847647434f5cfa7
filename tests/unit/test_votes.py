"""Whose vote may be taken."""

import pytest

from recovery.model import Member
from recovery.votes import survives_without
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
