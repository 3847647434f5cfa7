"""Drills on the fake swarm: what they find, where they stand, and what becomes of their result."""

import json
from collections.abc import Iterator

import pytest

from recovery import drill, hooks
from recovery.catalog import Catalog
from recovery.copy import ARCHIVE
from recovery.errors import Refused
from recovery.manifest import Verdict
from tests.fake.cases import Case, Copies, Theatre, names, quiet
from tests.fake.wires import wired


@pytest.fixture(scope="module")
def theatre() -> Iterator[Theatre]:
    with wired() as wires:
        yield Theatre(wires)


def test_the_newest_copy_of_each_manager_comes_up(theatre: Theatre) -> None:
    of = theatre.stage(Case(3, frozenset())).settings
    catalog = Catalog(of)
    done = list(drill.drill(of, catalog, catalog.newest_of_each(), on=None, say=quiet))
    assert [(result.node, result.proof.verdict) for result in done] == [(name, Verdict.PROVEN) for name in names(3)]
    assert all(result.rpo > 0 for result in done)
    again = Catalog(of)
    for result in done:
        manifest = again.manifest(result.copy)
        assert manifest.proof == result.proof, "the catalog tells of the last drill"
        assert json.loads(again.store.get(result.copy.drill_key))["node"] == result.node


def test_it_stands_where_a_node_answers(theatre: Theatre) -> None:
    of = theatre.stage(Case(3, frozenset({"manager-b"}))).settings
    swarm, catalog = theatre.wires.swarm, Catalog(of)
    (copy,) = [copy for copy in catalog.newest_of_each() if copy.manager == "manager-b"]
    swarm.lose("manager-b")
    (result,) = drill.drill(of, catalog, [copy], on=None, say=quiet)
    assert (result.node, result.proof.verdict) == ("manager-a", Verdict.PROVEN)
    (result,) = drill.drill(of, catalog, [copy], on=of.node("worker-1"), say=quiet)
    assert (result.node, result.proof.verdict) == ("worker-1", Verdict.PROVEN)
    for node in of.nodes:
        swarm.lose(node.name)
    with pytest.raises(Refused, match="no node answers"):
        list(drill.drill(of, catalog, [copy], on=None, say=quiet))


def test_a_damaged_copy_fails_and_is_chosen_last_from_then_on(theatre: Theatre) -> None:
    of = theatre.stage(Case(3, frozenset(), Copies.NEWEST_DAMAGED)).settings
    before = Catalog(of)
    chosen = before.newest_of_each()
    done = list(drill.drill(of, before, chosen, on=None, say=quiet))
    assert {result.proof.verdict for result in done} == {Verdict.FAILED}
    assert all("bytes, its manifest says" in result.proof.detail for result in done)
    assert set(tuple(before.by_trust(before.copies))[:3]) == set(chosen)
    after = Catalog(of)
    assert set(tuple(after.by_trust(after.copies))[-3:]) == set(chosen)


def test_a_result_that_cannot_be_read_changes_nothing(theatre: Theatre) -> None:
    of = theatre.stage(Case(3, frozenset())).settings
    hooks.fresh_copies(of, say=quiet)
    copy = Catalog(of).copies[0]
    theatre.wires.objects[copy.key.removesuffix(ARCHIVE) + ".drill.json"] = b"{"
    assert Catalog(of).manifest(copy).verdict is Verdict.PROVEN
