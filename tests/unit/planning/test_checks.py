"""What a proof says beside who is a member: what is fine, what is said, and what it fails on."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

from recovery.planning import checks as planning_checks
from recovery.planning.checks import Before, Result
from recovery.swarm.entries import Member
from recovery.swarm.workload import Inventory, NodeWorkload, Service, Task, Workload
from tests.unit import factories as make

WEB = Service("s1", "web", 2, (("net", "10.0.1.2"),), frozenset({"net"}))
AGENT = Service("s2", "agent", None, (("net", "10.0.1.3"),))
S = make.settings()
IDS = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(("web", "agent")))


def running(*places: tuple[str, str]) -> list[Task]:
    return [Task(service, node, True) for service, node in places]


TASKS: list[tuple[str, Service, list[Task], dict[str, int], Result, str]] = [
    ("all run", WEB, running(("s1", "n1"), ("s1", "n2")), {}, Result.OK, "2 of 2"),
    ("one is missing", WEB, running(("s1", "n1")), {}, Result.WARNING, "1 of 2"),
    ("it was whole before", WEB, running(("s1", "n1")), {"web": 2}, Result.FAILED, "1 of 2"),
    ("it was not whole before", WEB, running(("s1", "n1")), {"web": 1}, Result.WARNING, "1 of 2"),
    ("on a node that is down", WEB, running(("s1", "n1"), ("s1", "down")), {"web": 2}, Result.FAILED, "1 of 2"),
    ("another's tasks do not count", WEB, running(("s2", "n1"), ("s2", "n2")), {}, Result.WARNING, "0 of 2"),
    ("scaled to nothing", Service("s1", "web", 0), [], {"web": 2}, Result.OK, "0 of 0"),
    ("global, on both", AGENT, running(("s2", "n1"), ("s2", "n2")), {"agent": 2}, Result.OK, "2 of 2"),
    ("global, one starts", AGENT, [Task("s2", "n1", True), Task("s2", "n2", False)], {}, Result.WARNING, "1 of 2"),
    ("global, one fails", AGENT, [Task("s2", "n1", True), Task("s2", "n2", False)], {"agent": 2}, Result.FAILED, "1 of 2"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("service", "tasks", "before", "result", "detail"), [r[1:] for r in TASKS], ids=[r[0] for r in TASKS]
)
def test_tasks(service: Service, tasks: list[Task], before: dict[str, int], result: Result, detail: str) -> None:
    ran = {str(number): name for name, count in before.items() for number in range(count)}
    (check,) = planning_checks.tasks(Workload((service,), tuple(tasks)), {"n1", "n2"}, Before({"worker-1": ran}))
    assert (check.result, check.subject) == (result, service.name)
    assert check.detail.startswith(detail)


def test_nodes_that_are_not_named_are_counted_and_nothing_depends_on_them() -> None:
    ready, *_ = make.members(S.workers, leader="")
    (check,) = planning_checks.not_named([ready, replace(ready, node_id="id-x", ready=False)])
    assert check.result is Result.OK
    assert check.detail.startswith("1 Ready, 1 Down")
    assert planning_checks.not_named([]) == ()


def test_a_shared_virtual_ip_names_its_services_and_its_network(snapshot: SnapshotAssertion) -> None:
    twin = Service("s3", "twin", 1, (("net", "10.0.1.2"), ("other", "10.0.2.2")))
    elsewhere = Service("s4", "elsewhere", 1, (("other", "10.0.1.2"),))
    (check,) = planning_checks.addresses([WEB, AGENT, twin, elsewhere])
    assert (check.subject, check.result) == ("twin, web", Result.WARNING)
    (fine,) = planning_checks.addresses([WEB, AGENT, elsewhere])
    assert fine.result is Result.OK
    assert [check.text, fine.text] == snapshot


@given(IDS, IDS)
def test_containers_are_unchanged_only_when_every_id_is_the_same(before: dict[str, str], now: dict[str, str]) -> None:
    check = planning_checks.containers("worker-1", before, now)
    assert (check.result is Result.OK) == (before.keys() == now.keys())
    assert check.result in (Result.OK, Result.WARNING), "swarm may have moved them itself: never a failure"
    if check.result is Result.WARNING:
        assert all(f"({key})" in check.detail for key in before.keys() ^ now.keys())


def test_containers_that_nobody_counted_are_not_checked(snapshot: SnapshotAssertion) -> None:
    checks = [planning_checks.containers("worker-1", None, {}), planning_checks.containers("worker-1", {}, None)]
    assert {check.result for check in checks} == {Result.UNCHECKED}
    assert [check.text for check in checks] == snapshot


GOSSIP: list[tuple[bool | None, bool, Result]] = [
    (True, True, Result.OK),
    (True, False, Result.OK),
    (False, True, Result.FAILED),
    (False, False, Result.WARNING),
    (None, True, Result.UNCHECKED),
]


@pytest.mark.parametrize(("listening", "fatal", "result"), GOSSIP)
def test_gossip(listening: bool | None, fatal: bool, result: Result, snapshot: SnapshotAssertion) -> None:
    check = planning_checks.gossip("manager-a", listening, fatal=fatal)
    assert check.result is result
    assert check.text == snapshot


def test_the_inventory_names_what_the_copy_had_and_the_swarm_has_not(snapshot: SnapshotAssertion) -> None:
    copied = Inventory({"services": frozenset({"web"}), "secrets": frozenset({"one"})}, 5)
    fine = planning_checks.inventory(copied, Inventory({**copied.objects, "configs": frozenset({"new"})}, 9), "swarm-x")
    assert fine.result is Result.OK
    lost = planning_checks.inventory(copied, Inventory({"services": frozenset({"web"})}, 9), "swarm-x")
    assert lost.result is Result.WARNING
    assert [fine.text, lost.text] == snapshot


NAMES: list[tuple[int, str, Result]] = [
    (0, "Name: web", Result.OK),
    (1, "Server: 127.0.0.11\n** server can't find web: NXDOMAIN", Result.WARNING),
    (127, "", Result.UNCHECKED),
    (126, 'exec: "nslookup": executable file not found in $PATH', Result.UNCHECKED),
    (1, "", Result.WARNING),
]


@pytest.mark.parametrize(("status", "output", "result"), NAMES)
def test_names(status: int, output: str, result: Result, snapshot: SnapshotAssertion) -> None:
    check = planning_checks.resolves("web", "c" * 64, status, output)
    assert check.result is result
    assert check.text == snapshot


def test_containers_before_are_counted_by_service_over_all_workers() -> None:
    before = Before({"worker-1": {"a": "web", "b": "agent"}, "worker-2": {"c": "web"}})
    assert before.counts == {"web": 2, "agent": 1}


def test_nothing_fails_where_no_recovery_is_under_way() -> None:
    closed = {node.name: NodeWorkload(False, {}) for node in S.nodes}
    judged = planning_checks.judge(S.nodes, closed, Workload((WEB,)), set(), None)
    assert {check.result for check in judged if check.check in ("gossip", "tasks")} == {Result.WARNING}
    assert {check.check for check in judged} == {"gossip", "virtual IPs", "tasks"}, "nothing is compared with before"


def test_in_a_recovery_managers_must_gossip_and_workers_are_compared_with_before() -> None:
    held = Inventory({}, 1)
    looks = {node.name: NodeWorkload(False, {"a": "web"}) for node in S.nodes if node.name != "worker-2"}
    before = Before({"worker-1": {"a": "web"}, "worker-2": {"b": "web"}}, "swarm-x", held)
    judged = planning_checks.judge(S.nodes, looks, Workload((WEB,), (), held), set(), before)
    assert {(check.check, check.subject, check.result) for check in judged} == {
        ("inventory", "swarm", Result.OK),
        *(("gossip", manager.name, Result.FAILED) for manager in S.managers),
        ("gossip", "worker-1", Result.WARNING),
        ("gossip", "worker-2", Result.UNCHECKED),
        ("containers", "worker-1", Result.OK),
        ("containers", "worker-2", Result.UNCHECKED),
        ("virtual IPs", "services", Result.OK),
        ("tasks", "web", Result.FAILED),
    }


@pytest.mark.parametrize(
    ("places", "availability", "idle"),
    [
        (("n1", "n1", "n2"), "active", ["w3"]),
        (("n1", "n2"), "active", []),
        (("n1", "n1", "n3"), "active", ["w2"]),
        (("n1", "n1", "n2"), "drain", []),
        ((), "active", []),
    ],
)
def test_a_node_without_tasks_is_named_while_another_has_several(
    places: tuple[str, ...], availability: str, idle: list[str]
) -> None:
    members = [
        Member(f"n{number}", f"w{number}", "", "worker", availability if number == 3 else "active", True)
        for number in (1, 2, 3)
    ]
    work = Workload(
        (Service("s1", "web", 3), Service("s2", "agent", None)), tuple(Task("s1", one, True) for one in places)
    )
    everywhere = tuple(Task("s2", member.node_id, True) for member in members)
    found = planning_checks.spread(replace(work, tasks=work.tasks + everywhere), members)
    assert [check.subject for check in found] == idle
