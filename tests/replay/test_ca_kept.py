"""A swarm whose CA was rotated keeps it through a recovery: on the fake swarm, which reports a forced cluster that rotates it."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from recovery.cluster import Cluster
from recovery.node.engine import Engine
from recovery.operations.backup import backup
from recovery.settings import parse
from recovery.swarm import rotation
from tests.edits.files import Base, State
from tests.edits.trial import Stage, stage
from tests.fake.cases import quiet


@pytest.fixture(scope="module")
def theatre() -> Iterator[Stage]:
    with stage() as made:
        yield made


@pytest.mark.parametrize("state", [State.QUORUM_LOST, State.ALL_LOST])
def test_a_rotated_ca_is_not_rotated_again(theatre: Stage, state: State) -> None:
    picture = theatre.build(Base.NAMED)
    theatre.lose(picture, State.HEALTHY)
    cluster = Cluster(parse(picture.file.values))
    for _ in range(2):
        with cluster.shell(cluster.settings.managers[0]) as shell:
            Engine(shell).rotate_ca()
    made = backup(cluster, say=quiet)
    assert {one.manifest.ca_rotations for one in made if one.manifest} == {2}, made
    rotated = replace(picture, swarm=theatre.wires.swarm, objects=theatre.wires.objects)
    stack = theatre.lose(rotated, state)
    done = stack.up(picture.file.values, consent=True)
    swarm = theatre.wires.swarm
    leader = swarm.lives()
    assert (done.failure, swarm.violations) == ("", ())
    assert leader
    assert rotation.count(swarm.state_of(leader).spec) == 2
