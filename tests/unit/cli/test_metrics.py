"""The metrics: what a monitor is told of a cluster and its copies, and what it is not told when nobody knows it."""

import re
import urllib.request
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest, start_http_server
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from recovery import cli
from recovery.agent import metrics
from recovery.agent.state import State
from recovery.cli import metrics as command
from recovery.cli.show import cluster as show
from recovery.cli.show.contract import ERROR, FINE
from recovery.cli.show.metrics import MOMENT, Copies, Drills, Live, Watched
from recovery.copies.manifest import Proof, Verdict
from recovery.errors import DamagedCopy, SettingError
from recovery.operations import agents
from recovery.planning.diagnosis import diagnose
from recovery.swarm import maintenance
from recovery.swarm.found import Validity
from recovery.swarm.model import Survey
from tests.unit import factories as make

OF = make.settings(agent={"schedule": "daily"})
NAMES = [manager.name for manager in OF.managers]
ROOT = Path(__file__).resolve().parents[3]
RULES = yaml.safe_load((ROOT / "docs" / "alerts.yml").read_text())["groups"][0]["rules"]
CASES = [
    case
    for test in yaml.safe_load((ROOT / "tests" / "alerts.yml").read_text())["tests"]
    for case in test["alert_rule_test"]
]
"""What `make check` has promtool find out about the rules."""


VALID = Validity(make.NOW - timedelta(days=30), make.NOW + timedelta(days=60))
CA = Validity(VALID.begins, make.NOW + timedelta(days=3650))
UNTIL = make.NOW + timedelta(hours=1)


@pytest.mark.parametrize("listen", ["127.0.0.1", "127.0.0.1:99999", "127.0.0.1:x"])
def test_what_is_no_address_to_listen_at_is_refused(listen: str) -> None:
    with pytest.raises(SettingError, match=r"code: bad-argument$"):
        command._serve(listen, CollectorRegistry())


def maintained(seen: Survey) -> Survey:
    """With both workers in maintenance, an end for the first, and the certificates of the first manager and the CA."""
    kept = {
        worker.name: {maintenance.NOTE: maintenance.Maintenance("active", until).label}
        for worker, until in zip(OF.workers, (UNTIL, None), strict=True)
    }
    reports = [
        replace(r, members=tuple(replace(m, labels=kept.get(m.hostname, {}), availability="drain") for m in r.members))
        for r in seen.reports
    ]
    reports[0] = replace(reports[0], certificate=VALID, ca=CA)
    return replace(seen, reports=tuple(reports))


def watched(copies: Copies | None, drills: Drills | None = None) -> Watched:
    seen = maintained(make.healthy(OF))
    found = diagnose(seen, make.CLUSTER, cluster="lab", copies=True)
    data = {"db": [make.NOW], "files": []}
    return Watched(show.status(OF, seen, found, {}, None), copies, NAMES, data, drills or {}, sites=2)


def values(look: Watched) -> dict[tuple[str, ...], float]:
    """By name and the labels' values; as a server of metrics reads them."""
    registry = CollectorRegistry()
    registry.register(look)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def of_agents() -> set[str]:
    """The names of what agents tell."""
    config = agents.config(OF, OF.managers[0])
    return {family.name for family in metrics.collected(config, State(), ()).collect()}


def copies() -> Copies:
    failed = make.manifest("manager-a", ago=timedelta(minutes=1), proof=Proof(Verdict.FAILED, make.NOW, "torn"))
    good = make.manifest("manager-a", ago=timedelta(minutes=9), proof=Proof(Verdict.PROVEN, make.NOW, seconds=1.5))
    unproven = make.manifest("manager-b", ago=timedelta(minutes=5))
    unread = make.copy_of(make.manifest("manager-c"))
    torn = DamagedCopy("reading", "torn", remedy="")
    return [*((make.copy_of(made), made) for made in (failed, unproven, good)), (unread, torn)]


def test_each_managers_newest_and_newest_proven_copy_is_told() -> None:
    found = values(watched(copies()))
    failed, unproven, good = (made for _, made in copies() if not isinstance(made, DamagedCopy))
    newest, proven = "requorum_last_copy_timestamp_seconds", "requorum_last_proven_copy_timestamp_seconds"
    assert found[newest, "lab", "manager-a"] == failed.taken.timestamp()
    assert found[proven, "lab", "manager-a"] == good.taken.timestamp()
    assert found[newest, "lab", "manager-b"] == unproven.taken.timestamp()
    assert (proven, "lab", "manager-b") not in found
    assert (newest, "lab", "manager-c") not in found, "one that cannot be read is none"
    counts = {key[2:]: value for key, value in found.items() if key[0] == "requorum_copies"}
    assert counts["manager-a", "failed"] == counts["manager-a", "proven"] == counts["manager-b", "unproven"] == 1
    assert sum(counts.values()) == 3


def test_no_copy_is_younger_than_its_place_in_s3() -> None:
    made = make.manifest("manager-a", ago=timedelta(hours=-9), proof=Proof(Verdict.PROVEN, make.NOW))
    found = values(watched([(replace(make.copy_of(made), written=make.NOW), made)]))
    for name in ("requorum_last_copy_timestamp_seconds", "requorum_last_proven_copy_timestamp_seconds"):
        assert found[name, "lab", "manager-a"] == make.NOW.timestamp()


def test_a_healthy_swarm_is_told_as_such() -> None:
    found = values(watched([]))
    assert found["requorum_status", "lab"] == FINE
    assert [key[2] for key, value in found.items() if key[0] == "requorum_diagnosis" and value] == ["healthy"]


