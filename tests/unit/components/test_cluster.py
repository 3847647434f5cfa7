"""In which order the cluster's resources come."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from recovery.settings import Settings
from tests.unit import cluster
from tests.unit import factories as make


def awaited(of: Settings, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, set[str]]:
    """What each resource waits for, by name."""
    found: dict[str, set[str]] = {}
    cluster.build(
        of,
        monkeypatch,
        lambda request: found.update({request.name: {urn.rsplit("::", 1)[-1] for urn in request.dependencies}}),
    )
    return found


def test_workers_that_are_stranded_come_beside_the_managers_and_all_others_after_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of = make.settings()
    stranded, other = of.workers
    found = cluster.assessment(of)
    diagnosis = replace(found.diagnosis, stranded=(stranded.name,))
    monkeypatch.setattr(cluster, "assessment", lambda _: replace(found, diagnosis=diagnosis))
    before = awaited(of, monkeypatch)
    last = of.managers[-1]
    assert before[f"{stranded.address}-member"] == {"quorum"}
    assert before[f"{other.address}-member"] == {"quorum", f"{last.address}-member"}
    assert before[f"{last.address}-member"] == {"quorum", f"{of.managers[-2].address}-member"}
    assert {f"{node.address}-member" for node in of.nodes} <= before["health"]
