"""What an update changes beside its steps: only what the settings name, and each of it in a line."""

from dataclasses import replace
from typing import Any

import pytest

from recovery.planning.changes import find
from recovery.planning.diagnosis import Kind
from recovery.planning.plan import Plan
from recovery.planning.steps import demote
from recovery.settings import Settings
from recovery.swarm.drained import NOTE
from recovery.swarm.found import SwarmFacts
from recovery.swarm.machines import SwarmOptions
from recovery.swarm.model import Survey
from recovery.swarm.on_node import OnNode
from tests.unit import factories as make

NOTHING = Plan(Kind.HEALTHY)
SPEC: dict[str, Any] = {
    "Orchestration": {"TaskHistoryRetentionLimit": 5},
    "Raft": {"SnapshotInterval": 10_000, "KeepOldSnapshots": 0},
    "Dispatcher": {"HeartbeatPeriod": 5_000_000_000},
    "CAConfig": {"NodeCertExpiry": 7_776_000_000_000_000},
    "EncryptionConfig": {"AutoLockManagers": False},
}


def adopted(**changes: Any) -> Settings:
    """The settings of a swarm that was taken over."""
    return make.settings(clusterId=make.CLUSTER, **changes)


def found(of: Settings, facts: SwarmFacts | None = None, **entries: dict[str, Any]) -> Survey:
    """A healthy swarm in which the entries of some nodes, by name, have other values."""
    seen = make.healthy(of)
    reports = [
        replace(
            report,
            members=tuple(replace(m, **entries.get(m.hostname.replace("-", "_"), {})) for m in report.members),
            swarm=facts if report.members else None,
        )
        for report in seen.reports
    ]
    return make.survey(reports)


def test_managers_are_drained_where_requorum_creates_the_swarm_and_left_alone_where_it_was_there() -> None:
    assert {manager.availability for manager in make.settings().managers} == {"drain"}
    assert {manager.availability for manager in adopted().managers} == {None}
    named = adopted()
    raw = make.raw(clusterId=make.CLUSTER, managers=[{"address": "10.77.1.11", "availability": "drain"}])
    assert named.adopted
    assert raw["managers"][0]["availability"] == "drain"


@pytest.mark.parametrize("availability", ["active", "pause", "drain"])
def test_what_the_settings_of_a_swarm_that_was_there_do_not_name_is_no_change(availability: str) -> None:
    of = adopted()
    seen = found(of, manager_a={"availability": availability, "labels": {"theirs": "1"}})
    assert find(of, seen, NOTHING, {}).lines == ()


WORKERS = [
    {"name": "worker-1", "address": "10.77.1.21", "availability": "drain", "labels": {"disk": "ssd", "rack": "2"}}
]


@pytest.mark.parametrize(
    ("entry", "texts"),
    [
        ({"availability": "drain", "labels": {"disk": "ssd", "rack": "2", "theirs": "1"}}, ()),
        ({"labels": {"disk": "ssd", "rack": "2"}}, ("availability active becomes drain",)),
        (
            {"availability": "drain", "labels": {"disk": "hdd"}},
            ("label disk: hdd becomes ssd", "label rack=2 is added"),
        ),
        (
            {"availability": "drain", "role": "manager", "labels": {"disk": "ssd", "rack": "2"}},
            ("manager becomes worker",),
        ),
        (
            {"availability": "drain", "labels": {"disk": "ssd", "rack": "2", NOTE: "active"}},
            ("the note of an interrupted removal or walk is taken off",),
        ),
    ],
    ids=["as it should be", "availability", "labels", "role", "a note"],
)
def test_each_change_of_an_entry_is_a_line(entry: dict[str, Any], texts: tuple[str, ...]) -> None:
    of = adopted(workers=WORKERS)
    assert find(of, found(of, worker_1=entry), NOTHING, {}).entries == ({"worker-1": texts} if texts else {})


def test_the_availability_that_an_interrupted_removal_took_is_given_back_where_the_settings_name_none() -> None:
    of = adopted(workers=[{"name": "worker-1", "address": "10.77.1.21"}])
    drained = {"availability": "drain", "labels": {NOTE: "pause"}}
    assert find(of, found(of, worker_1=drained), NOTHING, {}).entries == {
        "worker-1": ("availability drain becomes pause", "the note of an interrupted removal or walk is taken off")
    }


def test_a_manager_that_votes_and_is_not_ready_is_healed_by_the_next_update() -> None:
    of = make.settings()
    assert find(of, found(of, manager_b={"ready": False}), NOTHING, {}).entries == {
        "manager-b": ("it votes and is not Ready, so its engine is restarted",)
    }
    assert find(of, found(of, manager_b={"ready": False, "reachable": False}), NOTHING, {}).entries == {}


def test_a_step_of_the_plan_says_it_already() -> None:
    of = make.settings()
    seen = found(of, worker_1={"role": "manager"})
    assert find(of, seen, Plan(Kind.HEALTHY, steps=(demote("worker-1"),)), {}).entries == {}


def test_a_manager_of_a_swarm_that_requorum_created_is_drained_again_and_that_is_shown() -> None:
    of = make.settings()
    changes = find(of, found(of, manager_b={"availability": "active"}), NOTHING, {})
    assert changes.lines == ("change: manager-b: availability active becomes drain",)
    assert changes.of_swarm == ("manager-b: availability active becomes drain",)


