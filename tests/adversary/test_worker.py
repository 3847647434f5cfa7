"""Somebody who has one worker, with root: may say anything to those who ask it, and serve what it likes."""

from dataclasses import replace

import pytest

from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog
from recovery.errors import Refused
from recovery.operations import drill, lifecycle
from recovery.operations.assess import assess
from recovery.swarm.model import NodeReport, Survey
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
