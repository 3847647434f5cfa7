"""The newest copies of each manager, down to the newest proven one, and those that may be the newest of all."""

from collections.abc import Callable
from itertools import islice

from recovery.copies import order
from recovery.copies.catalog import BATCH, Catalog
from recovery.copies.copy import Copy
from recovery.copies.manifest import Manifest
from recovery.errors import DamagedCopy


def since_proven(catalog: Catalog) -> list[tuple[Copy, Manifest | DamagedCopy]]:
    """The copies under each manager's name with their manifests, newest first, down to the newest proven one that a swarm
    may be restored from. Raises: StoreError.
    """
    found = []
    for name in sorted({copy.manager for copy in catalog.copies}):
        for copy, manifest in catalog.reading([copy for copy in catalog.copies if copy.manager == name]):
            found.append((copy, manifest))
            if not isinstance(manifest, DamagedCopy) and manifest.restores_proven:
                break
    return found


def recent(catalog: Catalog) -> dict[str, list[tuple[Copy, Manifest | DamagedCopy]]]:
    """For each manager of the settings its newest copies with their manifests, down to the newest proven one that a swarm
    may be restored from, as far as `BATCH` copies before the newest one tell. Raises: StoreError.
    """
    of_each = catalog.newest_by_manager()
    found = {name: [read] for name, read in zip(of_each, catalog.reading(of_each.values()), strict=True)}
    for name, newest in found.items():
        _, manifest = newest[0]
        if not isinstance(manifest, DamagedCopy) and manifest.restores_proven:
            continue
        for copy, earlier in catalog.reading(catalog.of(name)[1 : BATCH + 1]):
            if catalog.owner(copy) != name:
                continue
            newest.append((copy, earlier))
            if not isinstance(earlier, DamagedCopy) and earlier.restores_proven:
                break
    return found


def may_be_newest(catalog: Catalog, counts: Callable[[Manifest], bool]) -> dict[Copy, Manifest]:
    """The copies that count and that may be the newest of all, also those whose clock was ahead. A copy that cannot be read, or
    does not count, hides no other one. Raises: StoreError.
    """
    left = list(catalog.copies)
    while True:
        near = dict(catalog.reading(order.may_be_newest(left)))
        found = {copy: one for copy, one in near.items() if not isinstance(one, DamagedCopy) and counts(one)}
        passed = {copy.manager for copy in near.keys() - found.keys()}
        if not passed:
            return found
        more = catalog.reading(islice((copy for copy in left if copy.manager in passed), BATCH))
        near |= dict(more)
        useless = {copy for copy, one in near.items() if isinstance(one, DamagedCopy) or not counts(one)}
        left = [copy for copy in left if copy not in useless]
