"""Somebody who has one worker, with root: may say anything to those who ask it, and serve what it likes."""

import pytest

from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog
from recovery.errors import Refused
from recovery.operations import drill, lifecycle
from tests.fake.cases import Case, Theatre, quiet
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
