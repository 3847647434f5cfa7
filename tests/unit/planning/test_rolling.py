"""The order of a walk over all nodes, and when it may take the next ones."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.planning import rolling
from recovery.planning.rolling import Walk
from recovery.swarm import walk_mark
from recovery.swarm.drained import NOTE
from recovery.swarm.engine_version import reaches
from recovery.swarm.entries import Member
from recovery.swarm.model import LocalState, Reach, Survey
from recovery.swarm.walk_mark import BEGUN, DONE, LABEL, OVER, Mark
from recovery.swarm.workload import Service, Task
from tests.unit import factories as make

WALK = Walk("reboot", "rebooting every node", "reboot", "requorum reboot --all")
WORKERS = [{"name": f"worker-{number}", "address": f"10.77.1.{40 + number}"} for number in range(1, 6)]


def seen(managers: int = 3, workers: int = 2, *, leader: str = "manager-a", **marks: str) -> Survey:
    """A healthy swarm. ``marks`` are the values of the label by node, with _ for -."""
    of = make.settings(managers, workers=WORKERS[:workers], clusterId=None if managers in (1, 3, 5, 7) else "x")

    def marked(entry: Member) -> Member:
        mark = marks.get(entry.hostname.replace("-", "_"))
        return replace(entry, labels={LABEL: mark}) if mark else entry

    reports = [make.manager(node, of.nodes, leader=leader) for node in of.managers]
    reports = [replace(one, members=tuple(map(marked, one.members))) for one in reports]
    return make.survey([*reports, *(replace(make.worker(node), engine="20.10.24") for node in of.workers)])


def order(walk: Walk, survey: Survey) -> list[tuple[str, ...]]:
    return [batch.nodes for batch in rolling.batches(walk, survey)]


def test_workers_come_in_batches_then_managers_and_the_leader_last() -> None:
    found = order(replace(WALK, batch=2), seen(3, 5, leader="manager-b"))
    assert found == [
        ("worker-1", "worker-2"),
        ("worker-3", "worker-4"),
        ("worker-5",),
        ("manager-a",),
        ("manager-c",),
        ("manager-b",),
    ]


def test_what_is_begun_comes_first_and_what_is_done_no_more() -> None:
    marks = {"worker_1": "reboot done", "worker_2": "reboot begun abc drained", "manager_c": "reboot begun abc"}
    assert order(WALK, seen(**marks)) == [("worker-2",), ("manager-c",), ("manager-b",), ("manager-a",)]


def test_a_walk_that_is_over_takes_nobody_and_one_that_begins_anew_takes_everybody() -> None:
    over = seen(worker_1="reboot over", worker_2="reboot done")
    assert order(WALK, over) == []
    assert rolling.of_others(WALK, over) == ()
    anew = replace(WALK, anew=True)
    assert len(order(anew, over)) == 5
    assert [entry.hostname for entry in rolling.of_others(anew, over)] == ["worker-1", "worker-2"]


def test_nodes_with_the_engine_are_left_out_unless_they_are_begun() -> None:
    upgrade = replace(WALK, name="upgrade-20.10", version="20.10")
    assert order(upgrade, seen()) == []
    assert order(upgrade, seen(manager_b="upgrade-20.10 begun abc")) == [("manager-b",)]
    assert len(order(replace(upgrade, version="26.1"), seen())) == 5


@given(
    managers=st.integers(1, 7),
    workers=st.integers(0, 5),
    batch=st.integers(1, 4),
    states=st.lists(st.sampled_from(("", "reboot begun b", "reboot done", "run-1 begun b")), min_size=12, max_size=12),
)
def test_every_node_that_is_left_is_taken_once_and_a_manager_is_never_away_with_another(
    managers: int, workers: int, batch: int, states: Sequence[str]
) -> None:
    names = [*(f"manager_{letter}" for letter in "abcdefg"[:managers]), *(f"worker_{n}" for n in range(1, workers + 1))]
    survey = seen(managers, workers, **dict(zip(names, states, strict=False)))
    found = order(replace(WALK, batch=batch), survey)
    taken = [name for nodes in found for name in nodes]
    done = {
        report.node.name
        for report in survey.reports
        if survey.entry(report.node) and (m := Mark.of(survey.entry(report.node))) and m.text == "reboot done"
    }
    assert sorted(taken) == sorted({report.node.name for report in survey.reports} - done)
    assert all(len(nodes) == 1 for nodes in found if nodes[0].startswith("manager"))
    begun = [
        nodes
        for nodes in found
        if all(Mark.of(survey.entry(survey.of(n).node)) == Mark("reboot", BEGUN, "b") for n in nodes)
    ]
    assert found[: len(begun)] == begun
    fresh = [nodes[0].partition("-")[0] for nodes in found[len(begun) :]]
    assert fresh == sorted(fresh, reverse=True), "workers before managers"


@pytest.mark.parametrize(
    ("managers", "votes"),
    [
        (3, "votes 3 -> 2, tolerates 0"),
        (5, "votes 5 -> 4, tolerates 1"),
        (2, "votes 2 -> 1, tolerates 0, no quorum until it is back"),
    ],
)
def test_a_preview_says_what_the_quorum_tolerates(managers: int, votes: str) -> None:
    texts = [batch.text for batch in rolling.batches(WALK, seen(managers, 1))]
    assert texts[0] == "worker-1: drain, reboot, then active again"
    assert texts[-1] == f"manager-a: reboot, drained before and after, {votes}"


def code(walk: Walk, survey: Survey) -> str:
    found = rolling.objection(walk, survey, rolling.following(walk, survey))
    return found.code if found else ""


def changed(survey: Survey, name: str, **fields: Any) -> Survey:
    reports = (replace(one, **fields) if one.node.name == name else one for one in survey.reports)
    return replace(survey, reports=tuple(reports))


def unreachable(survey: Survey, name: str) -> Survey:
    def entry(of: Member) -> Member:
        return replace(of, reachable=False, ready=False) if of.hostname == name else of

    reports = (replace(one, members=tuple(map(entry, one.members))) for one in survey.reports)
    return replace(survey, reports=tuple(reports))


@pytest.mark.parametrize(
    ("survey", "expected"),
    [
        (seen(), ""),
        (seen(2), ""),
        (seen(1, 0), "quorum-at-risk"),
        (seen(2, 0), "quorum-at-risk"),
        (changed(seen(), "worker-1", reach=Reach.SILENT), "node-unwell"),
        (changed(seen(), "worker-2", reach=Reach.SILENT), "node-unwell"),
        (changed(seen(), "worker-2", state=LocalState.INACTIVE), "node-unwell"),
        (changed(seen(), "manager-c", reach=Reach.SILENT), "node-unwell"),
        (unreachable(seen(), "manager-c"), "node-unwell"),
        (unreachable(seen(), "worker-2"), "node-unwell"),
        (changed(seen(worker_1="reboot begun b"), "worker-1", reach=Reach.SILENT), "node-not-back"),
        (unreachable(seen(worker_1="reboot begun b"), "worker-1"), ""),
        (unreachable(seen(manager_b="reboot begun b"), "manager-b"), ""),
        (unreachable(seen(manager_b="reboot begun b"), "manager-c"), "node-unwell"),
        (unreachable(seen(manager_b="reboot begun b"), "worker-1"), "node-unwell"),
        (unreachable(seen(manager_b="run-1 begun b"), "manager-b"), "node-unwell"),
    ],
)
def test_nothing_is_taken_while_another_node_is_not_well_or_if_the_quorum_needs_it(
    survey: Survey, expected: str
) -> None:
    assert code(WALK, survey) == expected


def test_a_manager_that_the_quorum_needs_may_be_taken_if_that_is_accepted() -> None:
    assert code(replace(WALK, without_quorum=True), seen(1, 0)) == ""


def test_without_a_leader_nothing_is_taken() -> None:
    of = make.settings()
    assert code(WALK, make.survey([make.leaderless(node) for node in of.managers])) == "no-leader"


def test_notes_name_what_is_done_what_is_left_alone_and_services_that_lie_on_one_node() -> None:
    service = Service("s", "web", 3)
    tasks = [Task("s", node, True) for node in ("id-worker-1", "id-worker-1", "id-worker-2")]
    found = list(rolling.notes(WALK, seen(worker_1="reboot done"), [service], tasks))
    assert found == [
        "done already: worker-1",
        "web has 2 of its 3 tasks on one node, and swarm stops them together when the node is drained",
    ]


def test_a_service_is_whole_with_all_its_tasks_on_nodes_that_are_ready() -> None:
    services = [Service("a", "web", 2), Service("b", "api", 1), Service("c", "every", None)]
    tasks = [Task("a", "1", True), Task("a", "2", True), Task("b", "1", False), Task("c", "1", True)]
    assert rolling.whole(services, tasks, {"1", "2"}) == {"web"}
    assert rolling.whole(services, tasks, {"1"}) == frozenset()


@pytest.mark.parametrize(
    ("engine", "wanted", "expected"),
    [
        ("28.0.4", "28.0", True),
        ("28.1.0", "28.0.4", True),
        ("28.0.3+dfsg1", "28.0.4", False),
        ("26.1.5+dfsg1", "28", False),
        ("28.5.2", "28", True),
        ("29.0.0", "28.5", True),
        ("20.10.24+dfsg1", "20.10.24", True),
        ("", "28", False),
    ],
)
def test_an_engine_reaches_a_version(engine: str, wanted: str, expected: bool) -> None:
    assert reaches(engine, wanted) is expected


ENTRY = Member("id", "worker-1", "10.77.1.41", "worker", "active", True)


@pytest.mark.parametrize("mark", [Mark("reboot", BEGUN, "abc", True), Mark("run-1", DONE), Mark("upgrade-28.0", OVER)])
def test_a_mark_is_read_as_it_was_written(mark: Mark) -> None:
    assert Mark.of(replace(ENTRY, labels={LABEL: mark.text})) == mark


@pytest.mark.parametrize("text", ["", "reboot", "reboot gone", "x y z", " "])
def test_a_label_of_somebody_else_is_no_mark(text: str) -> None:
    assert Mark.of(replace(ENTRY, labels={LABEL: text})) is None


@pytest.mark.parametrize("before", ["active", "pause", "drain"])
def test_a_node_gets_back_what_it_had(before: str) -> None:
    entry = replace(ENTRY, availability=before, labels={NOTE: "active"} if before == "drain" else {})
    for _ in range(2):  # also begun twice
        mark, drain, labels = walk_mark.begun(entry, "reboot", "abc")
        entry = replace(entry, availability=drain or entry.availability, labels={**entry.labels, **labels})
        assert entry.availability == "drain"
        assert mark.boot == "abc"
    availability, without = walk_mark.given_back(entry)
    assert (availability or entry.availability) == before
    assert (NOTE in without) is (before != "drain"), "a note of somebody else stays"
