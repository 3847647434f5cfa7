"""Engines that keep their data elsewhere: refused while all is well, and never where there is something to recover."""

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from recovery.errors import Refused
from recovery.node.shell import Output
from recovery.node.ssh import Shell
from recovery.operations.assess import Assessment
from recovery.planning.diagnosis import Kind, diagnose
from recovery.planning.plan import Plan
from recovery.survey import nodes
from recovery.swarm.model import NodeReport
from tests.unit import factories as make

OF = make.settings()
A, B, C = OF.managers
WELL = list(make.healthy(OF).reports)
UNKNOWN = [make.empty(node) for node in OF.nodes]
LEADERLESS = [make.leaderless(A), make.gone(B), make.gone(C)]


def assessed(reports: Sequence[NodeReport], moved: str) -> Assessment:
    seen = make.survey(
        [replace(report, data_root="/srv/docker") if report.node.name == moved else report for report in reports]
    )
    found = diagnose(seen, None if reports is UNKNOWN else make.CLUSTER, cluster=OF.cluster, copies=False)
    return Assessment(seen, found, Plan(found.kind))


@pytest.mark.parametrize(("reports", "kind"), [(WELL, Kind.HEALTHY), (UNKNOWN, Kind.ABSENT)])
def test_a_manager_with_another_data_root_is_refused_while_all_is_well(reports: list[NodeReport], kind: Kind) -> None:
    found = assessed(reports, "manager-b")
    assert found.diagnosis.kind is kind
    with pytest.raises(Refused, match=r"manager-b: (?s:.*)code: data-root-moved$") as told:
        found.require_safe(OF)
    assert "ln -s /srv/docker /var/lib/docker" in told.value.remedy
    assessed(reports, "worker-1").require_safe(OF)
    assessed(reports, "nobody").require_safe(OF)


def test_where_there_is_something_to_recover_nothing_is_refused_for_that() -> None:
    found = assessed(LEADERLESS, "manager-a")
    assert found.diagnosis.kind is Kind.QUORUM_LOST
    found.require_safe(OF)


@pytest.mark.parametrize(
    ("root", "linked", "told"),
    [("docker", False, ""), ("other", False, "other"), ("other", True, ""), ("docker/1.1", False, "docker/1.1")],
    ids=["as ever", "data-root", "linked", "userns-remap"],
)
def test_a_survey_tells_where_an_engine_keeps_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str, linked: bool, told: str
) -> None:
    usual = tmp_path / "docker"
    (tmp_path / root).mkdir(parents=True)
    if linked:
        usual.symlink_to(tmp_path / root)

    def run(argv: Sequence[str], **_: Any) -> Output:
        done = subprocess.run(argv, capture_output=True)
        return Output(done.stdout, done.stderr.decode(), done.returncode)

    info = {"DockerRootDir": str(tmp_path / root), "Swarm": {"LocalNodeState": "inactive"}}
    monkeypatch.setattr(nodes, "DATA_ROOT", str(usual))
    monkeypatch.setattr("recovery.node.engine.Engine", lambda *_, **__: SimpleNamespace(info=lambda: info))
    found = nodes.ask(cast("Shell", SimpleNamespace(node=A, run=run)))
    assert found.data_root == (str(tmp_path / told) if told else "")
