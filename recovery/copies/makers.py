"""Whether the node that made a copy is the manager whose copy it claims to be.

Every certificate that a manager ever had signs copies of all managers: also that of one that was demoted, or whose disk was
thrown away. Who is which manager is known to the leader, to the living nodes, and to the last proof.
"""

from collections.abc import Collection
from dataclasses import replace

from recovery.copies.manifest import Manifest, Verdict


def of_a_known(manifest: Manifest, known: Collection[str], who: str) -> Manifest:
    """The manifest. It is not proven if node IDs are ``known`` for its manager, and none of them made it.

    ``who`` says who knows them, and for which manager.
    """
    if manifest.proof is None or not known or manifest.node_id in known:
        return manifest
    verdict = Verdict.UNPROVEN if manifest.proof.verdict is Verdict.PROVEN else manifest.proof.verdict
    why = f"node {manifest.node_id} made it, and {who} as node {', '.join(sorted(known))}"
    return replace(manifest, proof=replace(manifest.proof, verdict=verdict, detail=why))
