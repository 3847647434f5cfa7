"""Runs the shipped workflow files themselves: GitHub's by act, GitLab's by gitlab-ci-local, each in a fresh clone of the forge's repository.

Neither has concurrency groups, environments or rights: lint holds the files to those. Actions that a runner would fetch are
replaced by what they do here.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from lab.stack import PROJECT
from tests.fake.forge import FakeForge
from tests.lab.runner import git

SECONDS = 1500
CACHE = os.environ.get("REQUORUM_CACHE") or str(
    Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "requorum"
)
"""What Requorum has made on this machine already: a runner keeps it between its jobs, too."""
NUMBER = 7
"""The number of the pull request."""
CHECKOUT = """
name: checkout
inputs: {ref: {default: ""}, path: {default: "."}, persist-credentials: {default: ""}, sparse-checkout: {default: ""}}
runs:
  using: composite
  steps:
    - shell: bash
      env: {REF: "${{ inputs.ref }}", FOLDER: "${{ inputs.path }}"}
      run: |
        mkdir -p "$FOLDER" && cd "$FOLDER" && git init -q .
        git fetch -q "$FORGE_BARE" '+refs/heads/*:refs/remotes/origin/*'
        git checkout -q --force --detach "$(git rev-parse -q --verify "origin/${REF:-$FORGE_REF}" || echo "$REF")"
"""
UPLOAD = """
name: upload
inputs: {name: {required: true}, path: {required: true}, retention-days: {default: ""}, if-no-files-found: {default: ""}}
runs:
  using: composite
  steps:
    - shell: bash
      env: {NAME: "${{ inputs.name }}", FILES: "${{ inputs.path }}"}
      run: mkdir -p "$FORGE_ARTIFACTS/$NAME" && if [ -e "$FILES" ]; then cp -r "$FILES"/. "$FORGE_ARTIFACTS/$NAME/"; fi
"""


@cache
def tool(name: str) -> str:
    """The path of a program that the toolchain makes."""
    return subprocess.run([PROJECT / "toolchain" / name], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


@dataclass
class Done:
    """What came of a workflow."""

    status: int
    log: str


@dataclass
class Acting:
    """A forge's runner: the repository, what its owner put into variables and secrets, and the machine's environment."""

    bare: Path
    folder: Path
    forge: FakeForge
    variables: Mapping[str, str]
    secrets: Mapping[str, str]
    environment: Mapping[str, str]
    runs: int = 0
    killed: Callable[["subprocess.Popen[str]"], None] | None = None
    """Kills the job that it gets, in place of letting it end."""
    artifacts: Path = field(init=False)

    def __post_init__(self) -> None:
        self.artifacts = self.folder / "artifacts"

    def clone(self, ref: str = "main") -> Path:
        """A fresh clone, as a runner has it."""
        self.runs += 1
        place = self.folder / f"run-{self.runs}"
        git(self.folder, "clone", "-q", str(self.bare), str(place))
        git(place, "checkout", "-q", ref)
        return place

    def github(self, workflow: str, event: str, *, request: str = "", ref: str = "main", **inputs: str) -> Done:
        """Run a workflow by act, of main or of another ``ref``. ``request`` is the branch of the pull request that started it."""
        place = self.clone(ref)
        shown: dict[str, Any] = {"repository": {"default_branch": "main", "full_name": "acme/swarm"}, "inputs": inputs}
        if request:
            head = {"sha": git(place, "rev-parse", f"origin/{request}").strip(), "repo": {"full_name": "acme/swarm"}}
            shown |= {"number": NUMBER, "pull_request": {"number": NUMBER, "head": head}}
        files = self._files(event=json.dumps(shown), secrets=_lines(self._secrets), variables=_lines(self.variables))
        words = [tool("act"), event, "-W", f".github/workflows/requorum-{workflow}.yml", "-e", files["event"]]
        words += ["--secret-file", files["secrets"], "--var-file", files["variables"], "--no-cache-server"]
        for name, value in {
            "GITHUB_API_URL": self.forge.url,
            "GITHUB_REPOSITORY": "acme/swarm",
            "FORGE_BARE": str(self.bare),
            "FORGE_REF": ref,
            "FORGE_ARTIFACTS": str(self.artifacts),
            **self.environment,
        }.items():
            words += ["--env", f"{name}={value}"]
        for label in ("ubuntu-latest", "self-hosted", "requorum"):
            words += ["-P", f"{label}=-self-hosted"]
        for action, content in {"actions/checkout": CHECKOUT, "actions/upload-artifact": UPLOAD}.items():
            words += [f"--local-repository={self._action(place, workflow, action, content)}"]
        return self._run(words, place)

    def gitlab(self, *jobs: str, **variables: str) -> Done:
        """Run the jobs of a pipeline on main by gitlab-ci-local."""
        place = self.clone()
        git(place, "remote", "set-head", "origin", "main")
        given = {
            **self.variables,
            **self.secrets,
            "GITLAB_CI": "true",  # which gitlab-ci-local sets to false
            "CI_API_V4_URL": self.forge.url,
            "CI_PROJECT_ID": "acme/swarm",
            "REQUORUM_FORGE_TOKEN": self.forge.token,
            **self.environment,
            **variables,
        }
        file = place / ".gitlab-ci-local-variables.yml"
        typed = {name: {"type": "variable", "values": {"*": value}} for name, value in given.items()}
        file.write_text(yaml.safe_dump(typed))
        words = [tool("gitlab-ci-local"), "--force-shell-executor", "--no-color", *jobs]
        return self._run(words, place)

    @property
    def _secrets(self) -> dict[str, str]:
        return {**self.secrets, "GITHUB_TOKEN": self.forge.token}

    def _files(self, **texts: str) -> dict[str, str]:
        found = {}
        for name, text in texts.items():
            file = self.folder / f"{name}-{self.runs}"
            file.write_text(text)
            file.chmod(0o600)
            found[name] = str(file)
        return found

    def _action(self, place: Path, workflow: str, action: str, content: str) -> str:
        """The action under the name and the commit by which the workflow uses it."""
        text = (place / f".github/workflows/requorum-{workflow}.yml").read_text()
        used = re.search(rf"uses: ({action}@[0-9a-f]+)", text)
        folder = self.folder / action
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "action.yml").write_text(content)
        return f"{used[1] if used else action}={folder}"

    def _run(self, words: list[str], place: Path) -> Done:
        own = {key: value for key, value in os.environ.items() if key in ("HOME", "LANG")}
        with subprocess.Popen(
            words,
            cwd=place,
            env={
                **own,
                "PATH": self.environment["PATH"],
                "XDG_CACHE_HOME": str(self.folder / "cache"),
                "REQUORUM_CACHE": CACHE,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as job:
            if self.killed:
                self.killed(job)
            said, _ = job.communicate(timeout=SECONDS)
        shutil.rmtree(place, ignore_errors=True)
        return Done(job.returncode, said)


def _lines(values: Mapping[str, str]) -> str:
    return "".join(f"{name}={json.dumps(value)}\n" for name, value in values.items())
