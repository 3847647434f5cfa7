"""Somebody who has one worker, with root: may say anything to those who ask it, and serve what it likes."""

import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog
from recovery.errors import Refused
from recovery.node import answers
from recovery.operations import drill, lifecycle
from recovery.operations.assess import assess
from recovery.steps import redirect
from recovery.survey import unknown_managers
from recovery.swarm.model import NodeReport, Survey
from recovery.swarm.records import Unfit
from tests.fake.cases import Case, Theatre, names, quiet
from tests.unit import factories as make
from tests.unit.operations.test_drill import theatre

__all__ = ["theatre"]


def test_no_worker_gets_an_opened_copy_unless_it_is_named(theatre: Theatre) -> None:
    """It claims an engine that is newer than all others, and no manager answers."""
    of = theatre.stage(Case(3, frozenset())).settings
    swarm = theatre.wires.swarm
    swarm.named("worker-1").engine = "99.0"
    for manager in of.managers:
        swarm.named(manager.name).engine = "28.0.0"
    lifecycle.fresh_copies(Cluster(of), say=quiet)
    for manager in of.managers:
        swarm.named(manager.name).engine = "20.10.24"
    catalog = Catalog(of)
    done = list(drill.drill(Cluster(of), catalog, catalog.newest_of_each(), on=None, say=quiet))
    assert {result.node for result in done} <= {manager.name for manager in of.managers}
    for manager in of.managers:
        swarm.lose(manager.name)
    with pytest.raises(Refused, match=r"a worker gets a copy only if you name it(?s:.*)code: node-unreachable$"):
        list(drill.drill(Cluster(of), catalog, catalog.newest_of_each(), on=None, say=quiet))
    said: list[str] = []
    (named,) = drill.drill(Cluster(of), catalog, catalog.newest_of_each()[:1], on=of.node("worker-1"), say=said.append)
    assert named.node == "worker-1"
    assert "CA key" in said[0]


def test_a_worker_that_tells_another_ca_is_named_and_decides_nothing(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds a CA file of its own on its disk, under which somebody has laid down copies."""
    scene = theatre.stage(Case(3, frozenset(names(3))))
    genuine = make.ca_sha256(scene.cluster_id)
    told = Survey.knowing_ca

    def lied(seen: Survey, cluster_id: str | None) -> tuple[NodeReport, ...]:
        reports = told(seen, cluster_id)
        return (*reports, replace(reports[0], ca_sha256="0" * 64))

    monkeypatch.setattr(Survey, "knowing_ca", lied)
    with pytest.raises(Refused, match=r"worker-\d knows 0000(?s:.*)code: ca-differs$"):
        assess(Cluster(scene.settings))
    pinned = scene.settings.model_copy(update={"ca_sha256": (genuine,)})
    plan = assess(Cluster(pinned)).plan
    assert (plan.ca, plan.vouched) == (genuine, True)
    astray = scene.settings.model_copy(update={"ca_sha256": ("0" * 64,)})
    refused = assess(Cluster(astray)).plan.refusal
    assert refused
    assert refused.code == "no-good-copy"


@pytest.mark.parametrize("script", [unknown_managers.KNOCK, redirect.OPEN], ids=["knock", "detour"])
@pytest.mark.parametrize("told", ["$(touch owned)", "`touch owned`", "x; touch owned", "* owned"])
def test_no_address_that_a_node_tells_runs_where_it_is_used(tmp_path: Path, script: str, told: str) -> None:
    """Without the types of answers, too: the scripts take it as one argument."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("iptables", "systemctl", "systemd-run"):
        (tools / tool).write_text('#!/bin/sh\nfor word; do echo "$word" >> "$OUT"; done\n')
        (tools / tool).chmod(0o755)
    work = tmp_path / "work"
    work.mkdir()
    env = {"PATH": f"{tools}:{os.environ['PATH']}", "OUT": str(tmp_path / "words")}
    argv = ["sh", "-c", script, "it", *(["true", "iptables", "2377"] if script == redirect.OPEN else []), told, told]
    subprocess.run(argv, cwd=work, env=env, capture_output=True, timeout=10)
    assert not list(work.iterdir())
    if script == redirect.OPEN:
        assert (tmp_path / "words").read_text().splitlines().count(told) == 2


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        ({"Status": {"Addr": "$(reboot)"}}, ""),
        ({"ManagerStatus": {"Addr": "$(reboot):2377"}}, "ManagerStatus.Addr is no address"),
        ({"ManagerStatus": {"Addr": "10.0.0.1:2377"}}, ""),
        ({"ManagerStatus": {"Addr": "[::1]:2377"}}, ""),
        ({"ManagerStatus": []}, "ManagerStatus is no object"),
        ({"ID": "a\x1b[2J"}, "ID is no name"),
        ({"Spec": {"Role": "root", "Availability": "active"}}, "Spec.Role is 'root'"),
        ({"Spec": {"Role": "worker", "Availability": "active", "Labels": {"a": 1}}}, "a is no text"),
    ],
)
def test_an_entry_of_the_node_list_is_typed(told: dict[str, Any], fault: str) -> None:
    entry = {"ID": "a", "Spec": {"Role": "worker", "Availability": "active"}, **told}
    if not fault:
        assert answers.member(entry).address == ""
        return
    with pytest.raises(Unfit, match=re.escape(fault)):
        answers.member(entry)
