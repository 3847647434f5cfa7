"""The jobs of a pipeline on the fake swarm, with a forge as a real server, and a program in place of pulumi."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recovery.cli import ci_watch, console
from recovery.cluster import Cluster
from recovery.errors import SettingError
from recovery.operations import notify
from recovery.operations.assess import assess
from recovery.pipeline.consent_line import consented
from recovery.planning.diagnosis import Kind
from recovery.planning.plan import Plan
from recovery.settings.notify import Notify
from tests.fake.cases import Case, Scene
from tests.fake.forge import FakeForge
from tests.unit.cli.jobs import ALL, FILE, HELD, NOBODY, ONE, OUTSIDE, PATH


def plan_id(scene: Scene) -> str:
    return assess(Cluster(scene.settings)).plan.id


def test_a_preview_comments_and_a_second_one_edits(stage: Any, forge: FakeForge) -> None:
    _, project = stage(Case(3, NOBODY))
    first = project.job("preview", request=7)
    assert first.exit_code == 0, first.output
    second = project.job("preview", "--no-resources", request=7)
    assert second.exit_code == 0
    assert [one["on"] for one in forge.comments.values()] == [7]
    assert project.outputs["diagnosis"] == "healthy"
    assert json.loads((project.folder / "requorum-job/plan.json").read_text())["diagnosis"] == "healthy"
    assert json.loads((project.folder / "requorum-job/status.json").read_text())["nodes"]
    assert project.pulumi.count("preview --json") == 1
    assert forge.issues() == []


def test_a_preview_that_lacks_only_consent_is_no_fault(stage: Any, forge: FakeForge) -> None:
    scene, project = stage(Case(3, ALL))
    assert project.job("preview", request=7).exit_code == 0
    (comment,) = forge.comments.values()
    assert project.outputs["plan"] == plan_id(scene)
    assert project.outputs["plan"] in comment["body"]


def test_a_drift_is_one_issue_until_it_is_gone(stage: Any, forge: FakeForge) -> None:
    _, project = stage(Case(3, NOBODY))
    change = '{"steps": [{"op": "update", "urn": "urn:pulumi:lab::requorum::a:b:C::quorum"}]}'
    for _ in range(2):
        assert project.job("preview", "--drift", PREVIEWED=change).exit_code == 3
    assert ["quorum" in one["body"] for one in forge.issues()] == [True]
    assert project.job("preview", "--drift").exit_code == 0
    assert (forge.issues(), forge.requests()) == ([], [])


def test_a_link_in_place_of_a_stack_file_is_not_read(stage: Any, forge: FakeForge) -> None:
    _, project = stage(Case(3, NOBODY))
    secret = project.folder.parent / f"{project.folder.name}-key"
    secret.write_text("a: secret\n b: key")
    (project.folder / PATH).unlink()
    (project.folder / PATH).symlink_to(secret)
    done = project.job("preview", request=7)
    assert done.exit_code == 1
    (comment,) = forge.comments.values()
    assert "code: stack-file-link" in comment["body"]
    assert "secret" not in done.output + comment["body"]
    secret.unlink()


def test_a_stack_file_with_a_mistake_gets_a_comment_that_names_it(
    stage: Any, forge: FakeForge, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, project = stage(Case(3, NOBODY))

    def wrong(*_: Any) -> Any:
        raise SettingError("nodes", "manager-a has no address", remedy="correct the stack file", code="bad-setting")

    monkeypatch.setattr(console, "_settings", wrong)
    assert project.job("preview", request=7).exit_code == 2
    (comment,) = forge.comments.values()
    assert "manager-a has no address" in comment["body"]


def test_a_request_that_names_commands_is_not_previewed(stage: Any, forge: FakeForge) -> None:
    _, project = stage(Case(3, NOBODY))
    theirs = project.folder / "request" / PATH
    theirs.parent.mkdir(parents=True)
    theirs.write_text(FILE + '  requorum:hosts: {driver: existing, presence: [sh, -c, "touch owned"]}\n')
    done = project.job("preview", "--config-file", str(theirs), request=7)
    assert done.exit_code == 1
    (comment,) = forge.comments.values()
    assert "it changes requorum:hosts" in comment["body"]
    assert "code: request-not-previewed" in comment["body"]
    assert (project.pulumi, (project.folder / "owned").exists()) == ("", False)
    theirs.write_text(FILE + "  requorum:zones: [a, b, c]\n")
    assert project.job("preview", "--config-file", str(theirs), request=7).exit_code == 0
    assert len(forge.comments) == 1


def test_a_healthy_swarm_is_left_alone(stage: Any, forge: FakeForge) -> None:
    _, project = stage(Case(3, NOBODY))
    assert project.job("watch", "--heal").exit_code == 0
    assert (forge.issues(), forge.requests(), project.pulumi) == ([], [], "")


def test_a_minority_is_reported_once_and_healed_when_that_is_switched_on(stage: Any, forge: FakeForge) -> None:
    _, project = stage(Case(3, ONE))
    for _ in range(2):
        assert project.job("watch").exit_code == 3
    assert [one["title"] for one in forge.issues()] == ["Stack lab: 2 of 3 managers"]
    assert project.pulumi == ""
    assert project.job("watch", REQUORUM_HEAL="1").exit_code == 0
    assert "up --yes --skip-preview --non-interactive --stack lab" in project.pulumi


def test_healing_that_fails_is_an_error_and_is_told(stage: Any, forge: FakeForge) -> None:
    _, project = stage(Case(3, ONE))
    assert project.job("watch", "--heal", PULUMI_STATUS="255").exit_code == 1
    assert len(forge.issues()) == 1


def test_a_loss_is_asked_recovered_by_its_id_only_and_closed(stage: Any, forge: FakeForge) -> None:
    scene, project = stage(Case(3, ALL))
    ours = plan_id(scene)
    for _ in range(2):
        assert project.job("watch", "--heal").exit_code == 4
    (issue,), (request,) = forge.issues(), forge.requests()
    assert f"https://forge.example/{request['number']}" in issue["body"]
    assert ours in request["title"]
    assert forge.commits == [("requorum/recover-lab", PATH, request["title"])]
    assert project.pulumi == "", "nobody consented yet"
    assert project.job("up").exit_code == 4
    assert project.pulumi == "", "up never recovers"

    text = forge.files["requorum/recover-lab"][PATH]
    forge.files["main"][PATH] = text
    (project.folder / PATH).write_text(text)
    assert project.job("recover", "--show").exit_code == 0
    assert project.outputs["plan"] == ours
    assert project.pulumi == ""
    assert project.job("up").exit_code == 4, "also with the merged consent"
    project.job("recover")
    assert f"requorum:recover: {ours}" in project.pulumi
    assert (project.folder / PATH).read_text() == text

    stale = project.job("recover", "--plan", "r0123456789abcdef")
    assert stale.exit_code == 1
    assert "code: consent-stale" in stale.stderr


def test_a_recovered_swarm_closes_what_was_opened_and_asks_to_remove_the_line(stage: Any, forge: FakeForge) -> None:
    _, project = stage(Case(3, NOBODY))
    text = FILE + "  requorum:recover: r0123456789abcdef\n"
    forge.files["main"][PATH] = text
    (project.folder / PATH).write_text(text)
    forge.open("Stack lab: all lost", "<!-- requorum:watch:lab -->\nlost", by=forge.account)
    done = project.job("recover")
    assert done.exit_code == 0, done.output
    assert forge.issues() == []
    (request,) = forge.requests()
    assert request["branch"] == "requorum/recovered-lab"
    assert forge.files["requorum/recovered-lab"][PATH] == FILE


def test_a_stack_file_without_consent_recovers_nothing(stage: Any, forge: FakeForge) -> None:
    _, project = stage(Case(3, ALL))
    assert project.job("recover").exit_code == 0
    (project.folder / PATH).write_text(FILE + "  requorum:recover: true\n")
    assert project.job("recover").exit_code == 0
    assert project.job("recover", "--plan", "true").exit_code == 2
    assert project.pulumi == ""


def test_without_an_identity_a_total_loss_is_reported_and_another_job_asks(stage: Any, forge: FakeForge) -> None:
    _, project = stage(Case(3, ALL))
    assert project.job("watch", "--heal", BLIND="1").exit_code == 4
    assert (project.outputs["act"], project.outputs["blind"]) == ("say", "true")
    (issue,) = forge.issues()
    assert "all lost" in issue["title"]
    assert (forge.requests(), project.pulumi) == ([], "")
    project.job("watch")
    assert project.outputs["act"] == "ask"
    assert len(forge.issues()) == len(forge.requests()) == 1


def test_a_changed_plan_is_another_request(stage: Any, forge: FakeForge) -> None:
    _, project = stage(Case(3, ALL))
    project.job("watch")
    branch = forge.files["requorum/recover-lab"]
    branch[PATH] = branch[PATH].replace(consented(branch[PATH]), "r0123456789abcdef")
    (request,) = forge.requests()
    request["title"] = "Recover stack lab by plan r0123456789abcdef"
    project.job("watch")
    assert consented(forge.files["requorum/recover-lab"][PATH]) == project.outputs["plan"]
    (asked,) = forge.requests()
    assert (project.outputs["plan"] in asked["title"], asked["number"] == request["number"]) == (True, False)


def test_a_file_that_main_does_not_have_still_gets_an_issue(stage: Any, forge: FakeForge) -> None:
    _, project = stage(Case(3, ALL))
    forge.files["main"].clear()
    done = project.job("watch")
    assert done.exit_code == 4
    assert "code: unreadable-file" in done.stderr
    assert (len(forge.issues()), forge.requests()) == (1, [])


def test_a_stack_file_of_windows_gets_its_request_and_keeps_its_line_ends(stage: Any, forge: FakeForge) -> None:
    scene, project = stage(Case(3, ALL))
    forge.files["main"][PATH] = FILE.replace("\n", "\r\n")
    (project.folder / PATH).write_bytes(forge.files["main"][PATH].encode())
    assert project.job("watch").exit_code == 4
    assert len(forge.requests()) == 1
    consent = f"config:\r\n  requorum:recover: {plan_id(scene)}\r\n  requorum:cluster: lab\r\n"
    assert forge.files["requorum/recover-lab"][PATH] == consent
    (project.folder / PATH).write_bytes(consent.encode())
    project.job("recover")
    assert f"requorum:recover: {plan_id(scene)}" in project.pulumi


FAULTS = [(403, "forge-denied"), (422, "forge-failed"), (500, "forge-failed"), (429, "forge-limited")]


@pytest.mark.parametrize(("status", "code"), FAULTS)
def test_the_work_is_done_whatever_the_forge_answers(stage: Any, forge: FakeForge, status: int, code: str) -> None:
    _, project = stage(Case(3, ONE))
    forge.fault = lambda *_: (status, {"Retry-After": "0"})
    done = project.job("watch")
    assert done.exit_code == 6, done.output
    assert f"code: {code}" in done.stderr
    assert project.job("watch", "--heal").exit_code == 0, "there is nothing to tell"
    assert "up --yes" in project.pulumi


def test_without_a_token_the_work_is_done_and_the_exit_status_says_so(stage: Any, forge: FakeForge) -> None:
    _, project = stage(Case(3, NOBODY))
    done = project.job("watch", GITHUB_TOKEN="")
    assert done.exit_code == 6
    assert "code: forge-denied" in done.stderr


def test_outside_a_forge_it_prints(stage: Any, forge: FakeForge) -> None:
    _, project = stage(Case(3, ONE))
    done = project.job("watch", **OUTSIDE)
    assert done.exit_code == 3
    assert "2 of 3 managers" in done.stdout
    assert forge.calls == []


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Title and text of each notification."""
    made: list[tuple[str, str]] = []

    class Services:
        def notify(self, title: str, body: str, **_: Any) -> bool:
            made.append((title.removeprefix("swarm lab: "), body))
            return True

    monkeypatch.setattr(notify, "_services", lambda _: Services())
    return made


