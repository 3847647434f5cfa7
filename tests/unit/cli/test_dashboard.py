"""The dashboard: it has every metric that there is, Grafana's own model reads it whole, and Prometheus parses what it asks."""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_client.core import Metric

from recovery.agent.metrics import AgentCollector
from recovery.agent.state import State
from recovery.cli.show.dashboard import WIDTH, dashboard
from recovery.cli.show.metrics import Watched
from tests.unit.cli.test_commands import parsed
from tests.unit.cli.watched import status

PROJECT = Path(__file__).resolve().parents[3]
FILE = PROJECT / "docs/dashboard.json"
NAME = re.compile(r"\brequorum_\w+")


def expressions() -> list[str]:
    return [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", ())]


def exported(tmp_path: Path) -> Iterator[Metric]:
    """Every metric of a look, and of an agent."""
    yield from Watched(status("healthy"), [], ["manager-a"], {"orders": []}, {}, sites=1).collect()
    yield from AgentCollector(agent(tmp_path), State(), ()).collect()


def agent(tmp_path: Path) -> Any:
    class Config:
        cluster, name, places = "lab", "manager-a", ("main",)

    return Config()


def test_the_file_is_what_the_program_makes() -> None:
    assert json.loads(FILE.read_text()) == dashboard(), "python -m recovery.cli.show.dashboard > docs/dashboard.json"


def test_every_metric_is_on_it_and_nothing_else(tmp_path: Path) -> None:
    there = {f"{one.name}_total" if one.type == "counter" else one.name for one in exported(tmp_path)}
    assert len(there) > 20
    assert {name for expression in expressions() for name in NAME.findall(expression)} == there


def test_labels_that_legends_name_are_labels_of_the_metric(tmp_path: Path) -> None:
    labels = {one.name: {label for sample in one.samples for label in sample.labels} for one in exported(tmp_path)}
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            (name,) = set(NAME.findall(target["expr"]))
            named = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            known = labels[name.removesuffix("_total")] or {"cluster", "manager", "data", "node"}
            assert named <= known, panel["title"]


def test_prometheus_parses_every_expression(tmp_path: Path) -> None:
    found = expressions()
    rules = [{"record": f"panel:{place}", "expr": one} for place, one in enumerate(found)]
    (file := tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool = subprocess.run(["toolchain/promtool"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    done = subprocess.run([promtool.strip(), "check", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{len(found)} rules found" in done.stdout


def test_grafanas_model_of_a_dashboard_reads_all_of_it() -> None:
    register_default_plugins()
    ours = dashboard()
    again = json.loads(json.dumps(Dashboard.from_json(ours), cls=JSONEncoder))
    assert list(lacking(ours, again)) == []


def test_no_panels_overlap_and_none_is_outside() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= WIDTH
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken
        taken |= cells
    numbers = [panel["id"] for panel in dashboard()["panels"]]
    assert len(set(numbers)) == len(numbers)


def lacking(ours: Any, theirs: Any, path: str = "") -> Iterator[str]:
    """What a model does not know of a document, or knows as something else."""
    if isinstance(ours, dict):
        for key, one in ours.items():
            if not isinstance(theirs, dict) or key not in theirs:
                yield f"{path}/{key}"
            else:
                yield from lacking(one, theirs[key], f"{path}/{key}")
    elif isinstance(ours, list):
        if len(ours) != len(theirs):
            yield path
        for place, (one, other) in enumerate(zip(ours, theirs, strict=False)):
            yield from lacking(one, other, f"{path}[{place}]")
    elif ours != theirs:
        yield path


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="this machine has no systemd")
def test_systemd_takes_the_unit_and_requorum_its_command(tmp_path: Path) -> None:
    unit = (PROJECT / "docs/requorum-metrics.service").read_text()
    (command,) = re.findall(r"^ExecStart=/srv/requorum/pipelines/run (.+)$", unit, re.MULTILINE)
    assert parsed(*shlex.split(command)).command.name == "metrics"
    here = unit.replace("/srv/requorum", str(PROJECT)).replace("User=requorum", "User=root")
    (file := tmp_path / "requorum-metrics.service").write_text(here)
    for text, well in ((here, True), (here.replace("pipelines/run", "pipelines/none"), False)):
        file.write_text(text)
        done = subprocess.run(["systemd-analyze", "verify", file], capture_output=True, text=True, check=False)
        said = [line for line in done.stderr.splitlines() if file.name in line]
        assert (said == []) is well, said
