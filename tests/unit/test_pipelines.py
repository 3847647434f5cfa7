"""The shipped workflows: what they may do, whose code they run, and which job gets which secret."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from recovery.cli import app
from recovery.cli.commands import COMMANDS

SHIPPED = Path(__file__).parents[2] / "pipelines"
WORKFLOWS = {file.stem: yaml.safe_load(file.read_text()) for file in sorted((SHIPPED / "github").glob("*.yml"))}
TRIGGERS = True
"""YAML 1.1 reads the key `on` so."""
GITLAB = yaml.safe_load((SHIPPED / "gitlab/requorum.gitlab-ci.yml").read_text())
RUN = re.compile(r"pipelines/run ((?:ci )?[a-z]+(?: [a-z]+)?)")
TEXTS = {str(file.relative_to(SHIPPED)): file.read_text() for file in SHIPPED.glob("*/*") if file.is_file()}


def jobs() -> Iterator[tuple[str, str, Any]]:
    for name, workflow in WORKFLOWS.items():
        for job, content in workflow["jobs"].items():
            yield name, job, content


JOBS = pytest.mark.parametrize(("workflow", "name", "job"), list(jobs()))


def test_there_is_a_workflow_for_each_purpose() -> None:
    purposes = {"preview", "up", "watch", "drift", "drill", "prune", "recover", "check"}
    assert {name.removeprefix("requorum-") for name in WORKFLOWS} == purposes


@JOBS
def test_an_action_is_pinned_and_leaves_no_token(workflow: str, name: str, job: Any) -> None:
    for step in job["steps"]:
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", step["uses"])
        if "checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


@JOBS
def test_a_job_has_a_limit_in_time_and_names_its_rights(workflow: str, name: str, job: Any) -> None:
    assert WORKFLOWS[workflow]["permissions"] == {}
    assert WORKFLOWS[workflow]["concurrency"]["group"]
    assert 0 < job["timeout-minutes"] <= 60, "shorter than `recovery.pipeline.locks.LONGEST_JOB`"
    assert job["permissions"]["contents"] in ("read", "write")
    assert set(job["permissions"]) <= {"contents", "issues", "pull-requests"}


@JOBS
def test_no_text_of_a_request_gets_into_a_shell(workflow: str, name: str, job: Any) -> None:
    assert [step["run"] for step in job["steps"] if "${{" in step.get("run", "")] == []


def secrets(job: Any) -> set[str]:
    return set(re.findall(r"secrets\.([A-Z_]+)", yaml.safe_dump(job)))


@JOBS
def test_only_jobs_that_open_copies_get_the_identity(workflow: str, name: str, job: Any) -> None:
    opens = (workflow, name) in {
        ("requorum-recover", "recover"),
        ("requorum-watch", "ask"),
        ("requorum-drill", "drill"),
    }
    assert ("AGE_IDENTITY" in secrets(job)) is opens


@JOBS
def test_a_job_with_a_secret_has_an_environment_and_removes_it(workflow: str, name: str, job: Any) -> None:
    assert bool(secrets(job)) is ("environment" in job)
    if secrets(job):
        removal = [step for step in job["steps"] if step.get("run") == "pipelines/secrets remove"]
        assert [step["if"] for step in removal] == ["always()"]


def test_a_request_runs_neither_its_code_nor_its_workflow_with_secrets() -> None:
    for name, workflow in WORKFLOWS.items():
        if "pull_request" in workflow[TRIGGERS]:
            assert not any(secrets(job) for job in workflow["jobs"].values()), name
            assert {job["runs-on"] for job in workflow["jobs"].values()} == {"ubuntu-latest"}, (
                "not the runner of the nodes"
            )
    (preview,) = WORKFLOWS["requorum-preview"]["jobs"].values()
    main, request = (step["with"] for step in preview["steps"] if "checkout" in step.get("uses", ""))
    assert (main["ref"], "path" in main) == ("${{ github.event.repository.default_branch }}", False)
    assert (request["path"], request["sparse-checkout"]) == ("request", "stacks")
    commands = [step["run"] for step in preview["steps"] if "run" in step]
    assert [command for command in commands if "request/" in command] == [
        'exec pipelines/run ci preview --config-file "request/stacks/Pulumi.$PULUMI_STACK.yaml"'
    ]
    assert "head.repo.full_name == github.repository" in preview["if"]


def test_nothing_runs_again_over_itself_and_only_a_preview_is_cancelled() -> None:
    cancelled = {name for name, workflow in WORKFLOWS.items() if workflow["concurrency"]["cancel-in-progress"]}
    assert cancelled == {"requorum-preview", "requorum-check"}


def test_on_gitlab_only_main_gets_to_a_job_with_secrets() -> None:
    for name, job in GITLAB.items():
        if isinstance(job, dict) and job.get("extends") == ".requorum":
            assert all("$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH" in rule["if"] for rule in job["rules"]), name
    asks = GITLAB["requorum-ask-preview"]
    assert "script" not in asks
    assert asks["trigger"]["branch"] == "$CI_DEFAULT_BRANCH"


@pytest.mark.parametrize("file", TEXTS)
def test_each_command_exists(file: str) -> None:
    for words in RUN.findall(TEXTS[file]):
        assert words in COMMANDS


def test_no_file_consents_to_every_plan() -> None:
    assert [file for file, text in TEXTS.items() if "recover: true" in text or "recover=true" in text] == []


@pytest.mark.parametrize(
    ("kind", "file"),
    [
        ("github", ".github/workflows/requorum-preview.yml"),
        ("gitlab", "requorum.gitlab-ci.yml"),
        ("timer", "systemd/requorum-watch.timer"),
        ("service", "systemd/requorum-watcher.service"),
    ],
)
def test_they_are_installed_once_and_replace_nothing(kind: str, file: str, tmp_path: Path) -> None:
    def init() -> Any:
        return CliRunner().invoke(app, ["ci", "init", kind, "--project", str(tmp_path)])

    assert init().exit_code == 0
    assert (tmp_path / file).exists()
    assert "nothing to write" in init().stdout
    (tmp_path / file).write_text("of a person")
    refused = init()
    assert refused.exit_code == 1
    assert "code: file-exists" in refused.stderr
    assert (tmp_path / file).read_text() == "of a person"


def test_secrets_are_written_for_their_owner_alone_and_removed(tmp_path: Path) -> None:
    given = {"PATH": os.environ["PATH"], "SSH_KEY": "line 1\nline 2", "AGE_IDENTITY": ""}
    subprocess.run([SHIPPED / "secrets"], cwd=tmp_path, env=given, check=True)
    folder = tmp_path / ".requorum"
    assert (folder / "ssh-key").read_text() == "line 1\nline 2\n"
    assert [file.name for file in folder.iterdir()] == ["ssh-key"]
    assert {folder.stat().st_mode & 0o777, (folder / "ssh-key").stat().st_mode & 0o777} == {0o700, 0o600}
    subprocess.run([SHIPPED / "secrets", "remove"], cwd=tmp_path, env=given, check=True)
    assert not folder.exists()


def test_a_forge_that_accepts_and_says_nothing_does_not_hold_the_timer_up(tmp_path: Path) -> None:
    """As the ingress of a swarm without a quorum. The limit is a second here."""
    commands, project = tmp_path / "bin", tmp_path / "project"
    commands.mkdir()
    (commands / "timeout").write_text(f'#!/bin/sh\necho "$@"\nshift 3\nexec {shutil.which("timeout")} 1 "$@"\n')
    (commands / "timeout").chmod(0o755)
    (project / "pipelines").mkdir(parents=True)
    shutil.copy(SHIPPED / "pull", project / "pipelines/pull")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        forge = f"http://127.0.0.1:{silent.getsockname()[1]}/swarm.git"
        for words in (("init", "--quiet"), ("remote", "add", "origin", forge)):
            subprocess.run(["git", *words], cwd=project, check=True)
        given = {**os.environ, "PATH": f"{commands}:{os.environ['PATH']}"}
        for name in [name for name in given if name.lower().endswith("_proxy")]:
            del given[name]
        done = subprocess.run([project / "pipelines/pull"], env=given, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, "the watch goes on by the last commit"
    assert "the forge does not answer" in done.stderr
    assert done.stdout == "-k 5 60 git fetch --quiet origin main\n"
