"""Marks a copy that prune must keep, and releases the mark."""

from collections.abc import Callable
from datetime import datetime

from recovery.cluster import Cluster
from recovery.copies import naming
from recovery.copies.copy import Copy
from recovery.copies.keeps import Keep
from recovery.errors import NoUsableCopy
from recovery.node.signing import Kind
from recovery.s3.lease import operator


def keep(cluster: Cluster, name: str, reason: str, *, now: datetime, say: Callable[[str], None]) -> tuple[Copy, Keep]:
    """Mark the copy of that name at every site, and replace an earlier mark. No prune runs at the same time.

    The name may be short, as in `naming.find`.

    ``say`` reports each site that did not store the mark.

    Raises: NoUsableCopy when there is no such copy; Refused when another operator holds the lease; StoreError; SettingError.
    """
    with cluster.hold("marking a copy", say=say):
        catalog = cluster.catalog()
        copy, mark = catalog.named(name), Keep(reason, operator(), now)
        signed = cluster.operators.sign(Kind.KEEP, copy.keep_key, mark.to_document())
        catalog.store.everywhere(lambda site: site.put(copy.keep_key, signed))
    for note in catalog.store.notes:
        say(note)
    return copy, mark


def release(cluster: Cluster, name: str) -> Copy:
    """Remove the mark of that name at every site, even if its copy is gone.

    Raises: NoUsableCopy when there is none; Refused when a site does not answer; StoreError.
    """
    catalog = cluster.catalog()
    catalog.store.require_whole(f"releasing {name}")
    missing = NoUsableCopy(
        f"releasing {name}",
        "no copy of this name has a keep mark",
        remedy="list the copies and their keep marks: requorum copies list",
        code="no-such-name",
    )
    copy = naming.find(catalog.marked, name, missing)
    for site in catalog.store.sites:
        catalog.store.ask(site, lambda at: at.delete(copy.keep_key))
    return copy
