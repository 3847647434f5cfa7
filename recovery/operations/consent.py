"""Whether a saved `recover: true` counts. Pulumi saves the flag, and pipelines commit it; it must not fire at a later loss.

The saved flag counts for one loss. A note in S3, at every site, says whether it counts, and an operator signs the note. An
update without the flag writes that it counts from then on. Once a recovery is proven under the flag, or the flag is found set
while nothing is lost, the note says that it is used up. Without a valid note it does not count, so it revives nothing to
delete the note. A typed flag counts anyway, and so does a plan's ID, for that plan only.
"""

from datetime import UTC, datetime

from recovery.cluster import Cluster
from recovery.copies.copy import TIME
from recovery.node.signing import Kind as Object
from recovery.operations import reports
from recovery.planning.diagnosis import Kind
from recovery.planning.plan import Plan
from recovery.s3.store import Store

NOTHING_LOST = frozenset({Kind.HEALTHY, Kind.MINORITY_LOST, Kind.PARTITIONED})
"""The diagnoses under which nothing is restored or forced."""


def is_spent(cluster: Cluster, store: Store) -> bool:
    """Whether a saved flag does not count: by the newest note, or because a recovery was proven since. Raises: StoreError."""
    key = cluster.settings.keys.consent
    read = [cluster.operators.read(Object.CONSENT, key, content) for _, content in store.looks(key)]
    notes = {str(one.document.get("at")): one.document for one in read if not one.fault}
    if not notes or notes[newest := max(notes)].get("counts") is not True:
        return True
    return reports.newest(cluster, store) > datetime.fromisoformat(newest).strftime(TIME)


def settle(cluster: Cluster, recover: bool | str) -> None:
    """After a proof: the flag has done what it was given for. A run without it lets the next one count. ``recover`` is as
    the settings of the run had it. Raises: StoreError, SettingError.
    """
    if recover is True or (recover is False and is_spent(cluster, cluster.store)):
        _note(cluster, counts=not recover)


def keep_up(cluster: Cluster, plan: Plan, *, typed: bool = False, preview: bool = False) -> None:
    """Bring the note to what the settings and the plan of this run say.

    ``typed`` says that a person gave the flag for this run: should the recovery break off, it goes on under the saved flag.
    A preview makes nothing count again, since it may be of a branch that has no flag. Raises: StoreError, SettingError.
    """
    settings = cluster.settings
    spent = is_spent(cluster, cluster.store)
    recovers = bool(plan.id) and not plan.refusal
    if plan.kind in NOTHING_LOST and not spent:
        settle(cluster, settings.recover)
    elif spent and not preview and (settings.recover is False or (typed and recovers)):
        _note(cluster, counts=True)


def _note(cluster: Cluster, *, counts: bool) -> None:
    key = cluster.settings.keys.consent
    document = {"counts": counts, "at": datetime.now(UTC).isoformat()}
    note = cluster.operators.sign(Object.CONSENT, key, document)
    cluster.store.everywhere(lambda site: site.put(key, note))
