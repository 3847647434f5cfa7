"""Somebody who has the key of a node that was a manager: of one that was demoted, or of a disk that was thrown away."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog
from recovery.copies.choice import newest_good
from recovery.copies.copy import Copy
from recovery.copies.escrow import Escrow
from recovery.copies.manifest import Proof, Verdict
from recovery.node import answers
from recovery.operations.assess import assess
from recovery.operations.trust import trusted
from recovery.planning.trust import as_known, since_proven
from recovery.survey.nodes import stable_survey
from recovery.swarm.peers import told_managers
from tests.fake.cases import Case, Theatre, names
from tests.fake.wires import wired
from tests.unit import factories as make
from tests.unit.copies.stored import put

S = make.settings()
PROVEN = Proof(Verdict.PROVEN, make.NOW)


def test_its_copy_is_not_proven_for_a_manager_that_the_leader_knows_as_another_node() -> None:
    genuine, forged = (make.manifest("manager-b", node_id=node, proof=PROVEN) for node in ("id-manager-b", "id-former"))
    seen = make.healthy(S)
    assert as_known(genuine, "manager-b", seen) == genuine
    judged = as_known(forged, "manager-b", seen)
    assert (judged.verdict, judged.restores_proven) == (Verdict.UNPROVEN, False)
    assert judged.proof
    assert judged.proof.detail == "node id-former made it, and the swarm knows manager-b as node id-manager-b"


def test_nobody_knows_better_without_a_leader() -> None:
    made = make.manifest("manager-b", node_id="id-former", proof=PROVEN)
    assert as_known(made, "manager-b", make.survey([make.leaderless(node) for node in S.managers])) == made
    assert as_known(replace(made, proof=None), "manager-b", make.healthy(S)).proof is None


def chosen(catalog: Catalog) -> Copy | None:
    """What a swarm of which no manager is left would be restored from."""
    managers = [manager.name for manager in S.managers]
    cas = frozenset({make.ca_sha256()})
    with newest_good(catalog, Escrow(S, catalog.store), managers, make.CLUSTER, cas) as found:
        return found.choice.copy if found.choice else None


def test_with_all_managers_lost_its_copy_is_taken_only_after_those_of_managers_that_workers_know(
    bucket: Any, tmp_path: Path
) -> None:
    genuine = put(S, tmp_path, "manager-a", 60, proof=PROVEN)
    forged = put(S, tmp_path, "manager-b", 1, node_id="id-former", proof=PROVEN)
    assert chosen(Catalog(S)) == forged, "without anybody who knows the managers, nothing tells them apart"
    catalog = Catalog(S)
    worker = make.worker(S.workers[0])
    peers = {str(node.address): f"id-{node.name}" for node in S.managers}
    lost = [make.gone(node) for node in S.managers]
    catalog.trust((), told_managers(make.survey([*lost, replace(worker, peers=peers)])))
    assert chosen(catalog) == genuine
    judged = catalog.manifest(forged)
    assert judged.verdict is Verdict.UNPROVEN
    assert judged.proof
    address = S.node("manager-b").address
    assert (
        judged.proof.detail
        == f"node id-former made it, and living nodes know the manager at {address} as node id-manager-b"
    )
    genuine_b = put(S, tmp_path, "manager-b", 30, proof=PROVEN)
    again = Catalog(S)
    again.trust((), {str(address): frozenset({"id-other", "id-manager-b"})})
    assert chosen(again) == genuine_b, "one worker that lies spoils nothing, as long as another tells the truth"


def test_nobody_is_known_where_nodes_tell_of_several_swarms() -> None:
    workers = [replace(make.worker(node), peers={"10.77.1.11": "id-x"}) for node in S.workers]
    assert told_managers(make.survey(workers)) == {"10.77.1.11": {"id-x"}}
    assert told_managers(make.survey([workers[0], replace(workers[-1], cluster_id="another")])) == {}
    assert told_managers(make.survey([replace(workers[0], placed="swarm-1")])) == {}


def test_a_failed_copy_does_not_become_better_by_it() -> None:
    failed = make.manifest("manager-b", node_id="id-former", proof=Proof(Verdict.FAILED, make.NOW))
    assert as_known(failed, "manager-b", make.healthy(S)).verdict is Verdict.FAILED


def test_the_id_of_a_manager_that_an_engine_tells_is_a_name() -> None:
    told = {
        "LocalNodeState": "active",
        "RemoteManagers": [{"Addr": "10.0.0.1:2377", "NodeID": "a"}, {"Addr": "10.0.0.2:2377"}],
    }
    assert answers.info({"Swarm": told})["Swarm"]["RemoteManagers"] == [
        {"Addr": "10.0.0.1:2377", "NodeID": "a"},
        {"Addr": "10.0.0.2:2377", "NodeID": ""},
    ]
    spoilt = {
        **told,
        "RemoteManagers": [{"Addr": "10.0.0.1:2377", "NodeID": "\x1b[2J"}, {"Addr": "10.0.0.1:2377", "NodeID": 5}],
    }
    assert answers.info({"Swarm": spoilt})["Swarm"]["RemoteManagers"] == []


@pytest.fixture
def theatre() -> Iterator[Theatre]:
    with wired() as wires:
        yield Theatre(wires)


def test_an_assessment_asks_the_workers_who_the_managers_were(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = theatre.stage(Case(3, frozenset(names(3))))
    known = told_managers(stable_survey(Cluster(scene.settings)))
    managers = scene.settings.managers
    assert known == {str(node.address): {scene.identities[node.name]} for node in managers}
    before = assess(Cluster(scene.settings)).plan
    assert before.copy
    newest = next(node for node in managers if node.name in before.copy)
    theirs = {**known, str(newest.address): frozenset({"another"})}
    monkeypatch.setattr("recovery.operations.assess.told_managers", lambda _: theirs)
    after = assess(Cluster(scene.settings)).plan
    assert after.copy != before.copy
    assert any("made it, and living nodes know the manager at" in line for line in after.lines)


@pytest.mark.parametrize(
    ("copied", "proven", "said"),
    [
        ({"copy": "swarm-1", "manager": "manager-b", "node_id": "x"}, {"manager-b": "y"}, True),
        ({"copy": "swarm-1", "manager": "manager-b", "node_id": "x"}, {"manager-b": "x"}, False),
        ({"copy": "swarm-1", "manager": "manager-b", "node_id": "x"}, {"manager-c": "y"}, False),
        ({}, {"manager-b": "y"}, False),
    ],
)
def test_preview_tells_what_the_last_proof_knows_otherwise(
    copied: dict[str, str], proven: dict[str, str], said: bool
) -> None:
    lines = since_proven(copied, proven)
    assert bool(lines) is said
    if said:
        assert lines[0].startswith("note: node x made swarm-1, and the last proof knew manager-b as node y")


def test_no_rule_removes_copies_of_a_machine_that_was_replaced_sooner(bucket: Any, tmp_path: Path) -> None:
    """Two CAs are in the bucket, so that the rules ask the nodes. The workers know the machine of now."""
    put(S, tmp_path, "manager-a", 9, cluster="forged", proof=PROVEN)
    former = put(S, tmp_path, "manager-b", 60, node_id="id-former", proof=PROVEN)
    peers = {str(node.address): f"id-{node.name}" for node in S.managers}
    seen = make.survey([replace(make.worker(node), peers=peers) for node in S.workers])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recovery.operations.trust.survey", lambda _: seen)
        catalog = trusted(Cluster(S), Catalog(S))
    assert catalog.cas == {make.ca_sha256()}
    assert catalog.manifest(former).verdict is Verdict.PROVEN
