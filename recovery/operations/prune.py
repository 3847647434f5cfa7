"""Removes the copies that no rule keeps: first the manifest, so that what is left is no copy, then the archive.

Marks are never removed: a copy that has one stays.
"""

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from recovery.copies import keeps
from recovery.copies.catalog import Catalog
from recovery.copies.copy import Copy
from recovery.copies.removal import remove_unless_whole
from recovery.copies.retention import Candidate, Decision, Removal, candidate, decide
from recovery.errors import Refused
from recovery.s3 import cluster_lease
from recovery.s3.store import Store
from recovery.settings import Settings

WORKERS = 8
"""Deletions side by side. S3's own deletion of many keys is not known to every server."""


def look(settings: Settings, now: datetime) -> tuple[Decision[Copy], ...]:
    """Which copies the rules keep and remove now, newest first.

    Raises: Refused when requorum:backup.asOf is set, or when a site does not answer, because only that site may hold the
    mark or drill result that keeps a copy; StoreError.
    """
    if settings.backup.as_of:
        raise Refused(
            "pruning",
            "requorum:backup.asOf is set, so Requorum lists the copies of an earlier time",
            remedy="remove requorum:backup.asOf from the stack file: pulumi config rm --path backup.asOf",
            code="as-of-set",
        )
    return _decided(settings, Catalog(settings), now)


def prune(
    settings: Settings,
    agreed: Collection[Decision[Copy]],
    now: datetime,
    *,
    say: Callable[[str], None],
    done: Callable[[], None] = lambda: None,
) -> tuple[Removal[Copy], ...]:
    """Remove each agreed copy that the rules still remove, going by what S3 holds now; ``done`` is called after each.

    The lease is held, so no recovery reads copies and nobody marks one meanwhile. If S3 refuses one deletion, the others go on.

    Raises: Refused when another operator holds the lease, or as `look`; StoreError when S3 cannot be listed; StoreSilent when it stops answering.
    """
    expected = {(decision.copy, decision.half) for decision in agreed if not decision.keep}
    with cluster_lease.hold(Store(settings.backup.sites), settings.keys, "pruning", say=say):
        catalog = Catalog(settings)
        doomed = [one for one in _decided(settings, catalog, now) if not one.keep and (one.copy, one.half) in expected]
        pool = ThreadPoolExecutor(max_workers=WORKERS)
        try:
            removals = []
            for job in [pool.submit(remove_unless_whole, catalog.store, decision) for decision in doomed]:
                if removal := job.result():
                    removals.append(removal)
                done()
            return tuple(removals)
        finally:
            pool.shutdown(cancel_futures=True)


def _decided(settings: Settings, catalog: Catalog, now: datetime) -> tuple[Decision[Copy], ...]:
    marked = keeps.read(catalog)
    copies = [candidate(copy, read, marked.get(copy)) for copy, read in catalog.manifests()]
    halves = [Candidate(copy, half=True, mark=marked.get(copy), stored=copy.written) for copy in catalog.halves]
    catalog.store.require_whole("pruning")
    return decide(settings.backup.retention, copies + halves, now)
