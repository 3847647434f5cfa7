"""Stacks that older releases built, with their state and their copies, under today's program. The tests run in order."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import cluster, image, nodes
from lab.instance import Instance
from lab.stack import PROJECT, Stack, settings
from tests.lab.edits import previewed
from tests.lab.here import requorum
from tests.lab.machines import ADDRESSES
from tests.lab.swarm import MANAGERS, WORKERS, Picture, Swarm


@dataclass(frozen=True)
class Release:
    """An older release, whose state and copies are to be read for as long as it is in this test."""

    commit: str
    engine: str
    """The engine of its nodes."""
    versioned: bool
    """Whether it wrote the version of a machine's preparation to the machine, so that today's differs from it."""


BUILT = {
    "an early release, docker": (Release("495b6f5c67d2acdb49fc0e6e0b791b887236cdbf", "20.10", False), "docker"),
    "an early release, existing": (Release("495b6f5c67d2acdb49fc0e6e0b791b887236cdbf", "20.10", False), "existing"),
    "nodes by name, docker": (Release("5e7022524a4746b2f07fc51bef00e0e6744527c9", image.DEFAULT, True), "docker"),
    "nodes by name, existing": (Release("5e7022524a4746b2f07fc51bef00e0e6744527c9", image.DEFAULT, True), "existing"),
}
"""The release that built the cluster, and the driver of its hosts. The second is the last one in which a node was its name."""
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


@pytest.fixture(scope="module", params=BUILT.values(), ids=list(BUILT))
def built(request: pytest.FixtureRequest) -> tuple[Release, str]:
    found: tuple[Release, str] = request.param
    return found


@pytest.fixture(scope="module")
def checkout(built: tuple[Release, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The older release in a folder of its own, with a virtual environment of what it required."""
    commit = built[0].commit
    if git("cat-file", "-e", f"{commit}^{{commit}}", check=False).returncode:
        pytest.skip(f"commit {commit[:7]} is not in this clone: git fetch --unshallow")
    folder = tmp_path_factory.mktemp("old") / "checkout"
    git("worktree", "add", "--detach", str(folder), commit)
    try:
        python = Path(sys.base_prefix) / "bin" / "python3"  # not of our own virtual environment
        subprocess.run(["make", "-C", folder, ".venv/bin/.ready", f"PYTHON={python}"], check=True)
        yield folder
    finally:
        git("worktree", "remove", "--force", str(folder))


@pytest.fixture(scope="module")
def stack(lab: Instance, built: tuple[Release, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    release, driver = built
    name = f"old-{driver}-{release.commit[:7]}"
    made = Stack(lab, name, tmp_path_factory.mktemp("stack") / f"Pulumi.{name}.yaml")
    image.ensure(lab, release.engine)
    values = settings(lab, version=release.engine)
    hosts = {"driver": "existing"} if driver == "existing" else values["hosts"]
    made.write({**values, "hosts": hosts, "backup": {**values["backup"], "prefix": name}})
    cluster.prepare(lab, made)
    if driver == "existing":
        nodes.make(lab, ADDRESSES, version=release.engine)
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
    COPIES.clear()
    COPIES.update(copy["name"] for copy in json.loads(old.requorum("backups", "--json").text)["copies"])
    KNOWN["before"] = swarm.picture()
    return swarm


@pytest.fixture
def unchanged(swarm: Swarm) -> Iterator[Picture]:
    """The swarm and its machines are the same after the test as before it."""
    before, machines = swarm.picture(), swarm.machines()
    yield before
    assert not before.differences(swarm.picture())
    assert swarm.machines() == machines


@pytest.mark.usefixtures("unchanged")
def test_it_is_healthy_and_only_its_preparations_change(swarm: Swarm, built: tuple[Release, str]) -> None:
    """The older releases had the operator's SSH key in the state, once for each node. The update takes it out.

    The update writes the files of a machine again if the machine tells another version of them.
    """
    assert requorum(swarm.stack, "status").status == 0
    exported = ("stack", "export", "--show-secrets")
    assert "PRIVATE KEY" in swarm.stack.pulumi(*exported).text
    assert previewed(swarm.stack).keys() == {"update", "unchanged"}
    at = {name: swarm.on(name, "stat", "-c", "%Y", "/etc/requorum") for name in swarm.nodes()}
    done = swarm.stack.up("--skip-preview", "--json")
    assert "preparing" not in done.errors
    after = {name: swarm.on(name, "stat", "-c", "%Y", "/etc/requorum") for name in swarm.nodes()}
    assert {name for name in at if at[name] != after[name]} == (swarm.nodes().keys() if built[0].versioned else set())
    state = swarm.stack.pulumi(*exported).text
    assert "PRIVATE KEY" not in state
    assert "command:remote" not in state
    assert "unchanged" in swarm.stack.preview("--expect-no-changes").text
    assert swarm.stack.outputs()["clusterId"] == KNOWN["before"].cluster_id


@pytest.mark.usefixtures("unchanged")
def test_its_nodes_may_have_other_names_or_none_and_nothing_is_replaced(swarm: Swarm) -> None:
    """Without names, its workers are called by their addresses."""
    values = swarm.stack.settings()
    managers = [{**node, "name": f"m{number}"} for number, node in enumerate(values["managers"], 1)]
    workers = [{"address": worker["address"]} for worker in values["workers"]]
    swarm.stack.write({**values, "managers": managers, "workers": workers})
    assert previewed(swarm.stack).keys() == {"update", "unchanged"}
    swarm.stack.write(values)


def test_its_copies_are_listed_and_good(swarm: Swarm) -> None:
    listed = json.loads(requorum(swarm.stack, "backups", "--json").text)["copies"]
    assert {copy["name"] for copy in listed} == COPIES
    assert {copy["manager"] for copy in listed} == set(MANAGERS)
    for copy in listed:
        read = requorum(swarm.stack, "verify", copy["name"])
        assert read.status == 0, read.text + read.errors


def test_a_total_loss_is_recovered_from_one_of_them(swarm: Swarm, built: tuple[Release, str]) -> None:
    """An update of today's release has signed that the flag counts."""
    nodes.lose(swarm.lab, MANAGERS)
    if built[1] == "existing":
        nodes.make(swarm.lab, {name: ADDRESSES[name] for name in MANAGERS}, version=built[0].engine)
    swarm.stack.recover()
    swarm.await_standing(*MANAGERS, *WORKERS)
    assert not KNOWN["before"].differences(swarm.picture())
    report = json.loads(requorum(swarm.stack, "report", "--json").text)
    assert report["copy"] in COPIES


def test_afterwards_it_is_healthy_and_nothing_is_to_be_changed(swarm: Swarm) -> None:
    swarm.until(lambda: requorum(swarm.stack, "status").status == 0, "nothing is wrong")
    assert "unchanged" in swarm.stack.preview("--expect-no-changes").text


def test_it_is_destroyed(swarm: Swarm, built: tuple[Release, str]) -> None:
    swarm.stack.destroy()
    if built[1] == "existing":
        assert [swarm.state(name) for name in ADDRESSES] == ["inactive"] * len(ADDRESSES)
    else:
        assert not nodes.existing(swarm.lab)
    assert '"resources"' not in swarm.stack.pulumi("stack", "export").text