@pytest.mark.parametrize(
    ("wanted", "texts"),
    [
        ({}, ()),
        ({"task_history_limit": 5, "autolock": False, "cert_expiry_hours": 2160, "max_snapshots": 0}, ()),
        ({"task_history_limit": 0}, ("task history limit: 5 becomes 0",)),
        ({"dispatcher_heartbeat_seconds": 10}, ("heartbeat in seconds: 5 becomes 10",)),
        ({"cert_expiry_hours": 720}, ("validity of certificates in hours: 2160 becomes 720",)),
        ({"autolock": True}, ("autolock is switched on",)),
    ],
)
def test_each_option_that_the_settings_name_and_the_swarm_has_otherwise_is_a_line(
    wanted: dict[str, Any], texts: tuple[str, ...]
) -> None:
    of = adopted().model_copy(update={"swarm": SwarmOptions(**wanted)})
    assert find(of, found(of, SwarmFacts(SPEC)), NOTHING, {}).options == texts


def test_options_that_a_join_changed_for_a_while_are_put_back_and_are_no_change_of_what_the_settings_name() -> None:
    short = {**SPEC, "Raft": {"SnapshotInterval": 1}, "Labels": {"requorum.raft": "10000 500"}}
    of = adopted().model_copy(update={"swarm": SwarmOptions(snapshot_interval=10_000)})
    changes = find(of, found(of, SwarmFacts(short)), NOTHING, {})
    assert changes.options == ("the raft options that an interrupted join has changed are put back",)
    assert changes.alters


def test_another_data_path_port_than_the_settings_is_told() -> None:
    of = adopted()
    (note,) = find(of, found(of, SwarmFacts(SPEC, 4790)), NOTHING, {}).notes
    assert "4790" in note
    told = of.model_copy(update={"swarm": SwarmOptions(data_path_port=4790)})
    assert find(told, found(told, SwarmFacts(SPEC, 4790)), NOTHING, {}).notes == ()


def test_an_entry_that_an_earlier_machine_left_is_shown_before_it_is_removed() -> None:
    of = make.settings()
    seen = make.healthy(of)
    old = replace(seen.reports[0].members[-1], node_id="before", ready=False)
    reports = [replace(r, members=(*r.members, old)) if r.members else r for r in seen.reports]
    assert find(of, make.survey(reports), NOTHING, {}).entries == {
        old.hostname: (f"the old entry before of {old.hostname} is removed",)
    }


@pytest.mark.parametrize(
    ("named", "there", "told"),
    [
        (None, "", ""),
        ("192.0.2.21", "192.0.2.21", ""),
        (None, "192.0.2.21", "Set the node's dataPathAddress to it"),
        ("192.0.2.21", "", "only when it joins again. It has none"),
        ("192.0.2.21", "192.0.2.22", "only when it joins again. It has 192.0.2.22"),
    ],
    ids=["none", "named", "not named", "not there", "another"],
)
def test_a_data_path_address_that_would_be_lost_or_has_no_effect_is_told(
    named: str | None, there: str, told: str
) -> None:
    of = adopted(
        workers=[{"name": "worker-1", "address": "10.77.1.21", **({"dataPathAddress": named} if named else {})}]
    )
    reports = [
        replace(r, on_node=OnNode(data_path=there)) if r.node.name == "worker-1" else r
        for r in make.healthy(of).reports
    ]
    notes = find(of, make.survey(reports), NOTHING, {}).notes
    assert len(notes) == bool(told)
    assert told in " ".join(notes)


@pytest.mark.parametrize(
    ("on_node", "drift"),
    [
        (OnNode(agent="digest"), ()),
        (OnNode(), ("it has no agent",)),
        (None, ()),
        (OnNode(agent="old"), ("its agent is of another release or has other settings",)),
        (
            OnNode(agent="digest", units=("requorum-copy.timer",), stopped=("requorum-copy.timer",)),
            ("requorum-copy.timer of its agent is not as installed", "requorum-copy.timer of its agent does not run"),
        ),
    ],
    ids=["as installed", "not there yet", "nobody looked", "of another release", "changed by hand"],
)
def test_how_an_agent_differs_is_said(on_node: OnNode | None, drift: tuple[str, ...]) -> None:
    of = adopted()
    first, *others = make.healthy(of).reports
    seen = make.survey([replace(first, on_node=on_node), *others])
    assert find(of, seen, NOTHING, {"manager-a": "digest"}).agents["manager-a"] == drift
    assert find(of, seen, NOTHING, {}).agents["manager-a"] == (), "no agent is wanted"


def test_what_differs_on_a_machine_is_one_line_and_a_tool_that_lacks_is_for_the_operator() -> None:
    of = adopted()
    first, *others = make.healthy(of).reports
    bare = OnNode(agent="old", lacks=("age", "zstd"))
    changes = find(of, make.survey([replace(first, on_node=bare, marked=""), *others]), NOTHING, {"manager-a": "new"})
    assert changes.drift == (
        "drift: manager-a: it is not prepared for this cluster; its agent is of another release or has other settings; "
        "it lacks age, zstd (apt-get install age docker.io iproute2 iptables openssl python3 tar zstd)",
    )


def test_without_a_leader_nothing_is_known() -> None:
    of = make.settings()
    assert find(of, make.survey([make.leaderless(node) for node in of.managers]), NOTHING, {}).lines == ()


def test_an_engine_that_does_not_tell_its_options_is_no_fault() -> None:
    assert SwarmFacts.of(None) is None
    assert SwarmFacts.of({"ID": "x"}) is None
    assert SwarmFacts.of({"Spec": {}, "DataPathPort": 0}) == SwarmFacts()
