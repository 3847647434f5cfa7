"""The worst hour on a terminal: whoever runs the last `next:` line reaches a proven swarm. Node containers. The tests run in order."""

from pathlib import Path

import pytest

from lab import faults, nodes
from tests.lab.here import requorum
from tests.lab.person import Person
from tests.lab.swarm import MANAGERS, WORKERS, Swarm


@pytest.fixture
def person(swarm: Swarm, tmp_path: Path) -> Person:
    swarm.await_standing(*MANAGERS, *WORKERS)
    assert requorum(swarm.stack, "backup").status == 0
    return Person(swarm.stack, tmp_path)


@pytest.mark.whole
@pytest.mark.parametrize(
    "lost",
    [
        MANAGERS,
        MANAGERS[:2],
        MANAGERS[2:],
    ],
    ids=["all", "two", "one"],
)
def test_managers_that_are_gone_come_back(swarm: Swarm, person: Person, lost: tuple[str, ...]) -> None:
    before = swarm.picture(MANAGERS[2])
    nodes.lose(swarm.lab, lost)
    person.walk()
    swarm.await_standing(*MANAGERS, *WORKERS)
    assert not before.differences(swarm.picture(MANAGERS[2]))


@pytest.mark.whole
@pytest.mark.parametrize("stopped", [MANAGERS[2:], MANAGERS[:2]], ids=["one", "two"])
def test_managers_that_are_stopped_are_started(swarm: Swarm, person: Person, stopped: tuple[str, ...]) -> None:
    before = swarm.picture(MANAGERS[2])
    faults.stop(swarm.lab, stopped)
    person.walk()
    swarm.await_standing(*MANAGERS, *WORKERS)
    assert not before.differences(swarm.picture(MANAGERS[2]))
