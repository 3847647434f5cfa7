"""Somebody who has the key of a node that was a manager: of one that was demoted, or of a disk that was thrown away."""

from dataclasses import replace

from recovery.copies.manifest import Proof, Verdict
from recovery.planning.trust import as_known
from tests.unit import factories as make

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
