"""Which CA a copy must be under: the one that the stack file names, or the one that all living nodes of the swarm know.

Whoever decides the CA decides what is restored, and so who is root on every node (docs/decisions/043-who-names-the-ca.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from recovery.copies.makers import of_a_known
from recovery.copies.manifest import Manifest
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
    """The manifest of a copy of that manager. It is not proven if the leader knows the manager under another node ID."""
    known = next((survey.entry(report.node) for report in survey.managers if report.node.name == manager), None)
    return of_a_known(manifest, [known.node_id] if known else (), f"the swarm knows {manager}")


def since_proven(copied: Mapping[str, str], proven: Mapping[str, str]) -> tuple[str, ...]:
    """What preview says if another node made the copy than the manager that the last proof knew. ``proven`` are the node IDs of then."""
    known = proven.get(copied.get("manager", ""))
    if not known or known == copied["node_id"]:
        return ()
    return (
        f"note: node {copied['node_id']} made {copied['copy']}, and the last proof knew {copied['manager']} as node {known}. "
        f"If {copied['manager']} was not replaced since, name an older copy in requorum:copy",
    )
