"""The texts that people read on a forge."""

from dataclasses import replace
from typing import Any

import pytest

from recovery.pipeline.picture import Picture, Resources, consent, failed, issue, preview
from recovery.planning.decide import make_plan
from recovery.planning.diagnosis import diagnose
from recovery.planning.guidance import guide
from recovery.planning.plan import Plan, Source
from recovery.swarm.model import NodeReport, Reach
from tests.unit import factories as make

SETTINGS = make.settings(workers=[{"name": "worker-1", "address": "10.77.1.41"}])
HEALTHY = make.healthy(SETTINGS)


def picture(survey: Any, plan: Plan | None = None) -> Picture:
    diagnosis = diagnose(survey, make.CLUSTER, cluster="lab", copies=True)
    made = plan or make_plan(diagnosis, SETTINGS, Source(), (), make.NOW)
    made = replace(made, cluster_id=make.CLUSTER)
    refusal = made.refusal.why if made.refusal else ""
    lines = (*made.lines, *((f"this is plan {made.id}",) if made.id else ()))
    return Picture("production", survey, diagnosis, guide(SETTINGS, survey, diagnosis, made), made, lines, refusal)


def all_lost() -> Picture:
    reports = tuple(
        replace(make.worker(r.node)) if r.node.role == "worker" else NodeReport(r.node, Reach.ABSENT)
        for r in HEALTHY.reports
    )
    survey = replace(HEALTHY, reports=reports)
    diagnosis = diagnose(survey, make.CLUSTER, cluster="lab", copies=True)
    plan = replace(
        make_plan(diagnosis, SETTINGS, Source(), (), make.NOW), copy="swarm-20.10.24-manager-b-20260102T0300"
    )
    return picture(survey, replace(plan, vouched=True))


def one_silent() -> Picture:
    first, second, *rest = HEALTHY.reports
    reports = (first, NodeReport(second.node, Reach.SILENT), *rest)
    return picture(replace(HEALTHY, reports=reports))


RESOURCES = Resources({"same": 8, "create": 2}, (("create", "docker:index/container:Container", "worker-2"),))
PICTURES = {"healthy": lambda: picture(HEALTHY), "silent": one_silent, "all lost": all_lost}


@pytest.mark.parametrize("of", PICTURES)
def test_the_comment_on_a_pull_request(of: str, snapshot: Any) -> None:
    assert preview(PICTURES[of](), RESOURCES, "https://forge.example/run/1") == snapshot


def test_the_issue_and_the_request_of_a_loss(snapshot: Any) -> None:
    now = all_lost()
    assert "\n".join(issue(now, "plan needs consent", "https://forge.example/2")) == snapshot
    assert "\n".join(consent(now, "2026-01-02 03:00:00 UTC")) == snapshot
    assert now.plan.id in consent(now, "")[0]


def test_a_preview_that_failed_is_told(snapshot: Any) -> None:
    fault = Resources(fault=("error: no such stack", "```"))
    assert preview(picture(HEALTHY), fault, "") == snapshot
    assert failed("production", "requorum:managers: is not set", "") == snapshot
