"""Parts of uploads that broke off and that nobody could abort: no listing shows them, and they take room until somebody does."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from recovery.errors import StoreError, StoreSilent
from recovery.settings import Settings
from recovery.site import Site, Upload
from recovery.store import Store


@dataclass(frozen=True)
class Broken:
    """An upload that broke off, with the site where its parts lie; and why S3 did not abort it, where that was tried in vain."""

    site: Site
    upload: Upload
    error: StoreError | None = None


def look(settings: Settings, now: datetime, *, say: Callable[[str], None]) -> tuple[Broken, ...]:
    """Uploads of the cluster that are older than the grace period of requorum:backup.retention; without that, none.

    Where S3 does not tell them, that is said. Raises: StoreSilent.
    """
    policy, store = settings.backup.retention, Store(settings.backup.sites)
    if policy is None:
        return ()
    grace = timedelta(hours=policy.grace_hours)
    found: list[Broken] = []

    def find(site: Site) -> None:
        told = site.uploads(f"{settings.backup.prefix}/{settings.cluster}/")
        found.extend(Broken(site, upload) for upload in told if now - upload.begun >= grace)

    try:
        store.everywhere(find)
    except StoreSilent:
        raise
    except StoreError as error:
        say(f"uploads that broke off are not looked for: {error}")
    return tuple(found)


def abort(broken: Iterable[Broken]) -> tuple[Broken, ...]:
    """Have their parts removed; a refusal stops no other. Raises: StoreSilent when S3 stops answering."""
    return tuple(Broken(one.site, one.upload, _abort(one)) for one in broken)


def _abort(one: Broken) -> StoreError | None:
    try:
        one.site.abort(one.upload)
    except StoreSilent:
        raise
    except StoreError as error:
        return error
    return None
