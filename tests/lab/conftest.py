"""A laboratory of the tests' own, beside the one that `make up` makes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import cluster, image, lifecycle, nodes
from lab.instance import Instance
from lab.stack import Stack, settings
from tests.lab.place import OCTET
from tests.lab.swarm import Swarm


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--whole", action="store_true", help="every point of what is otherwise tested at some")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Have the node images, which take minutes where they are not in the cache: not while a test's time runs."""
    for suite in ("bookworm", "trixie"):
        image.archive(suite)


@pytest.fixture(scope="session")
def lab() -> Iterator[Instance]:
    """Engine, image and S3 server, fresh; gone afterwards."""
    instance = Instance(OCTET)
    lifecycle.down(instance, print)
    lifecycle.up(instance, print)
    yield instance
    lifecycle.down(instance, print)


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
