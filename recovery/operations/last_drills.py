"""The result of each manager's last drill, which a drill stores in S3."""

from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog
from recovery.copies.manifest import Proof, drilled


def last(cluster: Cluster, catalog: Catalog) -> dict[str, Proof]:
    """The result of each manager's last drill, if any, by the manager's name. Raises: StoreError."""
    keys = {node.name: cluster.settings.keys.drill(node.name) for node in cluster.settings.managers}
    held = {name: cluster.hasty.looks(key, catalog.sites_of(key)) for name, key in keys.items()}
    results = {name: drilled(content for _, content in texts) for name, texts in held.items()}
    return {name: proof for name, proof in results.items() if proof}
