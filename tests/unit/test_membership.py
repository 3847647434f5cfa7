"""When the resources change, are replaced, or stay as they are."""

from typing import Any

import pytest

from components.membership import HELD, UNPROVEN, HealthProvider, MemberProvider, QuorumProvider

QUORUM = {
    "cluster": "lab",
    "managers": {"a": "10.0.0.1"},
    "options": {},
    "quorum": HELD,
    "recovery": {},
    "generation": 1,
}
MEMBER = {
    "name": "manager-a",
    "address": "10.0.0.1",
    "role": "manager",
    "availability": "drain",
    "labels": {},
    "host": "h1",
    "standing": "member",
}
HEALTH = {
    "cluster_id": "c",
    "generation": 1,
    "members": {"manager-a": "id"},
    "health": "healthy",
    "leader": "manager-a",
}


@pytest.mark.parametrize(
    ("olds", "news", "changes"),
    [
        ({}, {}, False),
        ({}, {"recovery": {"copy": "one"}}, False),
        ({"recovery": {"copy": "one"}}, {"recovery": {}}, False),
        ({"quorum": "all lost"}, {"recovery": {"copy": "one"}}, True),
        ({"quorum": "quorum lost"}, {}, True),
        ({"quorum": UNPROVEN}, {}, True),
        ({}, {"options": {"task_history_limit": 3}}, True),
        ({}, {"managers": {"a": "10.0.0.1", "b": "10.0.0.2"}}, True),
    ],
)
def test_the_quorum_is_only_touched_when_it_is_lost_or_told_otherwise(
    olds: dict[str, Any], news: dict[str, Any], changes: bool
) -> None:
    assert QuorumProvider().diff("c", {**QUORUM, **olds}, {**QUORUM, **news}).changes is changes


@pytest.mark.parametrize(
    ("news", "changes", "replaces"),
    [
        ({}, False, []),
        ({"labels": {"disk": "ssd"}}, True, []),
        ({"availability": "active"}, True, []),
        ({"role": "worker"}, True, []),
        ({"host": "h2"}, True, []),
        ({"address": "10.0.0.9"}, True, []),
        ({"name": "manager-b"}, True, ["name"]),
    ],
)
def test_a_manager_changes_in_place_at_another_address_too(
    news: dict[str, Any], changes: bool, replaces: list[str]
) -> None:
    result = MemberProvider().diff("id", MEMBER, {**MEMBER, **news})
    assert (result.changes, result.replaces) == (changes, replaces)


@pytest.mark.parametrize(
    ("news", "replaces"),
    [({"managers": ["10.0.0.9"]}, []), ({"address": "10.0.0.9"}, ["address"])],
    ids=["managers move", "it moves"],
)
def test_a_worker_is_looked_at_when_managers_move_and_replaced_when_it_does(
    news: dict[str, Any], replaces: list[str]
) -> None:
    worker = {**MEMBER, "role": "worker", "managers": ["10.0.0.1"]}
    result = MemberProvider().diff("id", worker, {**worker, **news})
    assert (result.changes, result.replaces) == (True, replaces)


@pytest.mark.parametrize(
    ("olds", "news", "changes"),
    [
        ({}, {}, False),
        ({"leader": "manager-b"}, {}, False),
        ({"health": "minority lost"}, {}, True),
        ({}, {"generation": 2}, True),
        ({}, {"members": {"manager-a": "other"}}, True),
    ],
)
def test_the_proof_is_made_again_when_what_it_rests_on_changed(
    olds: dict[str, Any], news: dict[str, Any], changes: bool
) -> None:
    assert HealthProvider().diff("c", {**HEALTH, **olds}, {**HEALTH, **news}).changes is changes
