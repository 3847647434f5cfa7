"""Parts of interrupted uploads: no listing of objects shows them, and they use space until the upload is aborted.

Only uploads whose names Requorum gives are looked at. All others belong to someone else.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from recovery.cluster import Cluster
from recovery.copies.copy import at
from recovery.data import catalog as data
from recovery.errors import StoreError, StoreSilent
from recovery.s3.keys import ARCHIVE, Keys
from recovery.s3.site import Site, Upload


@dataclass(frozen=True)
class BrokenUpload:
    """An interrupted upload, the site that stores its parts, and the error if S3 did not abort it."""

    site: Site
    upload: Upload
    error: StoreError | None = None


def list_broken(cluster: Cluster, now: datetime, *, say: Callable[[str], None]) -> tuple[BrokenUpload, ...]:
    """The interrupted uploads of the cluster's copies, older than requorum:backup.retention.graceHours; without it, none.

    ``say`` reports each site that does not list uploads. Raises: StoreSilent.
    """
    policy, store = cluster.settings.backup.retention, cluster.store
    if policy is None:
        return ()
    grace = timedelta(hours=policy.grace_hours)
    keys, found = cluster.settings.keys, list[BrokenUpload]()
    for site in store.sites:
        try:
            told = store.ask(site, lambda at: at.uploads(keys.root))
        except StoreSilent:
            raise
        except StoreError as error:
            say(f"Requorum cannot list interrupted uploads: {error}")
        else:
            ours = [upload for upload in told if is_ours(upload.key, keys)]
            found.extend(BrokenUpload(site, upload) for upload in ours if now - upload.begun >= grace)
    return tuple(found)


def is_ours(key: str, keys: Keys) -> bool:
    """Whether Requorum uploads a copy of a manager or of data to this key."""
    if data.at(key, keys.data):
        return True
    beside = key.startswith(keys.root) and key.removeprefix(keys.root).count("/") == 1 and key.endswith(ARCHIVE)
    copy = at(key, (), None) if beside else None
    return copy is not None and copy.named_by_us


def abort(broken: Iterable[BrokenUpload]) -> tuple[BrokenUpload, ...]:
    """Abort the uploads; after a refusal the others go on. Raises: StoreSilent when S3 stops answering."""
    return tuple(BrokenUpload(one.site, one.upload, _abort(one)) for one in broken)


def _abort(one: BrokenUpload) -> StoreError | None:
    try:
        one.site.abort(one.upload)
    except StoreSilent:
        raise
    except StoreError as error:
        return error
    return None
