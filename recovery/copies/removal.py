"""Deletes copies from S3, the manifest first."""

from collections.abc import Sequence
from functools import partial

from recovery.copies.copy import Copy
from recovery.copies.retention import C, Decision, Removal
from recovery.errors import StoreError, StoreSilent
from recovery.s3.site import Site
from recovery.s3.store import Store


def remove(store: Store, decision: Decision[C], keys: Sequence[str]) -> Removal[C]:
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


def remove_unless_whole(store: Store, decision: Decision[Copy]) -> Removal[Copy] | None:
    """Remove a copy; None for an archive whose manifest has arrived since, because its upload has ended and it is a copy."""
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
