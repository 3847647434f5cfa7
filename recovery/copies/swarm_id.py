"""Which swarm the copies are of."""

from recovery.copies.catalog import Catalog
from recovery.errors import Refused
from recovery.settings import Settings


def known_id(settings: Settings, catalog: Catalog) -> str | None:
    """The cluster ID that the stack file names, or that the newest copy of every manager carries.

    Raises: Refused if the newest copies are of several swarms.
    """
    if settings.cluster_id:
        return settings.cluster_id
    ids = {manifest.cluster_id: copy.name for copy, manifest in catalog.newest_manifests().items()}
    if len(ids) > 1:
        shown = ", ".join(f"{name} of swarm {cluster}" for cluster, name in sorted(ids.items()))
        raise Refused(
            f"reading the copies of cluster {settings.cluster}",
            f"they belong to several swarms: {shown}",
            remedy="set requorum:clusterId to the ID of this cluster's swarm",
            code="several-swarms",
        )
    return next(iter(ids), None)
