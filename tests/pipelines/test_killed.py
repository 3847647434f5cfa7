"""A job that is killed or interrupted, with the real Pulumi and its state in a folder."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import psutil
import pytest

from recovery.cluster import Cluster
from recovery.errors import Refused
from recovery.operations import pulumi_locks
from recovery.operations.pulumi import EARLY_SECONDS
from recovery.pipeline.locks import LeaseState
from tests.unit import factories as make

ROOT = Path(__file__).parents[2]
PROGRAM = """
import os, time
from pathlib import Path
from pulumi.dynamic import CreateResult, Resource, ResourceProvider

class Slow(ResourceProvider):
    def create(self, props):
        Path(os.environ["BEGAN"]).touch()
        time.sleep(float(props["seconds"]))
        return CreateResult("made", props)

class Held(Resource):
    pass

Held(Slow(), "slow", {"seconds": os.environ.get("SECONDS", "0")})
"""
RUN = """
import sys
from pathlib import Path
from recovery.operations.pulumi import run
sys.exit(run(sys.argv[1:], folder=Path.cwd()))
"""
UP = ("up", "--yes", "--skip-preview", "--non-interactive", "--stack", "lab")
pytestmark = pytest.mark.timeout(2400)
LONGEST = 400.0
"""Pulumi takes seconds to begin, and minutes on a busy machine."""


class Free:
    """A cluster whose lease nobody holds."""

    settings = make.settings()

    class store:  # noqa: N801
        @staticmethod
        def looks(_: str) -> tuple[()]:
            return ()


CLUSTER = cast(Cluster, Free)


def until(true: Any) -> None:
    end = time.monotonic() + LONGEST
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


class Project:
    """A tiny project, and the jobs that run in it."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment
        self.began = folder / "began"
        self.started: list[subprocess.Popen[bytes]] = []

    @property
    def pending(self) -> list[Any]:
        """The operations that Pulumi began, and of which it does not know the end."""
        (file,) = self.folder.glob("state/.pulumi/stacks/**/lab.json")
        found: list[Any] = json.loads(file.read_text())["checkpoint"]["latest"].get("pending_operations", [])
        return found

    @property
    def locks(self) -> list[Path]:
        return list(self.folder.glob("state/.pulumi/locks/**/*.json"))

    def start(self, *, seconds: float) -> "subprocess.Popen[bytes]":
        """Start `pulumi up` as a job does, and wait until it holds the lock and the program runs."""
        self.began.unlink(missing_ok=True)
        words = [sys.executable, "-c", RUN, *UP]
        environment = self.environment | {"SECONDS": str(seconds), "BEGAN": str(self.began), "PYTHONPATH": str(ROOT)}
        log = (self.folder / "log").open("ab")
        job = subprocess.Popen(words, cwd=self.folder, env=environment, stdout=log, stderr=log)
        self.started.append(job)
        until(lambda: self.began.exists() or job.poll() is not None)
        assert job.poll() is None, (self.folder / "log").read_text()
        assert len(self.locks) == 1
        return job

    def up(self) -> int:
        """Run `pulumi up` of a program that ends at once; its exit status."""
        environment = self.environment | {"BEGAN": str(self.began)}
        return subprocess.run(["pulumi", *UP], cwd=self.folder, env=environment, check=False).returncode


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    made = subprocess.run([ROOT / "toolchain/install"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    (tmp_path / "Pulumi.yaml").write_text("name: requorum\nruntime: python\n")
    (tmp_path / "__main__.py").write_text(PROGRAM)
    (tmp_path / "state").mkdir()
    given = {
        "PATH": os.pathsep.join((str(ROOT / ".venv/bin"), made, os.environ["PATH"])),
        "PULUMI_BACKEND_URL": f"file://{tmp_path}/state",
        "PULUMI_CONFIG_PASSPHRASE": "of a test",
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    subprocess.run(["pulumi", "stack", "init", "lab"], cwd=tmp_path, check=True)
    project = Project(tmp_path, {**os.environ})
    yield project
    for process in (found for job in project.started for found in descendants(job.pid)):
        process.kill()


def descendants(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [*process.children(recursive=True), process]
    except psutil.NoSuchProcess:
        return []


def kill(job: "subprocess.Popen[bytes]") -> None:
    """End the job and all that it started, as a runner does at last."""
    for process in descendants(job.pid):
        process.kill()
    job.wait()


def test_a_killed_job_leaves_a_lock_that_the_next_one_clears(project: Project) -> None:
    job = project.start(seconds=LONGEST)
    kill(job)
    assert len(project.locks) == 1
    assert project.up() != 0, "the lock stays for ever"
    pulumi_locks.wait_until_free(CLUSTER, "lab", seconds=0, say=print)
    assert project.locks == []
    assert project.up() == 0


def test_the_lock_of_a_living_update_stays(project: Project) -> None:
    project.start(seconds=LONGEST)
    with pytest.raises(Refused) as error:
        pulumi_locks.wait_until_free(CLUSTER, "lab", seconds=0, say=print)
    assert error.value.code == "pulumi-locked"
    (verdict,) = pulumi_locks.clear(CLUSTER, "lab", say=print)
    assert (verdict.stale, verdict.lock.host) == (False, socket.gethostname())
    assert len(project.locks) == 1
    assert pulumi_locks.lease_of(CLUSTER).state is LeaseState.FREE


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.whole)], ids=str)
def test_a_signal_reaches_pulumi_and_an_early_second_one_does_not(project: Project, number: signal.Signals) -> None:
    job = project.start(seconds=4)
    job.send_signal(number)
    time.sleep(0.5)
    assert job.poll() is None
    job.send_signal(signal.SIGTERM)
    assert job.wait(LONGEST) == 130
    assert project.locks == []
    assert project.pending == [], "the operation was let end"
    assert project.up() == 0


@pytest.mark.whole
def test_a_late_second_signal_ends_pulumi_at_once(project: Project) -> None:
    job = project.start(seconds=LONGEST)
    job.send_signal(signal.SIGINT)
    time.sleep(EARLY_SECONDS + 0.5)
    job.send_signal(signal.SIGTERM)
    assert job.wait(LONGEST / 2) == 130
    assert project.locks == []
    assert len(project.pending) == 1


@pytest.mark.whole
def test_a_cancelled_job_that_is_killed_next_is_finished_by_the_one_after(project: Project) -> None:
    """As a forge cancels a job: SIGINT, and SIGKILL before Pulumi has ended."""
    job = project.start(seconds=LONGEST)
    job.send_signal(signal.SIGINT)
    time.sleep(1)
    assert job.poll() is None, "Pulumi lets the operation end"
    kill(job)
    assert len(project.locks) == 1
    pulumi_locks.wait_until_free(CLUSTER, "lab", seconds=0, say=print)
    assert project.locks == []
    assert project.up() == 0


@pytest.mark.whole
def test_of_two_merges_at_once_the_second_waits_and_does_nothing_twice(project: Project) -> None:
    first = project.start(seconds=6)
    said: list[str] = []
    pulumi_locks.wait_until_free(CLUSTER, "lab", seconds=LONGEST, say=said.append)
    assert first.wait(LONGEST) == 0
    assert ["waiting for" in line for line in said] == [True]
    project.began.unlink()
    assert project.up() == 0
    assert not project.began.exists(), "what the first made is not made again"
