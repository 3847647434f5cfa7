"""Real engines against the scenarios that the fake swarm passes in tests/unit/test_fake.py: the fake is no better than they are."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import faults, nodes
from lab.instance import Instance
from lab.stack import settings
from recovery.errors import RequorumError
from recovery.settings import parse
from tests.fake.cases import elsewhere
from tests.fake.scenarios import SCENARIOS, Scenario
from tests.lab.swarm import SECONDS


class RealMachines:
    """The protocol of the scenarios, on the nodes of a lab."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.settings = parse(settings(instance, workers=0))
        self.make(*(node.name for node in self.settings.managers))

    def lose(self, *names: str) -> None:
        nodes.lose(self.instance, names)

    def make(self, *names: str) -> None:
        nodes.make(self.instance, {name: str(self.settings.node(name).address) for name in names})

    def move(self, *names: str) -> None:
        self.settings = elsewhere(self.settings, names)
        self.make(*names)

    def isolate(self, name: str) -> None:
        faults.isolate(self.instance, [name])

    def heal(self, name: str) -> None:
        faults.heal(self.instance, [name])

    def until(self, condition: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + SECONDS
        while True:
            try:
                if condition():
                    return
            except RequorumError:
                if time.monotonic() > end:
                    raise
            assert time.monotonic() < end, f"not within {SECONDS} s: {what}"
            time.sleep(0.1)

    @contextmanager
    def breaking(self, rule: str) -> Iterator[None]:
        yield


@pytest.fixture
def machines(lab: Instance) -> Iterator[RealMachines]:
    yield RealMachines(lab)
    nodes.remove_all(lab)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_engines_do_what_the_fake_does(scenario: Scenario, machines: RealMachines, tmp_path: Path) -> None:
    scenario(machines, tmp_path)
