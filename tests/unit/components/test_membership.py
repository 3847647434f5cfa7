"""When the resources change, are replaced, or stay as they are."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest

from components import membership
from components.command_line import Deletion
from components.membership import HELD, NOTED, UNLOCKED, UNPROVEN, HealthProvider, MemberProvider, QuorumProvider
from recovery.cluster import Cluster
from recovery.errors import Refused
from recovery.planning import record, steps
from recovery.planning.diagnosis import Kind
from recovery.planning.plan import Plan
from recovery.planning.steps import Action, Step
from recovery.settings import Settings
from tests.unit import factories as make

QUORUM: dict[str, Any] = {
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


def wanted(availability: str | None, **labels: str) -> dict[str, Any]:
    """What the proof was made for."""
    return {"options": {}, "nodes": {"manager-a": ["manager", availability, labels]}}


@pytest.mark.parametrize(
    ("olds", "news", "changes"),
    [
        ({}, {}, False),
        ({}, {"recovery": {"copy": "one"}}, False),
        ({"recovery": {"copy": "one"}}, {"recovery": {}}, False),
        ({"quorum": "all lost"}, {"recovery": {"copy": "one"}}, True),
        ({"quorum": "quorum lost"}, {}, True),
        ({"quorum": UNPROVEN}, {}, True),
        ({"quorum": UNLOCKED}, {}, True),
        ({"quorum": NOTED}, {}, True),
        ({}, {"options": {"task_history_limit": 3}}, True),
        ({}, {"managers": {"a": "10.0.0.1", "b": "10.0.0.2"}}, True),
        ({}, {"changes": ["task history limit: 5 becomes 3"]}, True),
        ({"changes": ["task history limit: 5 becomes 3"]}, {}, False),
    ],
)
def test_the_quorum_is_only_touched_when_it_is_lost_or_told_otherwise(
    olds: dict[str, Any], news: dict[str, Any], changes: bool
) -> None:
    assert QuorumProvider().diff("c", {**QUORUM, **olds}, {**QUORUM, **news}).changes is changes


@pytest.mark.parametrize(
    ("known", "vouched", "refused"), [("ours", False, True), ("ours", True, False), (None, False, False)]
)
def test_a_copy_under_another_ca_than_the_states_needs_somebody_to_vouch_for_it(
    known: str | None, vouched: bool, refused: bool
) -> None:
    olds = {**QUORUM, "quorum": "all lost", "ca_sha256": known}
    news = {**QUORUM, "recovery": {"copy": "one", "ca": "another", "vouched": vouched}}
    confirmed = r"add another to requorum:caSha256(?s:.*)code: ca-mismatch$"
    with pytest.raises(Refused, match=confirmed) if refused else nullcontext():
        assert QuorumProvider().diff("c", olds, news).changes
    news["recovery"]["ca"] = "ours"
    assert QuorumProvider().diff("c", olds, news).changes


@pytest.mark.parametrize(
    ("news", "changes", "replaces"),
    [
        ({}, False, []),
        ({"labels": {"disk": "ssd"}}, True, []),
        ({"availability": "active"}, True, []),
        ({"role": "worker"}, True, []),
        ({"host": "h2"}, True, []),
        ({"address": "10.0.0.9"}, True, []),
        ({"name": "manager-b"}, True, []),
        ({"availability": None}, False, []),
        ({"changes": ["availability active becomes drain"]}, True, []),
        ({"changes": []}, False, []),
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
        ({}, {"changes": ["worker-1: label disk=ssd is added"]}, True),
        ({"wanted": wanted("drain")}, {"wanted": wanted("drain")}, False),
        ({"wanted": wanted("drain")}, {"wanted": wanted(None)}, False),
        ({"wanted": wanted("drain")}, {"wanted": {"options": {}, "nodes": {"manager-a": ["manager", {}]}}}, False),
        ({"wanted": wanted(None)}, {"wanted": wanted("drain")}, True),
        ({"wanted": wanted("drain")}, {"wanted": wanted(None, disk="ssd")}, True),
        ({"wanted": wanted("drain")}, {"wanted": {**wanted("drain"), "options": {"autolock": True}}}, True),
    ],
)
def test_the_proof_is_made_again_when_what_it_rests_on_changed(
    olds: dict[str, Any], news: dict[str, Any], changes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = make.settings()
    monkeypatch.setattr(membership, "_look", lambda _: make.healthy(of))
    provider = provided(of, HealthProvider, Deletion.CHANGE, monkeypatch)
    assert provider.diff("c", {**HEALTH, **olds}, {**HEALTH, **news}).changes is changes


def test_preview_says_that_another_node_made_the_copy_than_the_last_proof_knew(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    of = make.settings()
    plan = Plan(Kind.ALL_LOST, copy="swarm-1", maker="other", steps=(steps.restore(of.node("manager-a"), "it", "c"),))
    assert record.source_record(Plan(Kind.HEALTHY)) == {}
    provider = provided(of, HealthProvider, Deletion.CHANGE, monkeypatch)
    for maker, told in (("other", True), ("id", False)):
        news = {**HEALTH, **record.source_record(replace(plan, maker=maker))}
        assert not provider.diff("c", HEALTH, news).changes
        assert ("note: node other made swarm-1" in capsys.readouterr().err) is told


@pytest.mark.parametrize(
    ("changes", "known"),
    [
        ({}, "new"),
        ({"ca_sha256": ""}, "old"),
        ({"placed": "a copy"}, "old"),
        ({"cluster_id": "other"}, "old"),
    ],
    ids=["rotated", "unreadable", "restored, not proven", "of another swarm"],
)
def test_the_state_notes_the_ca_of_the_leader_of_its_own_swarm(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], known: str
) -> None:
    of = make.settings()
    leader = replace(make.manager(of.managers[0], of.nodes), ca_sha256="new")
    provider = QuorumProvider()
    monkeypatch.setattr(provider, "_cluster", Cluster(of), raising=False)
    monkeypatch.setattr(membership, "stable_survey", lambda *_, **__: make.survey([replace(leader, **changes)]))
    monkeypatch.setattr(membership, "_look", membership.Look())
    outs = {**QUORUM, "cluster_id": make.CLUSTER, "ca_sha256": "old"}
    assert provider.read("c", outs).outs["ca_sha256"] == known


def test_what_is_read_side_by_side_is_looked_at_once_and_anew_a_moment_later(monkeypatch: pytest.MonkeyPatch) -> None:
    of, looks, now = make.settings(), [], [0.0]
    seen = make.survey([make.manager(node, of.nodes) for node in of.managers])
    monkeypatch.setattr(membership, "stable_survey", lambda *_, **__: (looks.append(now[0]), seen)[1])
    monkeypatch.setattr(membership, "monotonic", lambda: now[0])
    look = membership.Look()
    with ThreadPoolExecutor(max_workers=8) as pool:
        assert set(map(id, pool.map(look, [Cluster(of)] * 8))) == {id(seen)}
    assert looks == [0.0]
    now[0] = membership.MOMENT + 0.1
    look(Cluster(of))
    assert looks == [0.0, now[0]]


NODE = make.settings().managers[0]


@pytest.fixture
def removed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """Which nodes are taken out, and whether the whole swarm ends."""
    done: list[tuple[str, bool]] = []
    monkeypatch.setattr(membership, "remove", lambda _s, node, _id, *, ending, say: done.append((node.name, ending)))
    return done


def provided(of: Settings, kind: type[Any], why: Deletion, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(membership, "deletion", lambda: why)
    provider = kind()
    provider._cluster = Cluster(of)
    return provider


@pytest.mark.parametrize(
    ("why", "settings", "name", "taken_out"),
    [
        (Deletion.CHANGE, {}, "manager-a", []),
        (Deletion.CHANGE, {}, "renamed", []),
        (Deletion.CHANGE, {"managers": make.settings().managers[1:]}, "manager-a", [("manager-a", False)]),
        (
            Deletion.CHANGE,
            {"managers": make.settings().managers[1:], "protect": True},
            "manager-a",
            [("manager-a", False)],
        ),
        (Deletion.PART, {}, "manager-a", []),
        (Deletion.PART, {"managers": make.settings().managers[1:]}, "manager-a", [("manager-a", False)]),
        (Deletion.WHOLE, {}, "manager-a", [("manager-a", True)]),
        (Deletion.PART, {"protect": True}, "manager-a", []),
        (Deletion.WHOLE, {"protect": True}, "manager-a", []),
        (Deletion.WHOLE, {"cluster_id": "taken-over"}, "manager-a", []),
        (Deletion.WHOLE, {"cluster_id": "taken-over", "protect": False}, "manager-a", [("manager-a", True)]),
    ],
)
def test_a_machine_that_the_stack_file_still_has_is_taken_out_only_by_a_destroy(
    why: Deletion,
    settings: dict[str, Any],
    name: str,
    taken_out: list[tuple[str, bool]],
    removed: list[tuple[str, bool]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of = make.settings().model_copy(update=settings)
    provided(of, MemberProvider, why, monkeypatch).delete("id", replace(NODE, name=name).to_json())
    assert removed == taken_out


@pytest.mark.parametrize(
    ("left", "autolock", "stands"),
    [
        ({}, None, HELD),
        ({"opened": True}, None, UNLOCKED),
        ({"opened": True}, True, UNLOCKED),
        ({"opened": True}, False, HELD),
        ({"repaired": "a wrong checksum"}, None, NOTED),
    ],
)
def test_a_refresh_tells_what_an_interrupted_recovery_owes(
    left: dict[str, Any], autolock: bool | None, stands: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = make.settings()
    of = of.model_copy(update={"swarm": replace(of.swarm, autolock=autolock)})
    first, *others = make.healthy(of).reports
    monkeypatch.setattr(membership, "_look", lambda _: make.survey([replace(first, **left), *others]))
    provider = QuorumProvider()
    provider._cluster = Cluster(of)
    assert provider.read("c", {**QUORUM, "cluster_id": make.CLUSTER}).outs["quorum"] == stands


@pytest.mark.parametrize("protect", [False, True])
@pytest.mark.parametrize("why", Deletion)
def test_what_will_be_lost_is_said_before_pulumi_asks_for_consent(
    why: Deletion, protect: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    of = make.settings().model_copy(update={"protect": protect})
    monkeypatch.setattr(membership, "_look", lambda _: make.healthy(of))
    monkeypatch.setattr(membership.ending, "losses", lambda *_: ("the swarm ends",))
    monkeypatch.setattr(membership, "say", said.append)
    provided(of, HealthProvider, why, monkeypatch).read("id", {"cluster_id": make.CLUSTER})
    assert said == (["the swarm ends"] if why is Deletion.WHOLE and not protect else [])


@pytest.mark.parametrize("protect", [False, True])
@pytest.mark.parametrize("why", Deletion)
def test_only_a_destroy_of_the_whole_stack_ends_the_swarm(
    why: Deletion, protect: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []
    monkeypatch.setattr(membership, "dissolve", lambda _s, cluster_id, *, say: ended.append(cluster_id))
    monkeypatch.setattr(membership.ending, "prepare", lambda _s, *, say: ended.append("prepared"))
    of = make.settings().model_copy(update={"protect": protect})
    provided(of, HealthProvider, why, monkeypatch).delete("id", {})
    provided(of, QuorumProvider, why, monkeypatch).delete("the swarm", {})
    assert ended == (["prepared", "the swarm"] if why is Deletion.WHOLE and not protect else [])


@pytest.mark.parametrize(
    ("changes", "quorum", "member"),
    [
        ((), False, False),
        ((steps.lock("manager-a"),), True, False),
        ((steps.join(NODE),), False, True),
        ((steps.finish("manager-a"),), False, True),
    ],
    ids=["nothing", "a lock that a killed run left", "a join", "two entries"],
)
def test_what_the_plan_has_steps_for_is_updated_though_nobody_refreshed(
    changes: tuple[Step, ...], quorum: bool, member: bool
) -> None:
    taken = [replace(step, gives_quorum=step.action is Action.LOCK) for step in changes]
    plan = Plan(Kind.HEALTHY, make.CLUSTER, tuple(taken))
    of_quorum = {**QUORUM, "recovery": record.quorum_record(plan)}
    of_member = {**MEMBER, "recovery": record.member_record(plan, "manager-a")}
    assert QuorumProvider().diff("c", QUORUM, of_quorum).changes is quorum
    assert MemberProvider().diff("id", MEMBER, of_member).changes is member
