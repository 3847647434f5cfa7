"""Removes the copies that no rule keeps: first the manifest, so that what is left is no copy, then the archive.

Marks are never removed: a copy that has one stays.
"""

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Generic

from recovery.cluster import Cluster
from recovery.copies import keeps, owners
from recovery.copies.copy import Copy
from recovery.copies.manifest import Manifest
from recovery.copies.removal import remove_unless_whole
from recovery.copies.retention import C, Candidate, Decision, Removal, candidate, decide, furthest_proven
from recovery.data import prune as data
from recovery.errors import Refused
from recovery.operations.trust import trusted
from recovery.progress import Say
from recovery.s3.store import Store

DOING = "pruning"
WORKERS = 8
"""Deletions side by side. S3's own deletion of many keys is not known to every server."""


@dataclass(frozen=True)
class Pruning(Generic[C]):
    """How one kind of copies is pruned: copies of managers, or copies of service data."""

    doing: str
    decided: Callable[[Cluster, datetime], tuple[Store, tuple[Decision[C], ...]]]
    """What the rules keep and remove now, newest first."""
    remove: Callable[[Store, Decision[C]], Removal[C] | None]
    """Removes one copy; None if it has become another since."""

    def look(self, cluster: Cluster, now: datetime) -> tuple[Decision[C], ...]:
        """Which copies the rules keep and remove now, newest first.

        Raises: Refused when requorum:backup.asOf is set, or when a site does not answer, because only that site may hold
        the mark or drill result that keeps a copy; StoreError.
        """
        if cluster.settings.backup.as_of:
            raise Refused(
                self.doing,
                "requorum:backup.asOf is set, so Requorum lists the copies of an earlier time",
                remedy="remove requorum:backup.asOf from the stack file: pulumi config rm --path backup.asOf",
                code="as-of-set",
            )
        return self.decided(cluster, now)[1]

    def prune(
        self,
        cluster: Cluster,
        agreed: Collection[Decision[C]],
        now: datetime,
        *,
        say: Say,
        done: Callable[[], None] = lambda: None,
    ) -> tuple[Removal[C], ...]:
        """Remove each agreed copy that the rules still remove, going by what S3 holds now; ``done`` is called after each.

        The lease is held, so no recovery reads copies and nobody marks one meanwhile. If S3 refuses one deletion, the others
        go on.

        Raises: Refused when another operator holds the lease, or as `look`; StoreError when S3 cannot be listed;
        StoreSilent when it stops answering.
        """
        expected = {(decision.copy, decision.half) for decision in agreed if not decision.keep}
        with cluster.hold(self.doing, say=say):
            store, decided = self.decided(cluster, now)
            doomed = [one for one in decided if not one.keep and (one.copy, one.half) in expected]
            pool = ThreadPoolExecutor(max_workers=WORKERS)
            try:
                removals = []
                for job in [pool.submit(self.remove, store, decision) for decision in doomed]:
                    if removal := job.result():
                        removals.append(removal)
                    done()
                return tuple(removals)
            finally:
                pool.shutdown(cancel_futures=True)


def _decided(cluster: Cluster, now: datetime) -> tuple[Store, tuple[Decision[Copy], ...]]:
    catalog = cluster.catalog()
    marked = keeps.read(catalog)
    catalog.manifests()
    listed = trusted(cluster, catalog).manifests()
    known = owners.known(cluster.settings.nodes, (read for _, read in reversed(listed) if isinstance(read, Manifest)))
    reach = furthest_proven(listed)
    copies = [candidate(copy, read, marked.get(copy), known, reach) for copy, read in listed]
    halves = [Candidate(copy, half=True, mark=marked.get(copy), stored=copy.written) for copy in catalog.halves]
    catalog.store.require_whole(DOING)
    return catalog.store, decide(cluster.settings.backup.retention, copies + halves, now)


def _remove(store: Store, decision: Decision[Copy]) -> Removal[Copy] | None:
    copy = decision.copy
    return remove_unless_whole(store, decision, copy.manifest_key, [copy.key, copy.drill_key])


MANAGERS = Pruning(DOING, _decided, _remove)
DATA = Pruning(data.DOING, data.decided, data.remove)
