"""Parts of uploads that broke off and that nobody could abort: no listing shows them, and they take room until somebody does.

Those under names that are not ours are other people's.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from recovery.copies.copy import at
from recovery.data import catalog as data
from recovery.errors import StoreError, StoreSilent
from recovery.s3.keys import ARCHIVE, Keys
from recovery.s3.site import Site, Upload
from recovery.s3.store import Store
from recovery.settings import Settings


@dataclass(frozen=True)
class BrokenUpload:
    """An upload that broke off, with the site where its parts lie; and why S3 did not abort it, where that was tried in vain."""

    site: Site
    upload: Upload
    error: StoreError | None = None


def list_broken(settings: Settings, now: datetime, *, say: Callable[[str], None]) -> tuple[BrokenUpload, ...]:
    """Uploads of the cluster's copies that are older than the grace period of requorum:backup.retention; without that, none.

    Where a site does not tell them, that is said. Raises: StoreSilent.
    """
    policy, store = settings.backup.retention, Store(settings.backup.sites)
    if policy is None:
        return ()
    grace = timedelta(hours=policy.grace_hours)
    keys, found = settings.keys, list[BrokenUpload]()
    for site in store.sites:
        try:
            told = store.ask(site, lambda at: at.uploads(keys.root))
        except StoreSilent:
            raise
        except StoreError as error:
            say(f"uploads that broke off are not looked for: {error}")
        else:
            ours = [upload for upload in told if is_ours(upload.key, keys)]
            found.extend(BrokenUpload(site, upload) for upload in ours if now - upload.begun >= grace)
    return tuple(found)


def is_ours(key: str, keys: Keys) -> bool:
    """Whether the key, below ``PREFIX/CLUSTER/``, is one that a copy of a manager or of data is uploaded to: pure."""
    if data.at(key, keys.data):
        return True
    beside = key.startswith(keys.root) and key.removeprefix(keys.root).count("/") == 1 and key.endswith(ARCHIVE)
    copy = at(key, (), None) if beside else None
    return copy is not None and copy.named_by_us


def abort(broken: Iterable[BrokenUpload]) -> tuple[BrokenUpload, ...]:
    """Have their parts removed; a refusal stops no other. Raises: StoreSilent when S3 stops answering."""
    return tuple(BrokenUpload(one.site, one.upload, _abort(one)) for one in broken)


def _abort(one: BrokenUpload) -> StoreError | None:
    try:
        one.site.abort(one.upload)
    except StoreSilent:
        raise
    except StoreError as error:
        return error
    return None
