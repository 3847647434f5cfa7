"""The format of all objects that a cluster has in S3. A program that does not know a cluster's format leaves the cluster alone."""

import json
from collections.abc import Callable, Iterable

from recovery.errors import Refused
from recovery.s3.keys import FORMAT, RELEASE, Keys
from recovery.s3.store import Store


def declare(store: Store, keys: Keys) -> None:
    """Store the format of this program's objects before it writes the first of them. Raises: StoreError."""
    key = keys.format(FORMAT)
    if key not in store.listed(keys.formats):
        content = json.dumps({"release": RELEASE}).encode()
        store.everywhere(lambda site: site.put(key, content))


def require_known(listed: Iterable[str], keys: Keys, read: Callable[[str], bytes | None]) -> None:
    """Check that this program knows the format of a cluster with these keys. A cluster without a declared format is older.

    ``read`` gives the content of an object. Raises: Refused; StoreError.
    """
    known = {keys.format(number) for number in range(1, FORMAT + 1)}
    others = sorted(key for key in listed if key.startswith(keys.formats) and key not in known)
    if not others:
        return
    needed = max(
        (_release(read(key)) for key in others), key=lambda release: [part.zfill(9) for part in release.split(".")]
    )
    raise Refused(
        f"opening the objects of cluster {keys.cluster} in S3",
        f"a newer Requorum wrote them. This is Requorum {RELEASE}, which knows format {FORMAT}, and S3 has {', '.join(others)}",
        remedy=f"install Requorum {needed or 'in its newest version'}{' or newer' * bool(needed)}, then run the same command again",
        code="newer-format",
    )


def _release(content: bytes | None) -> str:
    """The release that wrote a format first; empty if the object does not tell it."""
    try:
        release = json.loads(content or b"")["release"]
    except (ValueError, TypeError, KeyError):
        return ""
    return release if isinstance(release, str) and release.replace(".", "").isdecimal() else ""
