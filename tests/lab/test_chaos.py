"""A part of the chaos matrix, by the code that runs the whole of it: each kind of loss, each state of the copies."""

from collections.abc import Iterator

import pytest

from lab import environment, nodes
from lab.instance import Instance
from tests.chaos.__main__ import managers
from tests.chaos.cluster import Cluster
from tests.chaos.oracle import Case, Copies
from tests.chaos.trial import Trial

pytestmark = pytest.mark.whole

A, B, C = THREE = managers(3)
PART = [
    ((A, B), Copies.GOOD),
    (THREE, Copies.TAMPERED),
    (THREE, Copies.FOREIGN),
    ((), Copies.FOREIGN),
    ((A,), Copies.TORN),
    ((B,), Copies.MISSING),
    ((C,), Copies.FOREIGN),
    ((B, C), Copies.MISSING),
    (THREE, Copies.MISSING),
]
CASES = [Case(THREE, lost, state, autolock=True) for lost, state in PART]


@pytest.fixture(scope="module")
def trial(lab: Instance) -> Iterator[Trial]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.variables(lab).items():
            patch.setenv(name, value)
        yield Trial(Cluster(lab, managers=3, autolock=True))
    nodes.remove_all(lab)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_ends_as_it_must(trial: Trial, case: Case) -> None:
    result = trial.run(case)
    assert not result.faults, "\n".join((*result.faults, *result.said))
