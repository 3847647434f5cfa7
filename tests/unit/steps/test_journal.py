"""The journal and the reports, on a simulated S3 server: what is written, what a fault of S3 leaves alone."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from recovery import cli
from recovery.cli import cluster as recover_command
from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog
from recovery.errors import EngineError, ProofFailed, StoreError
from recovery.node.signing import Kind as Signature
from recovery.operations import lifecycle, reports
from recovery.operations.assess import Assessment
from recovery.planning.diagnosis import Kind, diagnose
from recovery.planning.plan import Plan
from recovery.planning.steps import Action, Step
from recovery.s3 import store as store_module
from recovery.settings import Settings
from recovery.steps import journal
from recovery.steps import prove as steps_prove
from recovery.steps.entry import BEGUN, DONE, FAILED, Entry, from_document
from recovery.steps.prove import Health
from recovery.survey import workload
from recovery.swarm.records import Unfit
from tests.unit import factories as make
from tests.unit.copies.stored import put

STEP = Step(Action.JOIN, "manager-c", "rejoin", "")


@pytest.fixture
def of(bucket: Any) -> Settings:
    return make.settings()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture(autouse=True)
def no_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workload, "containers", lambda *_: {"worker-1": {"a": "web"}})
    monkeypatch.setattr(steps_prove, "prove", lambda *_, **__: Health(make.CLUSTER, "manager-a"))


def assessment(of: Settings, *steps: Step) -> Assessment:
    seen = make.healthy(of)
    return Assessment(
        seen, diagnose(seen, make.CLUSTER, cluster="lab", copies=True), Plan(Kind.MINORITY_LOST, steps=steps)
    )


def begin(of: Settings, said: list[str], *steps: Step) -> None:
    lifecycle.begin(Cluster(of), assessment(of, *steps), how="pulumi", say=said.append)


def conclude(of: Settings, said: list[str]) -> Health:
    return lifecycle.finish(Cluster(of), make.CLUSTER, how="pulumi", say=said.append)


def broken(*_: object) -> None:
    raise StoreError("writing", "it cannot be reached", remedy="")


def test_a_step_is_written_before_its_effect_and_after_it(of: Settings, said: list[str]) -> None:
    with journal.step(Cluster(of), Action.FORCE, "manager-a", said.append):
        (before,) = journal.read(Cluster(of))
    (after,) = journal.read(Cluster(of))
    assert (before.outcome, before.seconds) == (BEGUN, None)
    assert (after.outcome, after.action, after.node, after.begun) == (DONE, "force", "manager-a", before.begun)
    assert after.seconds is not None
    assert "@" in after.who


@pytest.mark.parametrize("at_first", [set(), {"main"}], ids=["when it ended", "when it began"])
def test_the_end_of_a_step_is_read_although_the_main_site_was_silent_for_a_moment(
    bucket: Any, out: set[str], said: list[str], at_first: set[str]
) -> None:
    bucket.meta.client.create_bucket(Bucket="other")
    two = make.settings(backup={**make.RAW["backup"], "second": {"bucket": "other"}})
    out.update(at_first)
    with journal.step(Cluster(two), Action.FORCE, "manager-a", said.append):
        out.symmetric_difference_update({"main"})
    out.clear()
    (entry,) = journal.read(Cluster(two))
    assert entry.outcome == DONE


def test_a_step_that_fails_says_why_and_still_fails(of: Settings, said: list[str]) -> None:
    error = EngineError("forcing a new cluster", "deadline exceeded", remedy="", node="manager-a")
    with pytest.raises(EngineError), journal.step(Cluster(of), Action.FORCE, "manager-a", said.append):
        raise error
    with pytest.raises(KeyboardInterrupt), journal.step(Cluster(of), Action.JOIN, "manager-b", said.append):
        raise KeyboardInterrupt
    entries = journal.read(Cluster(of))
    assert [(entry.outcome, entry.error) for entry in entries] == [
        (FAILED, "deadline exceeded"),
        (FAILED, "KeyboardInterrupt"),
    ]


def test_s3_being_down_keeps_nothing_from_being_done(
    of: Settings, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for verb in ("put", "keys", "get", "delete"):
        monkeypatch.setattr(store_module.Store, verb, broken)
    done = []
    begin(of, said, STEP)
    with journal.step(Cluster(of), Action.FORCE, "manager-a", said.append):
        done.append("forced")
    assert conclude(of, said).leader == "manager-a"
    assert done == ["forced"]
    assert [line for line in said if "it cannot be reached" in line] == said
    assert len(said) == 5, "the journal read and written at the start, the step twice, the journal read at the end"


def test_a_run_and_its_report_survive_s3_that_is_slow_for_a_moment(
    of: Settings, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def hasty(_: Cluster) -> Any:
        raise StoreError("writing", "no answer within 2 s", remedy="")

    monkeypatch.setattr(Cluster, "hasty", property(hasty))
    begin(of, said, STEP)
    with journal.step(Cluster(of), Action.JOIN, "manager-c", said.append):
        pass
    assert len(said) == 2, "the step waits for nothing, before it and after it"
    with monkeypatch.context() as patched:
        patched.setattr(steps_prove, "prove", lambda *_, **__: broken())
        with pytest.raises(StoreError):
            conclude(of, said)
    assert [entry.action for entry in journal.read(Cluster(of))] == ["plan", "prove"]
    conclude(of, said)
    document = reports.load(Cluster(of))
    assert document["runs"][0]["steps"] == [{"action": "join", "node": "manager-c", "effect": "rejoin"}]


def test_entries_are_oldest_first_and_no_copy_is_one(
    of: Settings, said: list[str], bucket: Any, tmp_path: Path
) -> None:
    named = make.settings().model_copy(update={"managers": tuple(replace(m, name="journal") for m in of.managers[:1])})
    copy = put(named, tmp_path, "journal", 1)
    for node in ("manager-b", "manager-a"):
        with journal.step(Cluster(of), Action.JOIN, node, said.append):
            pass
    bucket.put_object(Key="requorum/lab/journal/20260102T030405000006Z-join-manager-c.json", Body=b"{")
    assert copy.key.startswith("requorum/lab/journal/")
    assert [entry.node for entry in journal.read(Cluster(of))] == ["manager-b", "manager-a"]
    journal.clear(Cluster(of), journal.names(Cluster(of)))
    assert journal.names(Cluster(of)) == ()
    assert Catalog(named).copies == (copy,)


def test_the_proof_folds_the_journal_into_one_report(
    of: Settings, said: list[str], bucket: Any, tmp_path: Path
) -> None:
    of = of.model_copy(update={"report_page": tmp_path / "page.html"})
    copy = put(of, tmp_path, "manager-a", 1)
    begin(of, said, STEP)
    with journal.step(Cluster(of), Action.JOIN, "manager-c", said.append):
        pass
    conclude(of, said)
    (name,) = reports.names(Cluster(of))
    document = reports.load(Cluster(of))
    assert document == reports.load(Cluster(of), name) == reports.every(Cluster(of))[0][0]
    assert [(step["action"], step["node"]) for step in document["steps"]] == [("join", "manager-c"), ("prove", "swarm")]
    assert document["runs"][0]["steps"] == [{"action": "join", "node": "manager-c", "effect": "rejoin"}]
    assert bucket.Object(f"requorum/lab/reports/{name}.md").get()["Body"].read().startswith(b"# Cluster lab")
    page = bucket.Object(f"requorum/lab/reports/{name}.html").get()["Body"].read()
    assert b"Change of cluster lab" in page
    assert page.decode() == (tmp_path / "page.html").read_text()
    assert said[-1] == f"its page is written: {tmp_path / 'page.html'}"
    assert [node["zone"] for node in document["nodes"]][:3] == ["a", "b", "c"]
    assert journal.names(Cluster(of)) == ()
    assert Catalog(of).copies == (copy,), "neither journal nor reports are copies"
    conclude(of, said)
    assert reports.names(Cluster(of)) == [name], "an update that did nothing writes none"


@pytest.mark.parametrize(
    "changed", [{"steps": [{}]}, {"nodes": [1]}, {"rto": {"quorumSeconds": 1, "provenSeconds": "x"}}]
)
def test_no_page_is_made_of_what_nobody_signed_and_is_no_report(
    of: Settings, said: list[str], bucket: Any, changed: dict[str, Any]
) -> None:
    begin(of, said, STEP)
    with journal.step(Cluster(of), Action.JOIN, "manager-c", said.append):
        pass
    conclude(of, said)
    assert "Change of cluster lab" in reports.page(Cluster(of))
    forged, name = {**reports.load(Cluster(of)), **changed}, "20260102T030405000000Z"
    bucket.put_object(Key=f"requorum/lab/reports/{name}.json", Body=json.dumps(forged).encode())
    with pytest.raises(StoreError) as refused:
        reports.page(Cluster(of), name)
    assert refused.value.code == "report-unreadable"


def test_a_page_that_cannot_be_written_does_not_undo_the_proof(of: Settings, said: list[str], tmp_path: Path) -> None:
    of = of.model_copy(update={"report_page": tmp_path / "none" / "page.html"})
    begin(of, said, STEP)
    with journal.step(Cluster(of), Action.JOIN, "manager-c", said.append):
        pass
    assert conclude(of, said)
    assert len(reports.names(Cluster(of))) == 1
    assert "No such file or directory" in said[-1]


def test_entries_that_cannot_be_deleted_are_told_once(
    of: Settings, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module.Store, "delete", broken)
    for node in ("manager-b", "manager-c"):
        begin(of, said, STEP)
        with journal.step(Cluster(of), Action.JOIN, node, said.append):
            pass
        conclude(of, said)
        assert [step["node"] for step in reports.load(Cluster(of))["steps"]] == [node, "swarm"]
    conclude(of, said)
    assert len(reports.names(Cluster(of))) == 2


def test_nothing_to_do_is_no_entry(of: Settings, said: list[str]) -> None:
    begin(of, said)
    assert journal.names(Cluster(of)) == ()


def test_a_proof_that_fails_leaves_the_journal_to_the_next_run(
    of: Settings, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(of, said, STEP)
    with journal.step(Cluster(of), Action.JOIN, "manager-c", said.append):
        pass

    def fails(*_: object, **__: object) -> Health:
        raise ProofFailed("proving the cluster", "worker-1 is not Ready", remedy="")

    with monkeypatch.context() as patched:
        patched.setattr(steps_prove, "prove", fails)
        with pytest.raises(ProofFailed):
            conclude(of, said)
    assert reports.names(Cluster(of)) == []
    begin(of, said, STEP)
    conclude(of, said)
    document = reports.load(Cluster(of))
    assert len(document["runs"]) == 2
    assert [(step["action"], step["outcome"], step["error"]) for step in document["steps"]] == [
        ("join", "done", ""),
        ("prove", "failed", "worker-1 is not Ready"),
        ("prove", "done", ""),
    ]


def test_the_plan_of_a_run_that_did_nothing_is_forgotten(of: Settings, said: list[str]) -> None:
    begin(of, said, STEP)
    begin(of, said, STEP)
    assert len(journal.names(Cluster(of))) == 1
    journal.begin(Cluster(of), Action.FORCE, "manager-a", said.append)
    begin(of, said, STEP)
    assert [entry.action for entry in journal.read(Cluster(of))] == ["plan", "force", "plan"], "it was killed, not idle"


def test_what_a_recovery_began_from_is_handed_to_the_proof(
    of: Settings, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[Any] = []

    def prove(*_: object, before: object, **__: object) -> Health:
        handed.append(before)
        return Health(make.CLUSTER, "manager-a")

    monkeypatch.setattr(steps_prove, "prove", prove)
    conclude(of, said)
    copy = put(of, tmp_path, "manager-a", 1)
    seen = assessment(of, STEP)
    lifecycle.begin(
        Cluster(of),
        Assessment(seen.survey, seen.diagnosis, Plan(Kind.ALL_LOST, steps=(STEP,), copy=copy.name)),
        how="",
        say=said.append,
    )
    conclude(of, said)
    none, before = handed
    assert none is None, "nothing is under way"
    assert before.containers == {"worker-1": {"a": "web"}}
    assert (before.copy, before.inventory.index) == (copy.name, Catalog(of).manifest(copy).inventory.index)


def test_recover_proves_what_an_earlier_run_left_unproven(
    of: Settings, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, done = assessment(of), []
    monkeypatch.setattr(cli.console, "_settings", lambda *_: of)
    monkeypatch.setattr(recover_command, "assess", lambda _: seen)
    monkeypatch.setattr(recover_command, "recover_all", lambda *_, **__: done.append(1) or conclude(of, said))

    def recover() -> str:
        return CliRunner().invoke(cli.app, ["recover", "--yes"]).stdout

    assert "nothing to do" in recover()
    begin(of, said, STEP)
    assert "nothing to do" in recover(), "a plan alone did nothing"
    journal.begin(Cluster(of), Action.JOIN, "manager-c", said.append)
    assert "prove the changes of an earlier run" in recover()
    assert "nothing to do" in recover()
    assert len(done) == 1


def test_what_the_proof_itself_did_is_in_the_report_too(
    of: Settings, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def prove(*_: object, **__: object) -> Health:
        with journal.step(Cluster(of), "restart", "manager-b", said.append):
            return Health(make.CLUSTER, "manager-a")

    monkeypatch.setattr(steps_prove, "prove", prove)
    for _ in range(2):
        begin(of, said, STEP)
        conclude(of, said)
        assert "restart" in {step["action"] for step in reports.load(Cluster(of))["steps"]}
        assert journal.names(Cluster(of)) == ()
    (newest, oldest), _ = reports.every(Cluster(of))
    assert newest["begun"] > oldest["ended"]
    assert [newest["name"], oldest["name"]] == reports.names(Cluster(of))


def test_a_report_that_is_not_there_says_how_to_list_them(of: Settings) -> None:
    with pytest.raises(StoreError, match="requorum reports"):
        reports.load(Cluster(of))


def test_an_entry_reads_back_as_it_was(of: Settings) -> None:
    entry = Entry(
        "plan",
        "lab",
        make.NOW,
        "ann@desk",
        facts={"diagnosis": "healthy", "missing": [], "survivor": None, "copy": None, "containers": {"w": {"a": "b"}}},
    )
    assert from_document(json.loads(json.dumps(entry.to_document()))) == entry
    assert entry.name == "20260102T030405000000Z-plan-lab.json"
    ended = entry.ended(make.NOW + timedelta(seconds=2.5), "broke")
    assert (ended.seconds, ended.outcome, ended.name) == (2.5, FAILED, entry.name)
    assert ended.to_document()["begun"] == "2026-01-02T03:04:05+00:00"


def plan_entry(**facts: Any) -> dict[str, Any]:
    whole = {"diagnosis": "all lost", "missing": [], "survivor": None, "copy": None, **facts}
    return Entry("plan", "lab", make.NOW, "ann@desk", facts=whole).to_document()


@pytest.mark.parametrize(
    "document",
    [
        {},
        {**plan_entry(), "begun": "yesterday"},
        plan_entry(copy="swarm-x"),
        plan_entry(missing="manager-a"),
        plan_entry(containers=[]),
        plan_entry(steps=[{"node": "a"}]),
        plan_entry(leaderSeen={"a": "yesterday"}),
        plan_entry(unsure="all"),
        {**plan_entry(), "facts": []},
        {**plan_entry(), "facts": {}},
        {**plan_entry(), "outcome": "unknown"},
    ],
)
def test_an_entry_of_another_form_is_none_and_stops_no_proof(
    of: Settings, said: list[str], document: dict[str, Any]
) -> None:
    with pytest.raises(Unfit):
        from_document(document)
    begin(of, said, STEP)
    key = f"{of.keys.journal}20260102T030405000000Z-plan-lab.json"
    Cluster(of).store.put(key, Cluster(of).operators.sign(Signature.JOURNAL, key, document))
    assert conclude(of, said)
    assert reports.load(Cluster(of))["verdict"] == "proven"


@pytest.mark.parametrize("text", [b"[]", b"{}", b"\xff", b"null", b'{"rto": {}, "rpo": []}', b"[" * 100_000])
def test_a_report_of_another_form_is_named_and_hides_no_other(of: Settings, said: list[str], text: bytes) -> None:
    begin(of, said, STEP)
    conclude(of, said)
    (good,) = reports.names(Cluster(of))
    junk = "20260102T030405000000Z"
    Cluster(of).store.put(f"{of.keys.reports}{junk}.json", text)
    found, unreadable = reports.every(Cluster(of))
    assert ([report["name"] for report in found], unreadable) == ([good], [junk])
    with pytest.raises(StoreError, match=rf"{junk}(?s:.*)code: report-unreadable$"):
        reports.load(Cluster(of), junk)
