"""Nodes of the docker driver that are given other names: their containers and volumes stay. The tests run in order."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from lab import nodes
from tests.lab.edits import previewed
from tests.lab.swarm import MANAGERS, WORKERS, Picture, Swarm


@pytest.fixture(scope="module", autouse=True)
def workload(swarm: Swarm) -> None:
    """Services run while nodes are given other names."""
    swarm.run_workload()


@pytest.fixture
def unchanged(swarm: Swarm) -> Iterator[Picture]:
    """The swarm and its node containers are the same after the test as before it."""
    before, machines = swarm.picture(), swarm.machines()
    yield before
    assert not before.differences(swarm.picture())
    assert swarm.machines() == machines


def write(swarm: Swarm, managers: list[str], workers: list[str]) -> None:
    """Give the nodes these names, in the order in which they are in the stack file."""
    values = swarm.stack.settings()

    def named(group: str, names: list[str]) -> list[dict[str, Any]]:
        return [{**node, "name": name} for node, name in zip(values[group], names, strict=True)]

    swarm.stack.write({**values, "managers": named("managers", managers), "workers": named("workers", workers)})


@pytest.mark.usefixtures("unchanged")
def test_nodes_that_are_all_given_other_names_keep_their_containers(swarm: Swarm) -> None:
    write(swarm, ["m1", "m2", "m3"], ["w1", "w2"])
    assert previewed(swarm.stack).keys() == {"update", "unchanged"}
    swarm.stack.up("--skip-preview")
    assert previewed(swarm.stack).keys() == {"unchanged"}
    assert swarm.stack.requorum("status").status == 0


@pytest.mark.whole
@pytest.mark.usefixtures("unchanged")
def test_names_that_are_exchanged_move_nothing(swarm: Swarm) -> None:
    write(swarm, ["manager-b", "manager-c", "manager-a"], ["worker-2", "worker-1"])
    assert previewed(swarm.stack).keys() == {"update", "unchanged"}
    swarm.stack.up("--skip-preview")
    assert previewed(swarm.stack).keys() == {"unchanged"}


@pytest.mark.whole
def test_a_manager_that_is_lost_after_that_comes_back_under_its_identity(swarm: Swarm) -> None:
    """Its container was called manager-a, and is now called like its node. Another node has the name manager-a by then."""
    before = swarm.picture()
    write(swarm, ["m1", "manager-c", "manager-a"], ["worker-2", "worker-1"])
    shutil.copytree(swarm.lab.identity("manager-a"), swarm.lab.identity("m1"))
    swarm.stack.up("--skip-preview")
    nodes.lose(swarm.lab, ["manager-a"])
    swarm.stack.up("--skip-preview")
    swarm.until(lambda: swarm.state("m1") == "active", "the container of m1 is in the swarm")
    after = swarm.picture("manager-b")
    assert after.nodes.keys() == before.nodes.keys()
    assert (after.objects, after.containers) == (before.objects, before.containers)


@pytest.mark.whole
def test_a_swarm_that_is_lost_is_restored_from_copies_under_its_managers_old_names(swarm: Swarm) -> None:
    before = swarm.picture("manager-b")
    nodes.lose(swarm.lab, ["m1", "manager-b", "manager-c"])
    write(swarm, list(MANAGERS), list(WORKERS))
    swarm.stack.recover()
    after = swarm.picture()
    assert after.nodes.keys() == before.nodes.keys()
    assert (after.objects, after.containers) == (before.objects, before.containers)
