"""Removes the copies that no rule keeps: first the manifest, so that what is left is no copy, then the archive.

Marks are never removed: a copy that has one stays.
"""

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial

from recovery import marks, operators
from recovery.catalog import Catalog
from recovery.copy import Copy
from recovery.errors import Refused, StoreError, StoreSilent
from recovery.retention import C, Candidate, Decision, Removal, candidate, decide
from recovery.settings import Settings
from recovery.site import Site
from recovery.store import Store

WORKERS = 8
"""Deletions side by side. S3's own deletion of many keys is not known to every server."""


def look(settings: Settings, now: datetime) -> tuple[Decision[Copy], ...]:
    """What would be kept and removed now, newest first. Raises: Refused while the copies are read as of a time, and
    where a site is left out: a mark or the result of a drill may lie there alone; StoreError.
    """
    if settings.backup.as_of:
        raise Refused(
            "pruning",
            "requorum:backup.asOf is set: what is listed is of the past",
            remedy="take requorum:backup.asOf out",
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
    """Remove what was agreed on, as far as the rules still say so of what lies in S3 now; ``done`` is called after each.

    Under the lease: no recovery reads copies meanwhile, and nobody marks one. A deletion that S3 refuses, at whichever site, stops no other.

    Raises: Refused when another holds the lease, or as `look`; StoreError when S3 cannot be listed; StoreSilent when it stops answering.
    """
    expected = {(decision.copy, decision.half) for decision in agreed if not decision.keep}
    with operators.alone(settings, "pruning", say=say):
        catalog = Catalog(settings)
        doomed = [one for one in _decided(settings, catalog, now) if not one.keep and (one.copy, one.half) in expected]
        pool = ThreadPoolExecutor(max_workers=WORKERS)
        try:
            removals = []
            for job in [pool.submit(_remove_unless_whole, catalog.store, decision) for decision in doomed]:
                if removal := job.result():
                    removals.append(removal)
                done()
            return tuple(removals)
        finally:
            pool.shutdown(cancel_futures=True)


def _decided(settings: Settings, catalog: Catalog, now: datetime) -> tuple[Decision[Copy], ...]:
    marked = marks.read(catalog)
    copies = [candidate(copy, read, marked.get(copy)) for copy, read in catalog.manifests()]
    halves = [Candidate(copy, half=True, mark=marked.get(copy), stored=copy.written) for copy in catalog.halves]
    catalog.store.require_whole("pruning")
    return decide(settings.backup.retention, copies + halves, now)


def remove(store: Store, decision: Decision[C], keys: Sequence[str]) -> Removal[C]:
    """Delete the keys, in their order, at each site. A refusal keeps the rest of them at that site, and counts as the removal's error.

    Raises: StoreSilent when a site stops answering.
    """
    errors, stay = list[StoreError](), False
    for site in store.sites:
        try:
            for key in keys:
                stay |= store.ask(site, partial(Site.delete, key=key))
        except StoreSilent:
            raise
        except StoreError as error:
            errors.append(error)
    return Removal(decision, next(iter(errors), None), versions_stay=stay)


def _remove_unless_whole(store: Store, decision: Decision[Copy]) -> Removal[Copy] | None:
    """What became of it; None of an archive that has its manifest by now: an upload that was under way made a copy of it."""
    try:
        whole = decision.half and store.look(decision.copy.manifest_key) is not None
    except StoreSilent:
        raise
    except StoreError as error:
        return Removal(decision, error)
    return None if whole else _remove(store, decision)


def _remove(store: Store, decision: Decision[Copy]) -> Removal[Copy]:
    copy = decision.copy
    return remove(store, decision, [*([] if decision.half else [copy.manifest_key]), copy.key, copy.drill_key])
