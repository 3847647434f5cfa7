"""The result of each manager's last drill, which a drill stores in S3."""

from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog
from recovery.copies.drilled import newest
from recovery.copies.manifest import Proof


def last(cluster: Cluster, catalog: Catalog) -> dict[str, Proof]:
    """The result of each manager's last drill, if any, by the manager's name. Raises: StoreError.

    It may have been stored under an earlier name of the manager.
    """
    keys = {manager: [cluster.settings.keys.drill(name) for name in names] for manager, names in catalog.names.items()}
    held = {
        manager: [
            newest(cluster.operators, key, (found for _, found in cluster.hasty.looks(key, catalog.sites_of(key))))[0]
            for key in many
        ]
        for manager, many in keys.items()
    }
    results = {manager: [proof for proof in proofs if proof] for manager, proofs in held.items()}
    return {manager: max(proofs, key=lambda proof: proof.at) for manager, proofs in results.items() if proofs}
