"""How often a swarm's CA was rotated, and what a forced cluster is told of it."""

import pytest

from recovery.swarm import rotation


@pytest.mark.parametrize(
    ("spec", "count"), [({}, 0), ({"CAConfig": None}, 0), ({"CAConfig": {}}, 0), ({"CAConfig": {"ForceRotate": 4}}, 4)]
)
def test_each_rotation_counts(spec: dict[str, object], count: int) -> None:
    assert rotation.count(spec) == count
    assert rotation.count(rotation.forced(spec)) == count + 1
    assert rotation.count(rotation.as_often(count)) == count


def test_without_a_count_docker_gets_none() -> None:
    assert rotation.as_often(None) == rotation.as_often(0) == {}
