"""The worst hour on a terminal, on machines that Pulumi did not make. The tests run in order."""

from pathlib import Path

import pytest

from lab import cluster, nodes
from lab.stack import Stack
from tests.lab.here import requorum
from tests.lab.machines import ADDRESSES
from tests.lab.person import Person
from tests.lab.place import address
from tests.lab.swarm import MANAGERS, WORKERS, Swarm

pytestmark = pytest.mark.whole

LOSSES = pytest.mark.parametrize("lost", [MANAGERS[2:], MANAGERS[:2], MANAGERS], ids=["one", "two", "all"])
ELSEWHERE = dict(zip(MANAGERS, (address(1, 111), address(2, 112), address(3, 113)), strict=True))


@pytest.fixture(scope="module")
def machines(existing: Stack) -> Swarm:
    existing.up("--skip-preview")
    return Swarm(existing)


@pytest.fixture
def person(machines: Swarm, tmp_path: Path) -> Person:
    machines.await_standing(*MANAGERS, *WORKERS)
    assert requorum(machines.stack, "backup").status == 0
    return Person(machines.stack, tmp_path)


@LOSSES
def test_machines_that_are_silent_are_replaced_where_the_line_says(
    machines: Swarm, person: Person, lost: tuple[str, ...]
) -> None:
    before = machines.picture(MANAGERS[2])
    nodes.lose(machines.lab, lost)
    person.walk()
    machines.await_standing(*MANAGERS, *WORKERS)
    assert not before.differences(machines.picture(MANAGERS[2]))


@LOSSES
def test_machines_that_were_reinstalled_come_back(machines: Swarm, person: Person, lost: tuple[str, ...]) -> None:
    before = machines.picture(MANAGERS[2])
    nodes.lose(machines.lab, lost)
    nodes.make(machines.lab, {name: ADDRESSES[name] for name in lost})
    person.walk()
    machines.await_standing(*MANAGERS, *WORKERS)
    assert not before.differences(machines.picture(MANAGERS[2]))


def test_managers_at_new_addresses_come_back(machines: Swarm, person: Person) -> None:
    """The person wrote the new addresses into the stack file, and pinned the new machines' keys."""
    before = machines.picture()
    nodes.lose(machines.lab, MANAGERS)
    machines.stack.write(
        {**machines.stack.settings(), "managers": [{"address": place} for place in ELSEWHERE.values()]}
    )
    cluster.prepare(machines.lab, machines.stack)
    nodes.make(machines.lab, ELSEWHERE)
    person.walk()
    machines.await_standing(*MANAGERS, *WORKERS)
    assert not before.differences(machines.picture())
