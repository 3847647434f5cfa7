"""Which data copies the rules of requorum:backup.retention keep, and how one is removed. `recovery.operations.prune` prunes them.

The rules of the cluster do not apply: one service's data cannot replace another's. The minimum, which is never 0, keeps
the newest readable copies of each service's data, however old they are. Copies that no operator signed are judged apart, so
that nobody who writes to S3 makes a rule remove a signed one.
"""

from datetime import datetime

from recovery.cluster import Cluster
from recovery.copies.removal import remove_unless_whole
from recovery.copies.retention import Candidate, Decision, Removal, decide
from recovery.data.catalog import DataCatalog, DataCopy
from recovery.data.manifest import DataManifest
from recovery.errors import DamagedCopy
from recovery.s3.store import Store
from recovery.settings import RetentionRules

DOING = "pruning data copies"
UNSIGNED = "nobody"
"""Who signed a copy without a valid signature of an operator."""


def candidate(copy: DataCopy, manifest: DataManifest | DamagedCopy) -> Candidate[DataCopy]:
    """The facts about a copy that the rules use."""
    if isinstance(manifest, DamagedCopy):
        return Candidate(copy, fault=manifest.why)
    return Candidate(copy, manifest.cluster_id, fault=copy.clock, signer=UNSIGNED if manifest.unsigned else "")


def decided(cluster: Cluster, now: datetime) -> tuple[Store, tuple[Decision[DataCopy], ...]]:
    """The store, and the copies that are kept and removed now, newest first. Raises: Refused if a site did not answer; StoreError."""
    catalog = DataCatalog(cluster)
    copies = [candidate(copy, manifest) for copy, manifest in catalog.manifests()]
    halves = [Candidate(copy, half=True, stored=copy.written) for copy in catalog.halves]
    catalog.store.require_whole(DOING)
    rules = cluster.settings.backup.retention
    return catalog.store, decide(rules and rules.model_copy(update={"cluster": RetentionRules()}), copies + halves, now)


def remove(store: Store, decision: Decision[DataCopy]) -> Removal[DataCopy] | None:
    """Remove one copy; None if it was an archive whose upload has ended since. Raises: StoreSilent."""
    return remove_unless_whole(store, decision, decision.copy.manifest_key, [decision.copy.key])
