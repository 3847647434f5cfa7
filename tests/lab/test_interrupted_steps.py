"""Every step of a recovery without Pulumi is survived by the next run: the new cluster from a copy, and from a survivor."""

from collections.abc import Iterator

import pytest

from lab import environment, nodes
from lab.instance import Instance
from tests.chaos.__main__ import managers
from tests.chaos.cluster import Cluster
from tests.chaos.interrupted import Interrupted, points
from tests.chaos.oracle import Case, Copies

pytestmark = pytest.mark.whole

THREE = managers(3)
POINTS = [(lost, point) for lost in (THREE, THREE[:2]) for point in points(THREE, lost)]


@pytest.fixture(scope="module")
def trial(lab: Instance) -> Iterator[Interrupted]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.variables(lab).items():
            patch.setenv(name, value)
        yield Interrupted(Cluster(lab, managers=3, autolock=False))
    nodes.remove_all(lab)


@pytest.mark.parametrize(
    ("lost", "point"),
    POINTS,
    ids=lambda part: part if isinstance(part, str) else f"{len(part)} lost",
)
def test_a_recovery_that_is_killed_at_a_step_converges(trial: Interrupted, lost: tuple[str, ...], point: str) -> None:
    trial.point = point
    result = trial.run(Case(THREE, lost, Copies.GOOD))
    assert trial.killed
    assert not result.faults, "\n".join((*result.faults, *result.said))