def test_it_is_told_when_the_look_was_made() -> None:
    assert values(watched(None))["requorum_looked_timestamp_seconds", "lab"] == make.NOW.timestamp()


def test_a_safety_copy_that_came_up_in_a_drill_is_no_last_proven_copy() -> None:
    safety, hot = (
        make.manifest("manager-a", kind=kind, ago=timedelta(minutes=ago), proof=Proof(Verdict.PROVEN, make.NOW))
        for kind, ago in (("safety", 1), ("hot", 9))
    )
    found = values(watched([(make.copy_of(made), made) for made in (safety, hot)]))
    assert found["requorum_last_proven_copy_timestamp_seconds", "lab", "manager-a"] == hot.taken.timestamp()
    found = values(watched([(make.copy_of(safety), safety)]))
    assert found["requorum_copies", "lab", "manager-a", "proven"] == 0, "which is an alert"


def test_the_newest_copy_of_each_data_is_told() -> None:
    found = values(watched([]))
    newest = {key[2]: value for key, value in found.items() if key[0] == "requorum_last_data_copy_timestamp_seconds"}
    assert newest == {"db": make.NOW.timestamp()}
    assert (found["requorum_data_copies", "lab", "db"], found["requorum_data_copies", "lab", "files"]) == (1, 0)


DRILLS = {"manager-a": Proof(Verdict.PROVEN, make.NOW), "manager-b": Proof(Verdict.UNPROVEN, make.NOW, "no memory")}


def test_each_manager_s_last_drill_is_told() -> None:
    found = values(watched([], DRILLS))
    of = {key[2]: value for key, value in found.items() if key[0] == "requorum_last_drill_proven"}
    assert of == {"manager-a": 1, "manager-b": 0}
    assert found["requorum_last_drill_timestamp_seconds", "lab", "manager-b"] == make.NOW.timestamp()


@pytest.mark.parametrize(("sites", "missing"), [((), 2), (("main",), 1), (("second",), 1), (("main", "second"), 0)])
def test_it_is_told_how_many_sites_lack_the_newest_proven_copy(sites: tuple[str, ...], missing: int) -> None:
    found = values(watched([(replace(copy, sites=sites), made) for copy, made in copies()]))
    of = {key[2]: value for key, value in found.items() if key[0] == "requorum_last_proven_copy_missing_sites"}
    assert of == {"manager-a": missing}


def test_without_s3_nothing_is_said_of_copies() -> None:
    found = values(watched(None, DRILLS))
    assert found["requorum_s3_up", "lab"] == 0
    assert not [key for key in found if "cop" in key[0] or "drill" in key[0]]


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli.console, "_settings", lambda *_: OF)
    monkeypatch.setattr(command, "_watched", lambda _: watched([]))
    done = CliRunner().invoke(cli.app, ["metrics", "--textfile", str(tmp_path / "none" / "requorum.prom")])
    assert done.exit_code == ERROR
    assert "requorum.prom: No such file or directory next: make its folder" in " ".join(done.stderr.split())


def test_questions_of_one_moment_share_a_look() -> None:
    looks: list[int] = []

    def look() -> Watched:
        looks.append(1)
        return watched(copies())

    registry = CollectorRegistry()
    registry.register(Live(look))
    server, thread = start_http_server(0, "127.0.0.1", registry)
    before = len(looks)
    for _ in range(2):
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/metrics") as answer:
            assert b'requorum_status{cluster="lab"} 0.0' in answer.read()
    assert len(looks) == before + 1
    server.shutdown()
    thread.join()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_the_alerts_are_about_metrics_that_there_are(rule: dict[str, str]) -> None:
    named = set(re.findall(r"requorum_\w+", rule["expr"]))
    assert named
    assert named <= {key[0] for key in values(watched(copies(), DRILLS))} | of_agents()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_each_alert_is_tested_firing_and_silent(rule: dict[str, str]) -> None:
    fires = {bool(case.get("exp_alerts")) for case in CASES if case["alertname"] == rule["alert"]}
    assert fires == {True, False}


def test_whoever_asks_again_within_a_moment_gets_what_the_last_look_found() -> None:
    looks: list[float] = []
    now = [0.0]

    def look() -> Watched:
        looks.append(now[0])
        return cast("Watched", CollectorRegistry())

    live = Live(look, lambda: now[0])
    for seconds in (0.0, MOMENT - 1, MOMENT, MOMENT + 1, 2 * MOMENT):
        now[0] = seconds
        assert list(live.collect()) == []
    assert looks == [0.0, MOMENT + 1]


def test_nodes_in_maintenance_are_told_and_when_it_ends() -> None:
    told = values(watched(copies()))
    assert {key[2]: value for key, value in told.items() if key[0] == "requorum_node_maintenance"} == {
        "worker-1": 1,
        "worker-2": 1,
    }
    ends = {key[2:]: value for key, value in told.items() if key[0].startswith("requorum_node_maintenance_until")}
    assert ends == {("worker-1",): UNTIL.timestamp()}


def test_when_certificates_begin_and_end_is_told() -> None:
    told = values(watched(copies()))
    assert told["requorum_node_certificate_begins_timestamp_seconds", "lab", "manager-a"] == VALID.begins.timestamp()
    assert told["requorum_node_certificate_ends_timestamp_seconds", "lab", "manager-a"] == VALID.ends.timestamp()
    assert told["requorum_ca_ends_timestamp_seconds", "lab"] == CA.ends.timestamp()
    assert not [key for key in told if "certificate" in key[0] and "manager-b" in key]
