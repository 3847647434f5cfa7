"""Deletes copies from S3, the manifest first."""

from collections.abc import Sequence
from functools import partial

from recovery.copies.retention import C, Decision, Removal
from recovery.errors import StoreError, StoreSilent
from recovery.s3.site import Site
from recovery.s3.store import Store


def remove_unless_whole(store: Store, decision: Decision[C], manifest: str, rest: Sequence[str]) -> Removal[C] | None:
    """Remove a copy: the key of its ``manifest`` first, unless it is an archive without one, then the ``rest``.

    None for an archive whose manifest has arrived since, because its upload has ended and it is a copy. Raises: StoreSilent.
    """
    try:
        whole = decision.half and store.look(manifest) is not None
    except StoreSilent:
        raise
    except StoreError as error:
        return Removal(decision, error)
    return None if whole else _remove(store, decision, [*([] if decision.half else [manifest]), *rest])


def _remove(store: Store, decision: Decision[C], keys: Sequence[str]) -> Removal[C]:
    """Delete the keys, in their order, at each site. After a refusal the rest stay at that site; the removal has that error.

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
