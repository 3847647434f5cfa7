"""Whether `recover: true` counts. Pulumi saves the flag, and pipelines commit it; it must not fire at a later loss.

The saved flag counts for one loss. Once a recovery is proven under it, or it is found set while nothing is lost, a note in
S3, at every site, says that it is spent. An update without the flag removes the note; so does one for which a person
typed it, as that recovery begins. A plan's ID, which preview shows, always counts, for that plan only.
"""

import json
from datetime import UTC, datetime

from recovery.cluster import Cluster
from recovery.planning.diagnosis import Kind
from recovery.planning.plan import Plan
from recovery.s3.keys import Keys
from recovery.s3.store import Store

NOTHING_LOST = frozenset({Kind.HEALTHY, Kind.MINORITY_LOST, Kind.PARTITIONED})
"""The diagnoses under which nothing is restored or forced."""


def is_spent(store: Store, keys: Keys) -> bool:
    """Whether the flag was used up. Raises: StoreError."""
    return store.look(keys.spent) is not None


def spend(cluster: Cluster, recover: bool | str) -> None:
    """Note that ``recover``, if it is the flag, has done what it was given for. Raises: StoreError."""
    if recover is True:
        note = json.dumps({"spent": datetime.now(UTC).isoformat()}).encode()
        cluster.store.everywhere(lambda site: site.put(cluster.settings.keys.spent, note))


def keep_up(cluster: Cluster, plan: Plan, *, typed: bool = False, preview: bool = False) -> None:
    """Bring the note to what the settings and the plan of this run say.

    ``typed`` says that a person gave the flag for this run: should the recovery break off, it goes on under the saved flag.
    A preview makes nothing count again, since it may be of a branch that has no flag. Raises: StoreError.
    """
    settings, store = cluster.settings, cluster.store
    spent = is_spent(store, settings.keys)
    recovers = bool(plan.id) and not plan.refusal
    if plan.kind in NOTHING_LOST and not spent:
        spend(cluster, settings.recover)
    elif spent and not preview and (settings.recover is False or (typed and recovers)):
        store.delete(settings.keys.spent)
