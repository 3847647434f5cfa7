"""Runs a job of a shipped workflow as a forge's runner does: in a fresh clone, step by step, with that job's secrets alone.

It knows as much of the language of workflows as `pipelines/github` uses. What forges do beside it, such as environments and
concurrency groups, it does not do: lint holds the files to that.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.fake.forge import FakeForge

EXPRESSION = re.compile(r"\$\{\{ *([a-zA-Z_.-]+) *\}\}")
SECONDS = 900


@dataclass
class Ran:
    """What came of a job."""

    status: int
    log: str
    outputs: Mapping[str, str]


@dataclass
class Runner:
    """A runner of one repository, with what its owner put into variables and secrets."""

    bare: Path
    folder: Path
    forge: FakeForge
    variables: Mapping[str, str]
    secrets: Mapping[str, str]
    environment: Mapping[str, str]
    runs: int = 0
    killed: Callable[["subprocess.Popen[str]"], None] | None = None
    """Kills the step that it gets, in place of letting it end."""

    def job(self, workflow: str, name: str, *, request: str = "", **inputs: str) -> Ran:
        """Run a job of main's workflow. ``request`` is the branch of pull request 7, which started it."""
        self.runs += 1
        place = self.folder / f"run-{self.runs}"
        git(self.folder, "clone", "-q", str(self.bare), str(place))
        if request:
            git(place, "worktree", "add", "-q", "--detach", "request", f"origin/{request}")
        document = yaml.safe_load((place / f".github/workflows/requorum-{workflow}.yml").read_text())
        job = document["jobs"][name]
        event = self.folder / "event.json"
        event.write_text(json.dumps({"pull_request": {"number": 7}} if request else {}))
        output, summary = place / "OUTPUT", place / "SUMMARY"
        values = {
            "github.token": self.forge.token,
            "github.workspace": str(place),
            **{f"vars.{key}": value for key, value in self.variables.items()},
            **{f"secrets.{key}": value for key, value in self.secrets.items()},
            **{f"inputs.{key}": value for key, value in inputs.items()},
            **{f"needs.consent.outputs.{key}": value for key, value in inputs.items()},
        }

        def resolved(given: Mapping[str, Any] | None) -> dict[str, str]:
            return {
                key: EXPRESSION.sub(lambda found: values.get(found[1], ""), str(value))
                for key, value in (given or {}).items()
            }

        forge = {
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": self.forge.url,
            "GITHUB_REPOSITORY": "acme/swarm",
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(summary),
        }
        status, log = 0, ""
        for step in job["steps"]:
            if "run" not in step or (status and step.get("if") != "always()"):
                continue
            given = {**self.environment, **forge, **resolved(job.get("env")), **resolved(step.get("env"))}
            ended, said = self._step(step["run"], place, given)
            status, log = status or ended, log + said
        found = dict(line.split("=", 1) for line in output.read_text().splitlines()) if output.exists() else {}
        log += summary.read_text() if summary.exists() else ""
        git(place, "worktree", "prune")
        shutil.rmtree(place, ignore_errors=True)
        return Ran(status, log, found)

    def _step(self, text: str, place: Path, environment: Mapping[str, str]) -> tuple[int, str]:
        words = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", text]
        with subprocess.Popen(
            words, cwd=place, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as step:
            if self.killed and " ci " in text:
                self.killed(step)
            said, _ = step.communicate(timeout=SECONDS)
        return step.returncode, said


def git(folder: Path, *words: str) -> str:
    """What git prints."""
    who = {f"GIT_{part}_{what}": "dev@x" for part in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    given = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")} | who
    done = subprocess.run(["git", *words], cwd=folder, env=given, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout
