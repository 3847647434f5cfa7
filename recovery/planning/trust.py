"""Which CA a copy must be under: the one that the stack file names, or the one that all living nodes of the swarm know.

Whoever decides the CA decides what is restored, and so who is root on every node (docs/decisions/043-who-names-the-ca.md).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from recovery.copies.manifest import Manifest, Verdict
from recovery.errors import Refused
from recovery.swarm.model import Survey

if TYPE_CHECKING:
    from recovery.settings import Settings


def trusted_cas(settings: Settings, survey: Survey, cluster_id: str | None) -> frozenset[str]:
    """The digests of the CAs under which a copy counts; empty if nobody names one."""
    return frozenset(settings.ca_sha256) or survey.cas(cluster_id)


def require_agreement(settings: Settings, survey: Survey, cluster_id: str | None) -> None:
    """Raises: Refused if living nodes know different CAs, and the stack file names none. One of them may lie."""
    if settings.ca_sha256 or len(survey.cas(cluster_id)) < 2:
        return
    told = ", ".join(f"{report.node.name} knows {report.ca_sha256[:12]}…" for report in survey.knowing_ca(cluster_id))
    raise Refused(
        f"choosing a copy of cluster {settings.cluster}",
        f"the living nodes do not agree on the swarm's CA: {told}",
        remedy="set requorum:caSha256 to the digest of the right one: sha256sum swarm/certificates/swarm-root-ca.crt in "
        "Docker's data folder of a node that you trust",
        code="ca-differs",
    )


def as_known(manifest: Manifest, manager: str, survey: Survey) -> Manifest:
    """The manifest of a copy of that manager. It is not proven if the leader knows the manager under another node ID.

    Every certificate that a manager ever had signs copies of all managers: also that of one that was demoted, or whose disk was
    thrown away. The leader knows who is which manager now.
    """
    known = next((survey.entry(report.node) for report in survey.managers if report.node.name == manager), None)
    if known is None or manifest.proof is None or manifest.node_id == known.node_id:
        return manifest
    why = f"node {manifest.node_id} made it, and the swarm knows {manager} as node {known.node_id}"
    return replace(manifest, proof=replace(manifest.proof, verdict=Verdict.UNPROVEN, detail=why))
