"""The account of a recovery: figures from the journal's entries, however many runs it took."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from recovery.cli.show.reports import table
from recovery.operations import report
from recovery.operations.page import markdown as page
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


def plan(seconds: float, kind: Kind = Kind.ALL_LOST, known: Any = None, **changes: Any) -> Entry:
    seen = make.survey([make.gone(node) for node in S.managers] + [make.worker(node) for node in S.workers])
    found = diagnose(seen, make.CLUSTER, cluster="lab", copies=True)
    facts = {**report.opening(Plan(kind, **changes), found, {}, "pulumi", **(known or {})), "diagnosis": str(kind)}
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
    assert told(*entries).rpo.items() >= rpo.items()


def test_a_resumed_recovery_tells_of_both_runs_and_of_what_was_cut_short() -> None:
    cut = at(5, "join", "manager-b", took=None, outcome=BEGUN)
    document = report.as_json(told(*RESTORED[:3], cut, plan(10, Kind.MINORITY_LOST), at(11, "join", "manager-b")), "n")
    assert [run["diagnosis"] for run in document["runs"]] == ["all lost", "minority lost"]
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
    assert "failed: it is another swarm" in page.as_markdown(report.as_json(of, "n"))


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
    assert page.as_markdown(document) == snapshot


def moment(seconds: float) -> datetime:
    return make.NOW + timedelta(seconds=seconds)


SEEN = {
    "copied": moment(-200),
    "leader_seen": {"worker-1": moment(-90), "worker-2": moment(-60), "manager-b": moment(-999)},
}
LOSSES: list[tuple[str, dict[str, Any], tuple[Any, ...], tuple[Any, ...], tuple[Any, ...]]] = [
    ("a node saw it", SEEN, (moment(-60), "worker-2"), (65, 65, 65), (240, 240)),
    ("only a copy bounds it", {"copied": moment(-200)}, (None, None), (None, 5, 205), (None, 300)),
    ("nothing bounds it", {}, (None, None), (None, 5, None), (None, 300)),
    ("a clock is wrong", {"leader_seen": {"worker-1": moment(3)}}, (None, None), (None, 5, None), (None, 300)),
]


@pytest.mark.parametrize(
    ("known", "began", "outage", "rpo"), [row[1:] for row in LOSSES], ids=[row[0] for row in LOSSES]
)
def test_when_the_loss_began_is_told_as_far_as_it_is_known(
    known: dict[str, Any],
    began: tuple[Any, ...],
    outage: tuple[Any, ...],
    rpo: tuple[Any, ...],
    snapshot: SnapshotAssertion,
) -> None:
    """A second run, after an interruption, begins from what the first one knew."""
    of = told(plan(0, copy=COPY, known={**known, "consent": "by its ID"}), *RESTORED[1:], plan(12, Kind.MINORITY_LOST))
    document = json.loads(json.dumps(report.as_json(of, "n")))
    loss = document["loss"]
    assert (loss["began"], loss["seenBy"]) == (began[0] and began[0].isoformat(), began[1])
    assert loss["notBefore"] == (known["copied"].isoformat() if "copied" in known else None)
    assert loss["notAfter"] == make.NOW.isoformat()
    assert tuple(document["outage"].values()) == outage
    assert (document["rpo"]["lossSeconds"], document["rpo"]["lossAtMost"]) == rpo
    assert document["consent"] == {
        "id": Plan(Kind.ALL_LOST, copy=COPY).id,
        "given": "by its ID",
        "by": "ann@desk",
        "at": make.NOW.isoformat(),
    }
    assert [line for line in page.as_markdown(document).splitlines() if line.startswith("- ")][3:8] == snapshot


def test_a_swarm_that_kept_its_quorum_has_no_outage_and_needed_no_consent() -> None:
    document = report.as_json(told(plan(0, Kind.MINORITY_LOST), at(1, "join", "manager-b")), "n")
    assert (document["loss"], document["outage"], document["consent"]) == (None, None, None)


@pytest.mark.parametrize(
    ("recover", "how", "given"),
    [
        ("ID", report.PULUMI, "by its ID"),
        (True, report.PULUMI, "by recover: true"),
        (False, report.COMMAND_LINE, "at the prompt, or by --yes"),
        ("ID", report.COMMAND_LINE, "by its ID"),
    ],
)
def test_how_the_operator_consented(recover: bool | str, how: str, given: str) -> None:
    of = Plan(Kind.ALL_LOST, copy=COPY)
    assert report.consent_given(of, of.id if recover == "ID" else recover, how) == given
    assert report.consent_given(Plan(Kind.MINORITY_LOST), recover, how) == ""


def test_what_to_do_next_depends_on_what_was_lost_and_how_it_came_back() -> None:
    of = replace(told(*RESTORED), data=("orders",), how=report.COMMAND_LINE)
    assert [one["command"] for one in of.next] == [
        "requorum status",
        "requorum copies drill",
        "pulumi up",
        "requorum data restore orders",
    ]
    kept = replace(told(at(1, "join", "manager-b")), data=("orders",))
    assert [one["command"] for one in kept.next] == ["requorum status", "requorum copies drill"]


NEW_KEYS = ("nodes", "loss", "outage", "consent", "next")


def test_a_report_and_a_journal_of_an_earlier_version_are_read() -> None:
    old = report.as_json(told(*RESTORED), "n")
    for key in NEW_KEYS:
        del old[key]
    old["rpo"] = {"seconds": 300, "entries": None}
    shown = page.as_markdown(old)
    assert "RPO: 300 s (the age of the restored copy)" in shown
    assert "consent" not in shown
    facts = {
        key: value for key, value in RESTORED[0].facts.items() if key not in ("id", "consent", "copied", "leaderSeen")
    }
    document = report.as_json(told(replace(RESTORED[0], facts=facts), *RESTORED[1:]), "n")
    assert document["consent"] is None
    assert document["loss"]["began"] is None


def test_the_list_counts_up_to_the_loss_and_old_reports_up_to_their_plan() -> None:
    exact = told(plan(0, copy=COPY, known=SEEN), *RESTORED[1:])
    forced = told(plan(0, Kind.QUORUM_LOST, survivor="manager-b", unsure=3), at(1, "force", "manager-b"))
    documents = [report.as_json(one, "n") for one in (exact, told(*RESTORED), forced)]
    old = {**documents[1], "rpo": {"seconds": 86400, "entries": None}}
    (shown,) = (column for column in table([*documents, old]).columns if column.header == "RPO")
    assert list(shown.cells) == ["240 s", "at most 300 s", "3 entries", "86400 s"]


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
