"""Removes the data copies that no rule of requorum:backup.retention keeps, as `recovery.operations.prune` removes copies of managers.

The rules of the cluster do not apply: one service's data cannot replace another's. The minimum, which is never 0, keeps
the newest readable copies of each service's data, however old they are.
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
    """The copies that would be kept and removed now, newest first. Raises: Refused if requorum:backup.asOf is set, or a
    site did not answer; StoreError.
    """
    if settings.backup.as_of:
        raise Refused(
            "pruning data copies",
            "requorum:backup.asOf is set, so the list shows the past",
            remedy="remove requorum:backup.asOf",
            code="as-of-set",
        )
    return _decided(settings, DataCatalog(settings), now)


def prune(
    settings: Settings, agreed: Collection[Decision[DataCopy]], now: datetime, *, say: Callable[[str], None]
) -> tuple[Removal[DataCopy], ...]:
    """Remove the agreed copies that the rules still do not keep, one at a time, while holding the lease.

    Raises: Refused if another operator holds the lease, or as `look`; StoreError if S3 cannot be listed; StoreSilent if
    S3 stops answering.
    """
    expected = {(decision.copy, decision.half) for decision in agreed if not decision.keep}
    with cluster_lease.hold(Store(settings.backup.sites), settings.keys, "pruning data copies", say=say):
        catalog = DataCatalog(settings)
        decided = _decided(settings, catalog, now)
        return tuple(
            _remove(catalog.store, one) for one in decided if not one.keep and (one.copy, one.half) in expected
        )


def candidate(copy: DataCopy, manifest: DataManifest | DamagedCopy) -> Candidate[DataCopy]:
    """The facts about a copy that the rules use."""
    if isinstance(manifest, DamagedCopy):
        return Candidate(copy, fault=manifest.why)
    return Candidate(copy, manifest.cluster_id, fault=copy.clock)


def _decided(settings: Settings, catalog: DataCatalog, now: datetime) -> tuple[Decision[DataCopy], ...]:
    copies = [candidate(copy, manifest) for copy, manifest in catalog.manifests()]
    halves = [Candidate(copy, half=True) for copy in catalog.halves]
    catalog.store.require_whole("pruning data copies")
    rules = settings.backup.retention
    return decide(rules and rules.model_copy(update={"cluster": RetentionRules()}), copies + halves, now)


def _remove(store: Store, decision: Decision[DataCopy]) -> Removal[DataCopy]:
    copy = decision.copy
    return remove(store, decision, [*([] if decision.half else [copy.manifest_key]), copy.key])
