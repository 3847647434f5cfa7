"""`requorum ci drill`: one issue while a drill fails, none when all are proven, and the exit status says how many were."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from recovery import cli
from recovery.cli import ci_drill, console
from recovery.copies.copy import Copy
from recovery.copies.manifest import Proof, Verdict
from recovery.errors import Refused
from recovery.operations.drill import Drill
from tests.fake.forge import FakeForge, serving
from tests.unit import factories as make

Run = Callable[..., Result]


@pytest.fixture
def forge() -> Iterator[FakeForge]:
    with serving(FakeForge()) as made:
        yield made


@pytest.fixture
def run(bucket: Any, forge: FakeForge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the job; each verdict is that of the drill of another manager's copy."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(console, "_settings", lambda *_: make.settings())

    def job(*verdicts: Verdict, **more: str) -> Result:
        def drilled(*_: Any, **__: Any) -> Iterator[Drill]:
            for node, verdict in zip(make.settings().managers, verdicts, strict=False):
                key = f"requorum/lab/{node.name}/swarm-28.5.1-{node.name}-20260101T010101000000Z.tar.zst.age"
                copy = Copy(key, node.name, make.NOW)
                why = "" if verdict is Verdict.PROVEN else "its `log` is <torn>"
                yield Drill(copy, node.name, Proof(verdict, make.NOW, why), 12.5, 60.0)

        monkeypatch.setattr(ci_drill.drills, "drill", drilled)
        given = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": forge.url,
            "GITHUB_REPOSITORY": "acme/swarm",
            "GITHUB_TOKEN": forge.token,
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
        }
        return CliRunner().invoke(cli.app, ["ci", "drill", "-s", "lab"], env=given | more)

    return job


P, F, U = Verdict.PROVEN, Verdict.FAILED, Verdict.UNPROVEN


@pytest.mark.parametrize(
    ("verdicts", "status", "told"),
    [((P, P, P), 0, False), ((P, F, P), 3, True), ((P, U), 3, True), ((F, F), 1, True), ((), 1, True)],
    ids=["all proven", "one failed", "one not tried", "all failed", "no copy"],
)
def test_what_it_says_of_drills(run: Run, forge: FakeForge, verdicts: Any, status: int, told: bool) -> None:
    done = run(*verdicts)
    assert done.exit_code == status, done.output
    assert f"{verdicts.count(P)} of {len(verdicts)} copies are proven" in done.stdout
    assert [one["title"] for one in forge.issues()] == ["Stack lab: a drill failed"] * told
    assert len(json.loads(Path("requorum-job/drills.json").read_text())["drills"]) == len(verdicts)
    assert Path("summary").read_text().count("12.5 s") == len(verdicts)


def test_one_issue_is_edited_and_closed(run: Run, forge: FakeForge) -> None:
    run(P, F)
    run(F, F)
    (issue,) = forge.issues()
    assert issue["body"].count("- swarm-") == 2
    assert "<torn>" not in issue["body"], "text of a node stays text"
    assert run(P, P).exit_code == 0
    assert forge.issues() == []


def test_a_forge_that_does_not_answer_hides_no_result(run: Run, forge: FakeForge) -> None:
    forge.fault = lambda *_: (403, {})
    assert run(P, F).exit_code == 6
    assert run(F).exit_code == 1, "an error comes first"


def test_a_drill_that_is_refused_is_an_error(run: Run, forge: FakeForge, monkeypatch: pytest.MonkeyPatch) -> None:
    run(P)

    def refused(*_: Any, **__: Any) -> Any:
        raise Refused("drilling", "no manager answers", remedy="requorum status", code="node-unreachable")

    class Drills:
        drill = refused

    monkeypatch.setattr(ci_drill, "drills", Drills)
    done = CliRunner().invoke(cli.app, ["ci", "drill", "-s", "lab"])
    assert (done.exit_code, "code: node-unreachable" in done.stderr) == (1, True)
