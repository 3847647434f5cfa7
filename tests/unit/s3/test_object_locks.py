"""What S3 locks and checks, and what becomes of a copy where it does not."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from recovery.copies.catalog import Catalog
from recovery.errors import StoreError
from tests.unit.s3.written import LOCK, MANIFEST, of, write_everything


def test_copies_and_unlock_keys_are_locked_and_nothing_else(s3: Any, sealed: Path) -> None:
    write_everything(of(bucket="locked", lock=LOCK), sealed)
    locks = {}
    for entry in s3.list_objects_v2(Bucket="locked")["Contents"]:
        head = s3.head_object(Bucket="locked", Key=entry["Key"])
        locks[entry["Key"].removeprefix("requorum/lab/")] = head.get("ObjectLockMode")
        if until := head.get("ObjectLockRetainUntilDate"):
            assert timedelta(days=6, hours=23) < until - datetime.now(UTC) <= timedelta(days=7)
    assert sorted(name.split("/")[0] for name, mode in locks.items() if mode == "COMPLIANCE") == [
        "manager-a",
        "manager-a",
        "unlock-keys",
    ]
    assert {name.split("/")[0] for name, mode in locks.items() if mode is None} == {
        "journal",
        "lease.json",
        "consent.json",
    }


def test_a_bucket_without_object_lock_takes_no_copy(bucket: Any, s3: Any, sealed: Path) -> None:
    with pytest.raises(StoreError, match=r"requorum:backup\.lock(?s:.*)code: s3-not-supported"):
        Catalog(of(lock=LOCK)).add(MANIFEST, sealed)
    assert not list(bucket.objects.all())


def test_an_upload_that_arrived_short_is_no_copy(bucket: Any, sealed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = Catalog(of())
    real = catalog.store.sites[0].s3.head_object

    def short(**given: Any) -> Any:
        return {**real(**given), "ContentLength": 7}

    monkeypatch.setattr(catalog.store.sites[0].s3, "head_object", short)
    with pytest.raises(StoreError, match=r"7 of 600 bytes(?s:.*)code: s3-wrong-answer"):
        catalog.add(MANIFEST, sealed)
    assert Catalog(of()).copies == ()


@pytest.mark.parametrize("setting", ["encryption", "lock"])
def test_what_the_server_accepts_and_does_not_do_is_an_error(
    s3: Any, sealed: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    catalog = Catalog(of(bucket="locked", lock=LOCK, encryption={"mode": "s3"}))
    used = catalog.store.sites[0].s3
    real = used.head_object
    hidden = {"encryption": ("ServerSideEncryption",), "lock": ("ObjectLockMode",)}[setting]

    def deaf(**given: Any) -> Any:
        return {name: value for name, value in real(**given).items() if name not in hidden}

    def none(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": "NoSuchObjectLockConfiguration"}}, "GetObjectRetention")

    monkeypatch.setattr(used, "head_object", deaf)
    monkeypatch.setattr(used, "get_object_retention", none)
    with pytest.raises(StoreError, match=rf"requorum:backup\.{setting}(?s:.*)code: s3-not-supported"):
        catalog.add(MANIFEST, sealed)


def test_copies_have_a_sha256_where_the_server_takes_one(s3: Any, sealed: Path) -> None:
    copy = Catalog(of()).add(MANIFEST, sealed)
    for key in (copy.key, copy.manifest_key):
        assert "ChecksumSHA256" in s3.head_object(Bucket="copies", Key=key, ChecksumMode="ENABLED")
    assert not of(endpoint="https://s3.example.org").backup.sites[0].checked
    assert of(endpoint="https://s3.example.org", checksums=True).backup.sites[0].checked
