"""A laboratory of the tests' own, beside the one that `make up` makes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import cluster, image, lifecycle, nodes
from lab.errors import LabError
from lab.instance import Instance
from lab.stack import Stack, settings
from tests.lab.swarm import Swarm

LONGEST_FIRST = (
    "test_agent",
    "test_autolock",
    "test_quorum_lost",
    "test_total_loss",
    "test_fence",
    "test_adoption",
    "test_headline",
    "test_existing",
    "test_copies",
    "test_damaged",
    "test_rescue",
    "test_interrupted",
)
"""Modules in the order in which they are begun, so that no long one is begun last. The others follow in their own."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {name: rank for rank, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path.stem, len(ranks)))


def pytest_sessionstart(session: pytest.Session) -> None:
    """Have the node images, which take minutes where they are not in the cache: not while a test's time runs."""
    for version in (image.DEFAULT, "20.10"):
        image.archive(version)


@pytest.fixture(scope="session")
def place() -> Iterator[Instance]:
    """A lab that is not there yet, and is gone afterwards."""
    from tests.lab.place import OCTET  # which claims a lab: the process that only hands tests out needs none

    instance = Instance(OCTET)
    lifecycle.down(instance, print)
    yield instance
    lifecycle.down(instance, print)


@pytest.fixture(scope="module")
def lab(place: Instance) -> Instance:
    """Engine, image and S3 server without a node, whatever the module before left of them."""
    try:
        lifecycle.up(place, print)
        nodes.remove_all(place)
    except LabError as error:
        print(f"{error}; the lab is made anew")
        lifecycle.down(place, print)
        lifecycle.up(place, print)
    return place


@pytest.fixture(scope="module")
def stack(lab: Instance, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """A stack with copies of its own under its module's name; its nodes are gone afterwards."""
    name = request.module.__name__.rsplit("_", 1)[-1]
    made = Stack(lab, name, tmp_path_factory.mktemp(name) / f"Pulumi.{name}.yaml")
    made.write({**settings(lab), "backup": {**settings(lab)["backup"], "prefix": name}})
    cluster.prepare(lab, made)
    yield made
    nodes.remove_all(lab)


@pytest.fixture(scope="module")
def existing(
    lab: Instance, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Stack]:
    """A stack over machines that Pulumi did not make; they are there, in no swarm, and are gone afterwards."""
    from tests.lab.machines import ADDRESSES  # which claims a lab, as `place` does

    name = request.module.__name__.rsplit("_", 1)[-1]
    made = Stack(lab, name, tmp_path_factory.mktemp(name) / f"Pulumi.{name}.yaml")
    values = settings(lab)
    made.write({**values, "hosts": {"driver": "existing"}, "backup": {**values["backup"], "prefix": name}})
    cluster.prepare(lab, made)
    nodes.make(lab, ADDRESSES)
    yield made
    nodes.remove_all(lab)


@pytest.fixture(scope="module")
def swarm(stack: Stack) -> Swarm:
    """The cluster of the module's stack, built by one `pulumi up`."""
    stack.up("--skip-preview")
    return Swarm(stack)


@pytest.fixture
def variant(stack: Stack, tmp_path: Path) -> "Variant":
    """Makes stacks that differ from the module's in some settings, over the same state."""
    return Variant(stack, tmp_path)


class Variant:
    """The module's stack with other settings."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self._stack = stack
        self._folder = folder

    def __call__(self, **changes: object) -> Stack:
        made = Stack(self._stack.instance, self._stack.name, self._folder / self._stack.file.name)
        made.file.write_text(self._stack.file.read_text())
        values = self._stack.settings()
        made.write({key: value for key, value in {**values, **changes}.items() if value is not None})
        return made
