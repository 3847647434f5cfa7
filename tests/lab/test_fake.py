"""Real engines against the scenarios that the fake swarm passes in tests/unit/test_fake.py: the fake is no better than they are."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import faults, image, nodes
from lab.instance import Instance
from lab.stack import settings
from recovery.errors import RequorumError
from recovery.settings import parse
from tests.fake.cases import elsewhere
from tests.fake.scenarios import (
    SCENARIOS,
    Scenario,
    a_cluster_forced_elsewhere_keeps_its_address_until_its_vote_is_given_anew,
    a_hot_copy_brings_the_swarm_back,
    a_removed_identity_is_not_taken_back,
    certificates_bring_a_node_back,
    the_last_entry_is_dropped_unless_another_follows,
)
from tests.lab.swarm import LONGEST_PAUSE, PAUSE, SECONDS

FORGET = """systemctl stop docker.socket; systemctl kill --signal=KILL docker; systemctl stop docker
rm -rf /var/lib/docker/swarm; systemctl reset-failed docker; systemctl start docker.socket docker"""
"""An engine is in no swarm any more. To leave one takes it long where it has just lost its leader."""

OLD = "20.10"
UPGRADED = (
    certificates_bring_a_node_back,
    a_hot_copy_brings_the_swarm_back,
    the_last_entry_is_dropped_unless_another_follows,
)
"""What engines left behind is taken up by newer ones, on the machines that are made again."""
AT_NIGHT = (
    certificates_bring_a_node_back,
    a_removed_identity_is_not_taken_back,
    a_cluster_forced_elsewhere_keeps_its_address_until_its_vote_is_given_anew,
)
CASES = [
    *(
        pytest.param(scenario, image.DEFAULT, marks=pytest.mark.whole if scenario in AT_NIGHT else ())
        for scenario in SCENARIOS
    ),
    *(pytest.param(scenario, OLD, marks=pytest.mark.whole) for scenario in UPGRADED),
]


class RealMachines:
    """The protocol of the scenarios, on the nodes of a lab; the first ones have that engine, those made again the default one."""

    def __init__(self, instance: Instance, version: str) -> None:
        self.instance = instance
        self.settings = parse(settings(instance, workers=0))
        image.ensure(instance, version)
        nodes.make(instance, {node.name: str(node.address) for node in self.settings.managers}, version=version)

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
        end, pause = time.monotonic() + SECONDS, PAUSE
        while True:
            try:
                if condition():
                    return
            except RequorumError:
                if time.monotonic() > end:
                    raise
            assert time.monotonic() < end, f"not within {SECONDS} s: {what}"
            time.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)

    @contextmanager
    def breaking(self, rule: str) -> Iterator[None]:
        yield

    def forget(self) -> None:
        """Have the machines as they were for the next scenario: in no swarm, and none elsewhere."""
        wanted = {node.name: str(node.address) for node in parse(settings(self.instance, workers=0)).managers}
        there = nodes.existing(self.instance)
        nodes.lose(self.instance, [node.name for node in there if node.address != wanted[node.name]])
        kept = [node.name for node in there if node.address == wanted[node.name]]
        argv = ["docker", "-H", self.instance.docker_host, "exec"]
        nodes.together(kept, lambda name: subprocess.run([*argv, name, "sh", "-c", FORGET], check=True))


@pytest.fixture
def machines(lab: Instance, version: str) -> Iterator[RealMachines]:
    if version != image.DEFAULT:
        nodes.remove_all(lab)
    made = RealMachines(lab, version)
    yield made
    if version == image.DEFAULT:
        made.forget()
    else:
        nodes.remove_all(lab)


@pytest.mark.parametrize(
    ("scenario", "version"), CASES, ids=lambda part: part if isinstance(part, str) else part.__name__
)
def test_engines_do_what_the_fake_does(scenario: Scenario, machines: RealMachines, tmp_path: Path) -> None:
    scenario(machines, tmp_path)
