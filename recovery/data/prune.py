"""Removes the copies of data that no rule of requorum:backup.retention keeps, as `recovery.operations.prune` does those of managers.

The rules of the cluster say nothing of them: no data stands in for another. The minimum, which is never 0, keeps the newest copies of each data that can be read, whatever their age.
"""

from collections.abc import Callable, Collection
from datetime import datetime

from recovery.copies.removal import remove
from recovery.copies.retention import Candidate, Decision, Removal, decide
from recovery.data.catalog import DataCatalog, DataCopy
from recovery.data.manifest import DataManifest
from recovery.errors import DamagedCopy, Refused
from recovery.s3 import cluster_lease
from recovery.s3.store import Store
from recovery.settings import RetentionRules, Settings


def look(settings: Settings, now: datetime) -> tuple[Decision[DataCopy], ...]:
    """What would be kept and removed now, newest first. Raises: Refused while the copies are read as of a time, and
    where a site is left out; StoreError.
    """
    if settings.backup.as_of:
        raise Refused(
            "pruning copies of data",
            "requorum:backup.asOf is set: what is listed is of the past",
            remedy="take requorum:backup.asOf out",
        )
    return _decided(settings, DataCatalog(settings), now)


def prune(
    settings: Settings, agreed: Collection[Decision[DataCopy]], now: datetime, *, say: Callable[[str], None]
) -> tuple[Removal[DataCopy], ...]:
    """Remove what was agreed on, as far as the rules still say so of what lies in S3 now, one at a time and under the lease.

    Raises: Refused when another holds the lease, or as `look`; StoreError when S3 cannot be listed; StoreSilent when it stops answering.
    """
    expected = {(decision.copy, decision.half) for decision in agreed if not decision.keep}
    with cluster_lease.hold(Store(settings.backup.sites), settings.keys, "pruning copies of data", say=say):
        catalog = DataCatalog(settings)
        decided = _decided(settings, catalog, now)
        return tuple(
            _remove(catalog.store, one) for one in decided if not one.keep and (one.copy, one.half) in expected
        )


def candidate(copy: DataCopy, manifest: DataManifest | DamagedCopy) -> Candidate[DataCopy]:
    """What the rules know of a copy."""
    if isinstance(manifest, DamagedCopy):
        return Candidate(copy, fault=manifest.why)
    return Candidate(copy, manifest.cluster_id, fault=copy.clock)


def _decided(settings: Settings, catalog: DataCatalog, now: datetime) -> tuple[Decision[DataCopy], ...]:
    copies = [candidate(copy, manifest) for copy, manifest in catalog.manifests()]
    halves = [Candidate(copy, half=True) for copy in catalog.halves]
    catalog.store.require_whole("pruning copies of data")
    rules = settings.backup.retention
    return decide(rules and rules.model_copy(update={"cluster": RetentionRules()}), copies + halves, now)


def _remove(store: Store, decision: Decision[DataCopy]) -> Removal[DataCopy]:
    copy = decision.copy
    return remove(store, decision, [*([] if decision.half else [copy.manifest_key]), copy.key])
