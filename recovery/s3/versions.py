"""The objects of a versioned bucket as they were at some time."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any


def as_of(pages: Iterable[Mapping[str, Any]], then: datetime) -> dict[str, Mapping[str, Any]]:
    """Each key that was there, with the entry of the version it had, from the pages of ``list_object_versions``.

    Of what happened to a key within the same second (S3 tells no less) an object counts before its deletion, and
    of objects the one that is listed first, which is the newer.
    """
    newest: dict[str, tuple[datetime, Mapping[str, Any] | None]] = {}
    for page in pages:
        found = [(entry, entry) for entry in page.get("Versions", ())]
        found += [(entry, None) for entry in page.get("DeleteMarkers", ())]
        for entry, version in found:
            at, key = entry["LastModified"], entry["Key"]
            if at <= then and (key not in newest or _follows((at, version), newest[key])):
                newest[key] = (at, version)
    return {key: version for key, (_, version) in newest.items() if version is not None}


def _follows(one: tuple[datetime, object], other: tuple[datetime, object]) -> bool:
    if one[0] != other[0]:
        return one[0] > other[0]
    return other[1] is None and one[1] is not None
