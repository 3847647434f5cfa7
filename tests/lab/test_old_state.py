"""A stack that an older release built, with its state and its copies, under today's program. The tests run in order."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import cluster, image, nodes
from lab.instance import Instance
from lab.stack import PROJECT, Stack, settings
from tests.lab.edits import previewed
from tests.lab.here import requorum
from tests.lab.swarm import MANAGERS, WORKERS, Picture, Swarm

COMMIT = "495b6f5c67d2acdb49fc0e6e0b791b887236cdbf"
"""The older release. Its state and its copies are to be read for as long as this test is here."""
ENGINE = "20.10"
"""The engine of that release's nodes."""
KNOWN: dict[str, Picture] = {}
COPIES: set[str] = set()
"""The picture, and the names of the older release's copies, that the tests of this module hand on."""

pytestmark = [pytest.mark.whole, pytest.mark.timeout(1200)]  # packages may have to be had first


class OldStack(Stack):
    """The stack, by the program of another checkout, with that checkout's packages."""

    def __init__(self, stack: Stack, checkout: Path) -> None:
        super().__init__(stack.instance, stack.name, stack.file)
        self.project = checkout

    def environment(self) -> dict[str, str]:
        environment = super().environment()
        own = os.pathsep.join((str(self.project / ".venv/bin"), str(self.project / "bin")))
        return {**environment, "PATH": os.pathsep.join((own, environment["PATH"]))}


def git(*arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["git", *arguments], cwd=PROJECT, check=check, capture_output=True, text=True)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The older release in a folder of its own, with a virtual environment of what it required."""
    if git("cat-file", "-e", f"{COMMIT}^{{commit}}", check=False).returncode:
        pytest.skip(f"commit {COMMIT[:7]} is not in this clone: git fetch --unshallow")
    folder = tmp_path_factory.mktemp("old") / "checkout"
    git("worktree", "add", "--detach", str(folder), COMMIT)
    try:
        python = Path(sys.base_prefix) / "bin" / "python3"  # not of our own virtual environment
        subprocess.run(["make", "-C", folder, ".venv/bin/.ready", f"PYTHON={python}"], check=True)
        yield folder
    finally:
        git("worktree", "remove", "--force", str(folder))


@pytest.fixture(scope="module")
def stack(lab: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = Stack(lab, "old", tmp_path_factory.mktemp("stack") / "Pulumi.old.yaml")
    image.ensure(lab, ENGINE)
    values = settings(lab, version=ENGINE)
    made.write({**values, "backup": {**values["backup"], "prefix": "old"}})
    cluster.prepare(lab, made)
    yield made
    nodes.remove_all(lab)


@pytest.fixture(scope="module")
def swarm(checkout: Path, stack: Stack) -> Swarm:
    """The cluster, built, filled and backed up by the older release."""
    old = OldStack(stack, checkout)
    old.up("--skip-preview")
    swarm = Swarm(stack)
    swarm.run_workload()
    done = old.requorum("backup", "--json")
    assert done.status == 0, done.errors
    COPIES.update(copy["name"] for copy in json.loads(old.requorum("backups", "--json").text)["copies"])
    KNOWN["before"] = swarm.picture()
    return swarm


def test_it_is_healthy_and_nothing_is_to_be_changed(swarm: Swarm) -> None:
    assert requorum(swarm.stack, "status").status == 0
    assert "unchanged" in swarm.stack.preview("--expect-no-changes").text
    assert swarm.stack.outputs()["clusterId"] == KNOWN["before"].cluster_id


def test_its_workers_need_no_names_and_nothing_is_replaced(swarm: Swarm) -> None:
    """Without names, its workers would be called by their addresses today."""
    values = swarm.stack.settings()
    swarm.stack.write({**values, "workers": [{"address": worker["address"]} for worker in values["workers"]]})
    assert previewed(swarm.stack).keys() == {"update", "unchanged"}
    swarm.stack.write(values)


def test_its_copies_are_listed_and_good(swarm: Swarm) -> None:
    listed = json.loads(requorum(swarm.stack, "backups", "--json").text)["copies"]
    assert {copy["name"] for copy in listed} == COPIES
    assert {copy["manager"] for copy in listed} == set(MANAGERS)
    for copy in listed:
        read = requorum(swarm.stack, "verify", copy["name"])
        assert read.status == 0, read.text + read.errors


def test_a_total_loss_is_recovered_from_one_of_them(swarm: Swarm) -> None:
    """No update of today's release has signed that a saved flag counts. So only the plan's ID consents, outside a terminal."""
    nodes.lose(swarm.lab, MANAGERS)
    refused = swarm.stack.up("--skip-preview", "--config", "recover=true", check=False)
    assert refused.status != 0
    (plan_id,) = set(re.findall(r"recover=(r[0-9a-f]{16})", refused.text))
    swarm.stack.up("--skip-preview", "--config", f"recover={plan_id}")
    swarm.await_standing(*MANAGERS, *WORKERS)
    assert not KNOWN["before"].differences(swarm.picture())
    report = json.loads(requorum(swarm.stack, "report", "--json").text)
    assert report["copy"] in COPIES


def test_afterwards_it_is_healthy_and_nothing_is_to_be_changed(swarm: Swarm) -> None:
    swarm.until(lambda: requorum(swarm.stack, "status").status == 0, "nothing is wrong")
    assert "unchanged" in swarm.stack.preview("--expect-no-changes").text


def test_it_is_destroyed(swarm: Swarm) -> None:
    swarm.stack.destroy()
    assert not nodes.existing(swarm.lab)
    assert '"resources"' not in swarm.stack.pulumi("stack", "export").text
