"""A request whose code reads what it finds: beside the secrets its code does not run, and where its code runs there are none.

The shipped workflows themselves run, by act. The stand-in for `pipelines/run` on main notes how it is called.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from recovery.operations import pipelines
from tests.fake.forge import FakeForge, serving
from tests.lab.acting import Acting
from tests.lab.runner import git

pytestmark = [pytest.mark.whole, pytest.mark.timeout(1200)]
ROOT = Path(__file__).parents[2]
SECRETS = {
    "SSH_KEY": "the key of the nodes",
    "PULUMI_PASSPHRASE": "the passphrase of the state",
    "AGE_IDENTITY": "the identity of the copies",
    "AWS_ACCESS_KEY_ID": "the key of the bucket",
    "AWS_SECRET_ACCESS_KEY": "the secret of the bucket",
}
NOTES = """#!/bin/sh
{ echo "$*"; cat .requorum/*; cat request/stacks/*; } >> "$NOTES/main"
"""
STEALS = """#!/bin/sh
{ echo ran; env; find . -path ./.git -prune -o -type f -print -exec cat {} +; } >> "$NOTES/stolen" 2>&1
"""


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    made = tmp_path / "notes"
    made.mkdir()
    return made


@pytest.fixture
def act(tmp_path: Path, notes: Path) -> Iterator[Acting]:
    """A repository whose main is Requorum's, and whose branch `topic` has other code in every place that a job may run."""
    dev, bare, runs = tmp_path / "dev", tmp_path / "bare", tmp_path / "runs"
    for folder in (dev, runs):
        folder.mkdir()
    shutil.copytree(ROOT / "pipelines", dev / "pipelines")
    pipelines.install("github", dev)
    (dev / "stacks").mkdir()
    (dev / "stacks/Pulumi.lab.yaml").write_text("config: {requorum:cluster: lab}\n")
    (dev / "pipelines/run").write_text(NOTES)
    (dev / "Makefile").write_text("check:\n\ttrue\n")
    git(tmp_path, "init", "-q", "--bare", "-b", "main", str(bare))
    git(dev, "init", "-q", "-b", "main")
    push(dev, bare, "main")
    for name in ("run", "secrets", "pull"):
        (dev / "pipelines" / name).write_text(STEALS)
    (dev / "Makefile").write_text("check:\n\tpipelines/run\n")
    (dev / "stacks/Pulumi.lab.yaml").write_text("config: {requorum:cluster: theirs}\n")
    (dev / "sitecustomize.py").write_text("import subprocess; subprocess.run(['pipelines/run'])\n")
    push(dev, bare, "topic")
    variables = {
        "PULUMI_BACKEND_URL": "s3://the-state",
        "REQUORUM_STACK": "lab",
        "REQUORUM_KNOWN_HOSTS": "10.0.0.1 key",
    }
    with serving(FakeForge()) as forge:
        yield Acting(bare, runs, forge, variables, SECRETS, {"PATH": os.environ["PATH"], "NOTES": str(notes)})


def push(dev: Path, bare: Path, branch: str) -> None:
    git(dev, "add", "-A", ".")
    git(dev, "commit", "-q", "-m", branch)
    git(dev, "push", "-q", str(bare), f"HEAD:{branch}")


def test_beside_the_secrets_only_its_stack_file_is_read(act: Acting, notes: Path) -> None:
    done = act.github("preview", "pull_request_target", request="topic")
    assert done.status == 0, done.log
    ran = (notes / "main").read_text()
    assert "ci preview --config-file request/stacks/Pulumi.lab.yaml" in ran
    assert SECRETS["SSH_KEY"] in ran, "main's code has the key"
    assert "requorum:cluster: theirs" in ran
    assert not (notes / "stolen").exists()


def test_where_its_code_runs_there_is_no_secret(act: Acting, notes: Path) -> None:
    done = act.github("check", "pull_request", request="topic", ref="topic")
    assert done.status == 0, done.log
    stolen = (notes / "stolen").read_text()
    assert "ran" in stolen.splitlines()
    assert not [name for name, value in {**SECRETS, "token": act.forge.token}.items() if value in stolen]
    assert "the-state" not in stolen
