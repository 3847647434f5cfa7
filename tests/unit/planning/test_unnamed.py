"""Which managers that no settings name may still run."""

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from recovery.cli.show.plan import plan_json
from recovery.copies.manifest import Manifest
from recovery.operations.assess import Assessment
from recovery.planning.diagnosis import diagnose
from recovery.planning.unnamed import unnamed
from recovery.swarm.model import NodeReport
from recovery.swarm.moved import AddressChange
from recovery.swarm.wal import Position
from recovery.swarm.workload import Inventory
from tests.unit import factories as make
from tests.unit.planning.plans import choice, plan
from tests.unit.planning.test_diagnosis import W1, A, B, C, S, led

X = "10.77.9.9"
ALL = frozenset({"id-manager-a", "id-manager-b", "id-manager-c", "id-x"})
WORKER = make.worker(W1)
OURS = tuple(f"{node.address}:2377" for node in S.managers)
KNOWS = replace(WORKER, remotes=(*OURS, f"{X}:2377"), peers={X: "id-x"})
STRANGE = replace(make.members([A], leader="")[0], node_id="id-x", address=X, manager_address=f"{X}:2377")
MOVE = AddressChange("manager-a", "id-x", X, str(A.address))


def copied(name: str, ago: int, nodes: Collection[str] = ALL, **changes: Any) -> Manifest:
    listed = Inventory({"nodes": frozenset(nodes)}, 42)
    return make.manifest(name, ago=timedelta(minutes=ago), inventory=listed, **changes)


STRANGER = copied("manager-x", 9, address=X, node_id="id-x")
NEWER = copied("manager-a", 1, address=str(A.address))


@pytest.mark.parametrize(
    ("reports", "copies", "moves", "left", "found"),
    [
        ([KNOWS], [], (), (), (X,)),
        ([replace(WORKER, remotes=OURS)], [], (), (), ()),
        ([KNOWS], [], (), (X,), ()),
        ([KNOWS], [], (MOVE,), (), ()),
        ([replace(KNOWS, node_id="id-x")], [], (), (), ()),
        ([KNOWS], [copied("manager-a", 1, address=str(A.address), node_id="id-x")], (), (), ()),
        ([replace(KNOWS, peers={})], [], (), (), (X,)),
        ([led(A)], [], (), (), ()),
        ([replace(led(A), members=(*led(A).members, STRANGE))], [], (), (), (X,)),
        ([replace(KNOWS, node_id="id-x", members=(STRANGE,), peers={})], [], (), (), ()),
        ([WORKER], [STRANGER, NEWER], (), (), (X,)),
        ([WORKER], [STRANGER], (), (), (X,)),
        ([WORKER], [STRANGER, copied("manager-a", 1, ALL - {"id-x"}, address=str(A.address))], (), (), ()),
        ([WORKER], [STRANGER, NEWER], (), (X,), ()),
        ([WORKER], [STRANGER, copied("manager-a", 1, address=str(A.address), node_id="id-x")], (), (), ()),
        ([WORKER], [replace(STRANGER, address=str(B.address))], (), (), ()),
    ],
    ids=[
        "a worker knows it",
        "only named ones are known",
        "it answers and is in no swarm",
        "it moved",
        "the node itself has two addresses",
        "it is a named manager under another address",
        "only its address is known",
        "a leader lists the named ones",
        "a leader that has just lost its quorum lists it",
        "its ID is only in that list",
        "a copy knows it",
        "only its own copy knows it",
        "it was removed since",
        "it is copied, answers and is in no swarm",
        "it was copied, and then moved",
        "it was called otherwise",
    ],
)
def test_a_manager_is_unnamed_that_may_still_run_where_no_settings_name_one(
    reports: list[NodeReport],
    copies: list[Manifest],
    moves: tuple[AddressChange, ...],
    left: tuple[str, ...],
    found: tuple[str, ...],
) -> None:
    others = [make.gone(node) for node in S.nodes if node.name not in {report.node.name for report in reports}]
    listed = {make.copy_of(one): one for one in copies}
    assert unnamed(make.survey([*others, *reports]), listed, moves, left) == found


@pytest.mark.parametrize(
    ("first", "last", "found"),
    [(ALL - {"id-x"}, ALL, (X,)), (ALL, ALL - {"id-x"}, ())],
    ids=["it was added", "it was removed"],
)
def test_the_list_counts_that_is_committed_furthest_if_clocks_may_differ(
    first: Collection[str], last: Collection[str], found: tuple[str, ...]
) -> None:
    """The clock of the manager that was copied first is ahead."""
    early = copied("manager-a", 1, first, position=Position(3, 40, 40))
    late = copied("manager-b", 4, last, position=Position(3, 50, 50))
    lost = make.survey([make.gone(node) for node in S.nodes])
    assert unnamed(lost, {make.copy_of(one): one for one in (STRANGER, early, late)}, (), ()) == found


def test_only_its_id_consents_to_a_restore_without_an_unnamed_manager() -> None:
    lost = [*map(make.gone, (A, B, C)), KNOWS, *map(make.worker, S.workers[1:])]
    usual = plan(lost, chosen=choice(), recover=True)
    assert not usual.refusal
    for recover in (True, usual.id):
        made = plan(lost, chosen=choice(), recover=recover, typed=True, without=(X,))
        assert made.refusal
        assert made.refusal.code == "consent-needed"
        assert X in made.refusal.why
        assert made.agreed() == made
        shown = Assessment(
            make.survey(lost), diagnose(make.survey(lost), make.CLUSTER, cluster="lab", copies=True), made
        )
        assert plan_json(shown, shown.guidance(S))["without"] == [X]
        assert any(X in loss for loss in made.losses)
    assert not plan(lost, chosen=choice(), recover=made.id, without=(X,)).refusal