def notifying(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stack file of the stage names services."""
    inner, named = console._settings, Notify(urlsFile=Path("urls"))  # type: ignore[call-arg]
    monkeypatch.setattr(console, "_settings", lambda *given: inner(*given).model_copy(update={"notify": named}))


def test_outside_a_forge_a_lost_quorum_is_notified_once_with_how_to_consent(
    stage: Any, told: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `pipelines/timer`, which runs these three each few minutes."""
    scene, project = stage(Case(3, ALL))
    notifying(monkeypatch)
    for _ in range(2):
        assert [project.job(word, **OUTSIDE).exit_code for word in ("recover", "watch", "up")] == [0, 4, 4]
    assert [title for title, _ in told] == ["consent needed: all lost"]
    ours = plan_id(scene)
    consent = f"to consent: commit the line requorum:recover: {ours}, or run: pulumi up --config recover={ours}"
    assert consent in told[0][1].splitlines()


def test_outside_a_forge_what_is_not_healed_and_its_end_are_notified_once(
    stage: Any, told: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, project = stage(Case(3, ONE))
    notifying(monkeypatch)
    for words in (("watch", "--heal"), ("watch",), ("watch",)):
        assert project.job(*words, **OUTSIDE, PULUMI_STATUS="255").exit_code in (1, 3)
    assert [title for title, _ in told] == ["2 of 3 managers"]
    assert "healing failed" in told[0][1]

    seen, healthy = ci_watch.watch.seen, {"kind": Kind.HEALTHY, "plan": Plan(Kind.HEALTHY), "well": True}
    with monkeypatch.context() as patch:
        patch.setattr(ci_watch.watch, "seen", lambda *given: replace(seen(*given), **healthy))
        for _ in range(2):
            project.job("watch", **OUTSIDE)
    assert [title for title, _ in told[1:]] == ["watch recovered"]


@pytest.mark.parametrize("token", ["t0ken", ""])
def test_in_a_forge_its_issue_and_no_notification_tells(
    stage: Any, told: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    _, project = stage(Case(3, ALL))
    notifying(monkeypatch)
    assert project.job("watch", GITHUB_TOKEN=token).exit_code == (4 if token else 6)
    assert told == []


def test_two_watchers_heal_once(stage: Any, forge: FakeForge) -> None:
    _, project = stage(Case(3, ONE))
    lock = project.lock()
    done = project.job("watch", "--heal")
    assert done.exit_code == 3, done.output
    assert "code: pulumi-locked" in done.stderr
    assert (project.pulumi, forge.issues(), lock.exists()) == ("", [], True)
    assert project.job("unlock").exit_code == 3
    lock.write_text(json.dumps(HELD | {"timestamp": "2001-01-02T03:04:05.123456789Z"}))
    unlocked = project.job("unlock")
    assert (unlocked.exit_code, lock.exists()) == (0, False)
    assert "is gone" in unlocked.stdout
    assert "no lock" in project.job("unlock").stdout
