"""Whether `recover: true` still counts. Pulumi saves the flag, and pipelines commit it; it must not fire at a later loss.

The flag counts for one loss. Once a recovery is proven under it, or it is found set while nothing is lost, a note in
S3, at every site, says that it is spent; an update without the flag removes the note. A plan's ID, which preview shows, always counts,
for that plan only.
"""

import json
from datetime import UTC, datetime

from recovery.planning.diagnosis import Kind
from recovery.s3.store import Store
from recovery.settings import Settings

NOTHING_LOST = frozenset({Kind.HEALTHY, Kind.MINORITY_LOST, Kind.PARTITIONED})
"""The diagnoses under which nothing is restored or forced."""


def is_spent(settings: Settings, store: Store) -> bool:
    """Whether the flag was used up. Raises: StoreError."""
    return store.look(settings.keys.spent) is not None


def spend(settings: Settings) -> None:
    """Note that `recover: true` has done what it was given for. Without the flag, nothing. Raises: StoreError."""
    if settings.recover is True:
        note = json.dumps({"spent": datetime.now(UTC).isoformat()}).encode()
        Store(settings.backup.sites).everywhere(lambda site: site.put(settings.keys.spent, note))


def keep_up(settings: Settings, kind: Kind, *, preview: bool = False) -> None:
    """Bring the note to what the settings and the diagnosis of this run say; a preview makes nothing count again, since it may be
    of a branch that has no flag. Raises: StoreError.
    """
    store = Store(settings.backup.sites)
    spent = is_spent(settings, store)
    if kind in NOTHING_LOST and not spent:
        spend(settings)
    elif spent and settings.recover is False and not preview:
        store.delete(settings.keys.spent)
