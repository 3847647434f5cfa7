"""The account of a recovery: figures from the journal's entries, however many runs it took."""

import json
from datetime import timedelta
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from recovery.operations import report
from recovery.operations.report import RecoveryReport
from recovery.planning.checks import Check, Result
from recovery.planning.diagnosis import Kind, diagnose
from recovery.planning.plan import Plan
from recovery.steps.entry import BEGUN, DONE, FAILED, PLAN, Entry
from tests.unit import factories as make

COPY = make.copy_of(make.manifest(ago=timedelta(minutes=5))).name
S = make.settings()


def at(seconds: float, action: str, node: str, *, took: float | None = 1, outcome: str = DONE, **facts: Any) -> Entry:
    return Entry(action, node, make.NOW + timedelta(seconds=seconds), "ann@desk", outcome, took, facts=facts)


def plan(seconds: float, kind: Kind = Kind.ALL_LOST, **changes: Any) -> Entry:
    seen = make.survey([make.gone(node) for node in S.managers] + [make.worker(node) for node in S.workers])
    found = diagnose(seen, make.CLUSTER, cluster="lab", copies=True)
    facts = report.opening(Plan(kind, **changes), found, {}, "pulumi")
    return at(seconds, PLAN, "lab", took=None, outcome=BEGUN, **facts)


def told(*entries: Entry, checks: tuple[Check, ...] = ()) -> RecoveryReport:
    return RecoveryReport("lab", make.CLUSTER, "manager-a", entries, at(20, "prove", "swarm", took=4), "pulumi", checks)


RESTORED = (
    plan(0, copy=COPY),
    at(1, "rebuild", "manager-a"),
    at(3, "restore", "manager-a", took=2),
    at(9, "join", "manager-b"),
)


def test_the_times_run_from_the_first_effect_and_not_from_the_plan() -> None:
    assert told(*RESTORED).rto == {"provenSeconds": 23, "quorumSeconds": 4}


RPO: list[tuple[str, tuple[Entry, ...], dict[str, int | None]]] = [
    ("restored", RESTORED, {"seconds": 300, "entries": None}),
    ("forced", (plan(0, Kind.QUORUM_LOST, survivor="manager-b", unsure=3), at(1, "force", "manager-b")), {"seconds": None, "entries": 3}),
    ("minority", (plan(0, Kind.MINORITY_LOST), at(1, "join", "manager-b")), {"seconds": 0, "entries": 0}),
    ("resumed after the restore", (*RESTORED, plan(12, Kind.MINORITY_LOST), at(13, "join", "manager-c")), {"seconds": 300, "entries": None}),
    ("planned twice", (plan(-60, copy=COPY), at(-59, "rebuild", "manager-a"), *RESTORED), {"seconds": 300, "entries": None}),
    ("no plan was written", (at(1, "join", "manager-b"),), {"seconds": 0, "entries": 0}),
]  # fmt: skip


@pytest.mark.parametrize(("entries", "rpo"), [row[1:] for row in RPO], ids=[row[0] for row in RPO])
def test_what_may_be_missing(entries: tuple[Entry, ...], rpo: dict[str, int | None]) -> None:
    assert told(*entries).rpo == rpo


def test_a_resumed_recovery_tells_of_both_runs_and_of_what_was_cut_short() -> None:
    cut = at(5, "join", "manager-b", took=None, outcome=BEGUN)
    document = report.as_json(told(*RESTORED[:3], cut, plan(10, Kind.MINORITY_LOST), at(11, "join", "manager-b")), "n")
    assert [run["diagnosis"] for run in document["runs"]] == ["all lost", "all lost"], "as diagnosed"
    joins = [(step["outcome"], step["seconds"]) for step in document["steps"] if step["action"] == "join"]
    assert joins == [("interrupted", None), ("done", 1)]
    assert document["copy"] == COPY
    assert document["rto"]["provenSeconds"] == 23
    assert document["lost"] == ["manager-a", "manager-b", "manager-c"]


def test_of_two_copies_that_were_planned_the_later_is_what_was_restored() -> None:
    older = make.copy_of(make.manifest(ago=timedelta(minutes=9))).name
    of = told(plan(-60, copy=older), at(-59, "restore", "manager-a", outcome=FAILED), *RESTORED)
    assert (report.as_json(of, "n")["copy"], of.rpo["seconds"]) == (COPY, 300)


def test_a_step_that_failed_is_no_quorum() -> None:
    failed = Entry("force", "manager-b", make.NOW, "ann@desk", FAILED, 2, "it is another swarm")
    of = told(plan(0, survivor="manager-b"), failed)
    assert of.rto["quorumSeconds"] is None
    assert "failed: it is another swarm" in report.as_markdown(report.as_json(of, "n"))


def test_the_page_says_what_counts_and_the_json_holds_it(snapshot: SnapshotAssertion) -> None:
    checks = (
        Check("gossip", "manager-a", Result.OK),
        Check("containers", "worker-1", Result.WARNING, "gone web | x\ny"),
    )
    of = told(*RESTORED, checks=checks)
    document = json.loads(json.dumps(report.as_json(of, "20260102T030429000000Z")))
    assert document["version"] == 1
    assert document["proof"][1] == {
        "check": "containers",
        "subject": "worker-1",
        "result": "warning",
        "detail": "gone web | x\ny",
    }
    assert report.as_markdown(document) == snapshot


def test_a_first_build_lost_nothing() -> None:
    seen = make.survey([make.empty(node) for node in S.nodes])
    found = diagnose(seen, None, cluster="lab", copies=False)
    entry = at(0, PLAN, "lab", **report.opening(Plan(found.kind), found, {}, "pulumi"))
    assert found.missing
    assert told(entry).lost == []


def test_containers_are_those_of_the_first_plan_that_knew_the_worker() -> None:
    first = at(0, PLAN, "lab", containers={"worker-1": {"a": "web"}})
    second = at(9, PLAN, "lab", containers={"worker-1": {"b": "web"}, "worker-2": {"c": "web"}})
    assert report.containers_before([first, second]) == {"worker-1": {"a": "web"}, "worker-2": {"c": "web"}}
