"""Drills on the fake swarm: what they find, where they stand, and what becomes of their result."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyrage
import pytest
from syrupy.assertion import SnapshotAssertion

from recovery.cluster import Cluster
from recovery.copies import contents
from recovery.copies.catalog import Catalog
from recovery.copies.manifest import Verdict
from recovery.copies.order import by_trust
from recovery.errors import CommandFailed, Refused
from recovery.node import program
from recovery.operations import drill, last_drills, lifecycle
from recovery.settings import Settings
from recovery.swarm.engine_version import is_older
from tests.fake.cases import Case, Copies, Theatre, names, quiet
from tests.fake.wires import wired
from tests.unit.swarm.test_key_file import key_file, unlock_key


@pytest.fixture(scope="module")
def theatre() -> Iterator[Theatre]:
    with wired() as wires:
        yield Theatre(wires)


def test_the_newest_copy_of_each_manager_comes_up(theatre: Theatre) -> None:
    of = theatre.stage(Case(3, frozenset())).settings
    catalog = Catalog(of)
    done = list(drill.drill(Cluster(of), catalog, catalog.newest_of_each(), on=None, say=quiet))
    assert [(result.node, result.proof.verdict) for result in done] == [(name, Verdict.PROVEN) for name in names(3)]
    assert all(result.rpo > 0 for result in done)
    again = Catalog(of)
    for result in done:
        manifest = again.manifest(result.copy)
        assert manifest.proof == result.proof, "the catalog tells of the last drill"
        assert json.loads(again.store.get(result.copy.drill_key))["node"] == result.node
    assert last_drills.last(Cluster(of), Catalog(of)) == {result.copy.manager: result.proof for result in done}


def test_it_stands_where_a_node_answers(theatre: Theatre) -> None:
    of = theatre.stage(Case(3, frozenset({"manager-b"}))).settings
    swarm, catalog = theatre.wires.swarm, Catalog(of)
    (copy,) = [copy for copy in catalog.newest_of_each() if copy.manager == "manager-b"]
    swarm.lose("manager-b")
    (result,) = drill.drill(Cluster(of), catalog, [copy], on=None, say=quiet)
    assert (result.node, result.proof.verdict) == ("manager-a", Verdict.PROVEN)
    (result,) = drill.drill(Cluster(of), catalog, [copy], on=of.node("worker-1"), say=quiet)
    assert (result.node, result.proof.verdict) == ("worker-1", Verdict.PROVEN)
    for node in of.managers:
        swarm.lose(node.name)
    with pytest.raises(Refused, match=r"no manager answers(?s:.*)code: node-unreachable$"):
        list(drill.drill(Cluster(of), catalog, [copy], on=None, say=quiet))
    for node in of.workers:
        swarm.lose(node.name)
    with pytest.raises(Refused, match=r"worker-1(?s:.*)code: node-unreachable$"):
        list(drill.drill(Cluster(of), catalog, [copy], on=of.node("worker-1"), say=quiet))


def test_it_stands_on_an_engine_that_reads_what_the_copy_s_engine_wrote(
    theatre: Theatre, snapshot: SnapshotAssertion
) -> None:
    of = theatre.stage(Case(3, frozenset())).settings
    swarm = theatre.wires.swarm
    swarm.named("manager-b").engine = "26.1.5"
    lifecycle.fresh_copies(Cluster(of), say=quiet)
    swarm.named("manager-b").engine = "20.10.24"
    swarm.named("manager-c").engine = "29.0.1"
    swarm.named("worker-1").engine = "99.0"
    catalog = Catalog(of)
    copy = catalog.newest("manager-b")
    assert copy
    (result,) = drill.drill(Cluster(of), catalog, [copy], on=None, say=quiet)
    assert (result.node, result.proof.verdict) == ("manager-c", Verdict.PROVEN)
    (result,) = drill.drill(Cluster(of), catalog, [copy], on=of.node("manager-b"), say=quiet)
    assert (result.node, result.proof.verdict) == ("manager-b", Verdict.UNPROVEN)
    assert result.proof.detail == snapshot
    assert json.loads(catalog.store.get(copy.drill_key))["node"] == "manager-c", "what was known of the copy stays"


@pytest.mark.parametrize(
    ("engine", "maker", "older"),
    [
        ("20.10.24", "26.1.5", True),
        ("26.0.9", "26.1.0", True),
        ("20.10.5", "20.10.24", False),
        ("20.10.24+dfsg1", "20.10.24+dfsg1", False),
        ("26.1.5+dfsg1", "20.10.24+dfsg1", False),
        ("100.0.0", "26.1.5", False),
        ("9.1.0", "26.1.5", True),
        ("unknown", "26.1.5", False),
        ("20.10.24", "unknown", False),
        ("", "", False),
    ],
)
def test_releases_are_compared_as_numbers_and_patches_are_not(engine: str, maker: str, older: bool) -> None:
    assert is_older(engine, maker) is older


def stranger(of: Settings, tmp_path: Path) -> Settings:
    """The same settings with an identity that opens nothing of theirs."""
    (tmp_path / "identity").write_text(f"{pyrage.x25519.Identity.generate()}\n")
    return of.model_copy(update={"backup": of.backup.model_copy(update={"identity_file": tmp_path / "identity"})})


def test_an_identity_that_opens_nothing_says_nothing_about_the_copies(theatre: Theatre, tmp_path: Path) -> None:
    of = theatre.stage(Case(3, frozenset())).settings
    ours = stranger(of, tmp_path)
    before = Catalog(of)
    order = list(by_trust(before.reading(before.copies)))
    catalog = Catalog(ours)
    done = list(drill.drill(Cluster(ours), catalog, catalog.newest_of_each(), on=None, say=quiet))
    assert {result.proof.verdict for result in done} == {Verdict.UNPROVEN}
    assert all("identities of requorum:backup.identityFile do not open it" in result.proof.detail for result in done)
    again = Catalog(of)
    assert list(by_trust(again.reading(again.copies))) == order
    assert {again.manifest(copy).verdict for copy in order} == {Verdict.PROVEN}
    assert not [key for key in theatre.wires.objects if key.endswith(".drill.json")]
    assert {proof.verdict for proof in last_drills.last(Cluster(of), Catalog(of)).values()} == {Verdict.UNPROVEN}, (
        "monitors are told"
    )


def test_a_copy_damaged_and_sealed_to_others_is_at_fault(theatre: Theatre, tmp_path: Path) -> None:
    of = stranger(theatre.stage(Case(3, frozenset(), Copies.NEWEST_DAMAGED)).settings, tmp_path)
    catalog = Catalog(of)
    done = list(drill.drill(Cluster(of), catalog, catalog.newest_of_each(), on=None, say=quiet))
    assert {result.proof.verdict for result in done} == {Verdict.FAILED}


def test_without_the_unlock_key_nothing_is_said_about_the_copy(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = theatre.stage(Case(3, frozenset())).settings
    catalog = Catalog(of)
    copy = catalog.newest_of_each()[0]
    catalog._manifests[copy] = replace(catalog.manifest(copy), autolock=True)
    locked = key_file(unlock_key())
    monkeypatch.setattr(contents, "key_file", lambda *_, **__: locked)
    (result,) = drill.drill(Cluster(of), catalog, [copy], on=None, say=quiet)
    assert (result.proof.verdict, result.proof.detail) == (Verdict.UNPROVEN, "escrow has no unlock key")
    assert Catalog(of).manifest(copy).verdict is Verdict.PROVEN


def test_a_node_that_fails_says_nothing_about_the_copy_and_keeps_no_other_drill_from_its_turn(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = theatre.stage(Case(3, frozenset())).settings
    catalog, run = Catalog(of), program.run

    def failing(shell: Any, verb: str, *arguments: str, **given: Any) -> Any:
        if verb == "receive" and shell.node.name == "manager-a":
            raise CommandFailed("taking a copy to the node", "no space left on device", remedy="look", node="manager-a")
        return run(shell, verb, *arguments, **given)

    monkeypatch.setattr(program, "run", failing)
    done = list(drill.drill(Cluster(of), catalog, catalog.newest_of_each(), on=None, say=quiet))
    assert [result.proof.verdict for result in done] == [Verdict.UNPROVEN, Verdict.PROVEN, Verdict.PROVEN]
    assert done[0].proof.detail == "no space left on device"


def test_a_damaged_copy_fails_and_is_chosen_last_from_then_on(theatre: Theatre) -> None:
    of = theatre.stage(Case(3, frozenset(), Copies.NEWEST_DAMAGED)).settings
    before = Catalog(of)
    chosen = before.newest_of_each()
    done = list(drill.drill(Cluster(of), before, chosen, on=None, say=quiet))
    assert {result.proof.verdict for result in done} == {Verdict.FAILED}
    assert all("SHA-256 differs" in result.proof.detail for result in done)
    assert set(tuple(by_trust(before.reading(before.copies)))[:3]) == set(chosen)
    after = Catalog(of)
    assert set(tuple(by_trust(after.reading(after.copies)))[-3:]) == set(chosen)
