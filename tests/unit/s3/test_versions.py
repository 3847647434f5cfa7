"""Copies as they were at a time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from recovery.cluster import Cluster
from recovery.copies import keeps
from recovery.copies.catalog import Catalog
from recovery.copies.escrow import Escrow
from recovery.errors import DamagedCopy, StoreError
from recovery.operations import consent
from recovery.operations.keep import keep
from recovery.planning.diagnosis import Kind
from recovery.planning.plan import Plan
from recovery.s3.versions import as_of
from tests.unit import factories as make
from tests.unit.s3.written import THEN, UNLOCK, of


def event(key: str, seconds: int, version: str) -> dict[str, Any]:
    return {"Key": key, "VersionId": version, "LastModified": THEN + timedelta(seconds=seconds)}


PAGES: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, str]]] = {
    "nothing": ([], [], {}),
    "written before": ([event("a", -1, "1")], [], {"a": "1"}),
    "written at that very time": ([event("a", 0, "1")], [], {"a": "1"}),
    "written later": ([event("a", 1, "1")], [], {}),
    "overwritten later": ([event("a", 1, "2"), event("a", -1, "1")], [], {"a": "1"}),
    "overwritten before": ([event("a", -1, "2"), event("a", -2, "1")], [], {"a": "2"}),
    "overwritten within a second": ([event("a", -1, "2"), event("a", -1, "1")], [], {"a": "2"}),
    "deleted later": ([event("a", -1, "1")], [event("a", 1, "m")], {"a": "1"}),
    "deleted before": ([event("a", -2, "1")], [event("a", -1, "m")], {}),
    "deleted within a second": ([event("a", -1, "1")], [event("a", -1, "m")], {"a": "1"}),
    "deleted and written again": ([event("a", -1, "2"), event("a", -3, "1")], [event("a", -2, "m")], {"a": "2"}),
    "another key": ([event("a", 1, "1"), event("b", -1, "1")], [event("c", -1, "m")], {"b": "1"}),
}


@pytest.mark.parametrize(("versions", "markers", "found"), PAGES.values(), ids=PAGES)
def test_the_versions_of_a_time(
    versions: list[dict[str, Any]], markers: list[dict[str, Any]], found: dict[str, str]
) -> None:
    together = as_of([{"Versions": versions, "DeleteMarkers": markers}], THEN)
    assert {key: entry["VersionId"] for key, entry in together.items()} == found
    apart = [{"Versions": [one]} for one in versions] + [{"DeleteMarkers": [one]} for one in markers]
    assert as_of(apart, THEN) == together, "pages make no difference"


def test_deleted_and_overwritten_copies_are_read_as_they_were(
    s3: Any, sealed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Catalog(of(bucket="versioned")).add(make.manifest(size=sealed.stat().st_size), sealed)
    Escrow(of(bucket="versioned")).keep(UNLOCK)
    _, mark = keep(Cluster(of(bucket="versioned")), copy.name, "evidence", now=THEN, say=print)
    sleep(1.1)  # S3 tells seconds
    then = datetime.now(UTC)
    sleep(1.1)
    s3.put_object(Bucket="versioned", Key=copy.key, Body=b"spoilt")
    s3.delete_object(Bucket="versioned", Key=copy.manifest_key)
    s3.delete_object(Bucket="versioned", Key=copy.keep_key)
    for entry in s3.list_objects_v2(Bucket="versioned", Prefix="requorum/lab/unlock-keys/")["Contents"]:
        s3.delete_object(Bucket="versioned", Key=entry["Key"])
    assert Catalog(of(bucket="versioned")).copies == ()
    past = of(bucket="versioned", asOf=then.isoformat())
    catalog = Catalog(past)
    assert catalog.copies == (copy,)
    assert catalog.manifest(copy).manager == "manager-a"
    [(_, read)] = catalog.manifests()
    assert not isinstance(read, DamagedCopy), "the archive is as long as it was then"
    catalog.store.then.download(copy.key, sealed.with_name("read"))
    assert sealed.with_name("read").read_bytes() == sealed.read_bytes()
    assert len(Escrow(past)._names()) == 1
    assert keeps.read(catalog) == {copy: mark}
    assert any("requorum:backup.asOf" in note for note in catalog.store.notes)
    without = past.model_copy(update={"recover": False})
    consent.keep_up(Cluster(without), Plan(Kind.HEALTHY))
    assert not consent.is_spent(Cluster(past), catalog.store), "what is for now is read as it is now"


def test_reading_as_of_a_time_needs_versions(bucket: Any) -> None:
    with pytest.raises(StoreError, match=r"requorum:backup\.asOf(?s:.*)code: s3-not-supported"):
        Catalog(of(asOf=THEN.isoformat()))
