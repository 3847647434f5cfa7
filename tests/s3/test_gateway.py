"""The store on a real server: parts, locks, versions, two sites, and what is merely accepted."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from recovery import consent, lease, offers, operators, site, store
from recovery.backup import Outcome
from recovery.catalog import Catalog
from recovery.client import Pace
from recovery.diagnosis import Kind
from recovery.errors import Refused, StoreError, StoreSilent
from recovery.escrow import Escrow
from recovery.keyfile import UnlockKey
from recovery.offers import Answer
from recovery.settings import Settings
from recovery.site import Site
from recovery.store import Store
from tests.s3.gateway import Gateway, free_port
from tests.unit import factories as make

LOCK = {"mode": "governance", "days": 1}
MANIFEST = make.manifest()
KEY = UnlockKey("SWMKEY-1-wBHuRZZ0gWzOlm8jSYGxPGh5dQVTTbGLxkbTLzWZhqg")

Of = Callable[..., Settings]


@pytest.fixture
def of(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Of:
    monkeypatch.setattr(store, "PATIENT", Pace(2, 5, 1))
    monkeypatch.setattr(site, "TRANSFER", Pace(2, 5, 1))

    def settings(bucket: str = "plain", **changes: Any) -> Settings:
        backup = {**make.RAW["backup"], "bucket": bucket, "endpoint": gateway.endpoint, **changes}
        return make.settings(backup=backup, escrow={"recipients": backup["recipients"]})

    return settings


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    path = tmp_path / "sealed"
    path.write_bytes(os.urandom(1000))
    return path


def gone() -> str:
    return f"http://127.0.0.1:{free_port()}"


def test_a_large_copy_goes_in_parts_with_their_sha256(of: Of, gateway: Gateway, tmp_path: Path) -> None:
    archive = tmp_path / "large"
    archive.write_bytes(os.urandom(2 * site.PART + 1))
    copy = Catalog(of(checksums=True)).add(MANIFEST, archive)
    head = gateway.s3.head_object(Bucket="plain", Key=copy.key, ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"].endswith("-3")
    Store(of().backup.sites).download(copy.key, tmp_path / "read")
    assert (tmp_path / "read").read_bytes() == archive.read_bytes()


def test_locked_copies_outlive_their_deletion_and_control_objects_do_not(
    of: Of, gateway: Gateway, sealed: Path
) -> None:
    settings = of("locked", lock=LOCK)
    copy = Catalog(settings).add(MANIFEST, sealed)
    Escrow(settings).keep(KEY)
    (unlock_key,) = (key for key in gateway.keys("locked") if "unlock-keys" in key)
    for key in (copy.key, copy.manifest_key, unlock_key):
        head = gateway.s3.head_object(Bucket="locked", Key=key)
        assert head["ObjectLockMode"] == "GOVERNANCE"
        assert (head["ObjectLockRetainUntilDate"] - datetime.now(UTC)).total_seconds() > 86000
        with pytest.raises(gateway.s3.exceptions.ClientError, match="AccessDenied"):
            gateway.s3.delete_object(Bucket="locked", Key=key, VersionId=head["VersionId"])
    for _ in range(2):  # a lease that was given back can be had again in a versioned bucket
        with operators.alone(settings, "recovery", say=print):
            pass
    with operators.alone(settings, "recovery", say=print):
        key = next(key for key in gateway.keys("locked") if key.endswith(operators.NAME))
        assert "ObjectLockMode" not in gateway.s3.head_object(Bucket="locked", Key=key)


def test_an_unlock_key_stays_locked_for_as_long_as_the_newest_copy(of: Of, gateway: Gateway) -> None:
    def until() -> datetime:
        (key,) = gateway.keys("locked")
        found: datetime = gateway.s3.get_object_retention(Bucket="locked", Key=key)["Retention"]["RetainUntilDate"]
        return found

    Escrow(of("locked", lock=LOCK)).keep(KEY)
    first = until()
    Escrow(of("locked", lock={"mode": "compliance", "days": 9})).keep(KEY)
    longer = until()
    assert (longer - first).days >= 7
    Escrow(of("locked", lock=LOCK)).keep(KEY)
    assert until() == longer


def test_a_bucket_without_object_lock_is_refused_before_the_first_copy(of: Of, gateway: Gateway, sealed: Path) -> None:
    settings = of(lock=LOCK)
    with pytest.raises(StoreError, match=r"ObjectLockConfigurationNotFound.*\n.*requorum:backup\.lock out"):
        Catalog(settings).add(MANIFEST, sealed)
    assert gateway.keys("plain") == []


def test_encryption_that_the_server_ignores_is_an_error(of: Of, gateway: Gateway, sealed: Path) -> None:
    with pytest.raises(StoreError, match=r"did not heed requorum:backup\.encryption"):
        Catalog(of(encryption={"mode": "s3"})).add(MANIFEST, sealed)
    assert Catalog(of()).copies == ()


def test_what_came_later_is_not_there_as_of_a_time(of: Of, sealed: Path) -> None:
    settings = of("versioned")
    copy = Catalog(settings).add(MANIFEST, sealed)
    Escrow(settings).keep(KEY)
    sleep(1.1)  # S3 tells seconds
    then = datetime.now(UTC)
    sleep(1.1)
    past = of("versioned", asOf=then.isoformat())
    new = Catalog(past).add(make.manifest("manager-b"), sealed)
    assert set(Catalog(settings).copies) == {copy, new}, "copies are written as ever"
    catalog = Catalog(past)
    assert catalog.copies == (copy,)
    assert catalog.manifest(copy).node_id == MANIFEST.node_id
    catalog.store.then.download(copy.key, sealed.with_name("read"))
    assert sealed.with_name("read").read_bytes() == sealed.read_bytes()
    assert f"as of {then.isoformat()}" in catalog.store.notes[0]
    assert len(Escrow(past)._fingerprints()) == 1


def test_reading_as_of_a_time_needs_a_versioned_bucket(of: Of) -> None:
    with pytest.raises(StoreError, match=r"not versioned.*\n.*requorum:backup\.asOf out"):
        Catalog(of(asOf="2026-01-01T00:00:00Z"))


def test_wrong_keys_and_buckets_are_named(of: Of, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreError, match=r"requorum:backup\.bucket"):
        Catalog(of("no-such-bucket"))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(StoreError, match="correct the secret key"):
        Catalog(of(region="us-east-2"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "wrong")
    with pytest.raises(StoreError, match="correct the access key"):
        Catalog(of(region="us-east-3"))


def test_what_the_server_offers_is_found_out_and_nothing_stays(of: Of, gateway: Gateway) -> None:
    (locked,) = offers.ask(of("locked", lock=LOCK, encryption={"mode": "s3"}))
    answers = {offer.what: offer.answer for offer in locked.offers}
    assert answers == {
        "reachable": Answer.YES,
        "versioning": Answer.NO,
        "object lock": Answer.YES,
        "conditional writes": Answer.YES,
        "encryption (s3)": Answer.IGNORED,
        "multipart uploads": Answer.YES,
        "checksums": Answer.YES,
        "removal": Answer.YES,
    }
    assert locked.exit_code == 3, "the settings ask for encryption"
    assert "the time of a version changed" in next(
        offer.detail for offer in locked.offers if offer.what == "versioning"
    )
    left = gateway.s3.list_object_versions(Bucket="locked")
    assert not left.get("Versions")
    assert not left.get("DeleteMarkers")

    plain, away = offers.ask(of(second={"bucket": "plain", "endpoint": gone()}))
    assert {offer.what for offer in plain.offers if offer.answer is Answer.NO} == {"versioning", "object lock"}
    assert plain.exit_code == 0, "nothing here needs them"
    assert gateway.keys("plain") == []
    assert ([offer.answer for offer in away.offers], away.exit_code) == ([Answer.NO], 1)
    document = offers.as_json("lab", (plain, away))
    assert [one["site"] for one in document["sites"]] == ["main", "second"]


SECOND = {"second": {"bucket": "versioned", "prefix": "elsewhere"}}


@pytest.fixture
def two(of: Of, gateway: Gateway) -> Settings:
    return of(second={**SECOND["second"], "endpoint": gateway.endpoint})


@pytest.fixture
def lost(two: Settings) -> Settings:
    """The same two sites with the main one out of reach."""
    return two.model_copy(update={"backup": two.backup.model_copy(update={"endpoint": gone()})})


@pytest.fixture
def alone(two: Settings) -> Settings:
    """The same two sites with the second one out of reach."""
    second = two.backup.second.model_copy(update={"endpoint": gone()}) if two.backup.second else None
    return two.model_copy(update={"backup": two.backup.model_copy(update={"second": second})})


def test_a_copy_and_its_key_lie_at_both_sites(two: Settings, gateway: Gateway, sealed: Path) -> None:
    copy = Catalog(two).add(MANIFEST, sealed)
    Escrow(two).keep(KEY)
    assert copy.sites == ("main", "second")
    assert not Outcome("manager-a", copy, MANIFEST).missing_at(two)
    elsewhere = [key.replace("requorum/", "elsewhere/") for key in gateway.keys("plain")]
    assert gateway.keys("versioned") == elsewhere
    assert len(elsewhere) == 3
    (found,) = Catalog(two).copies
    assert found.sites == ("main", "second")


def test_a_second_site_that_fails_is_told_and_fails_no_copy(
    alone: Settings, two: Settings, gateway: Gateway, sealed: Path
) -> None:
    catalog = Catalog(two)
    catalog.add(make.manifest("manager-b"), sealed)
    catalog = Catalog(alone)
    copy = catalog.add(MANIFEST, sealed)
    assert copy.sites == ("main",)
    assert Outcome("manager-a", copy, MANIFEST).missing_at(alone)
    [note] = catalog.store.notes
    assert note.startswith("the second site is left out: it cannot be reached")
    assert {found.manager: found.sites for found in Catalog(two).copies} == {
        "manager-a": ("main",),
        "manager-b": ("main", "second"),
    }


def test_a_second_site_that_refuses_is_told_too(of: Of, gateway: Gateway, sealed: Path) -> None:
    catalog = Catalog(of(lock=LOCK, bucket="locked", second={"bucket": "plain", "endpoint": gateway.endpoint}))
    copy = catalog.add(MANIFEST, sealed)
    assert copy.sites == ("main",)
    assert gateway.keys("plain") == []
    [note] = catalog.store.notes
    assert "the second site is left out: reading the Object Lock" in note


def test_copies_are_read_from_the_second_site_when_the_first_is_gone(
    two: Settings, lost: Settings, sealed: Path, tmp_path: Path
) -> None:
    copy = Catalog(two).add(MANIFEST, sealed)
    catalog = Catalog(lost)
    assert catalog.copies == (copy,)
    assert catalog.copies[0].sites == ("second",)
    assert catalog.manifest(copy).node_id == MANIFEST.node_id
    catalog.store.download(copy.key, tmp_path / "read")
    assert (tmp_path / "read").read_bytes() == sealed.read_bytes()
    [note] = catalog.store.notes
    assert note.startswith("the main site is left out: it cannot be reached")
    new = catalog.add(make.manifest("manager-b"), sealed)
    assert new.sites == ("second",)
    assert Catalog(two).copies == (new, copy) or Catalog(two).copies == (copy, new)


def test_what_the_first_site_lacks_is_read_from_the_second(
    two: Settings, gateway: Gateway, sealed: Path, tmp_path: Path
) -> None:
    copy = Catalog(two).add(MANIFEST, sealed)
    for key in gateway.keys("plain"):
        gateway.s3.delete_object(Bucket="plain", Key=key)
    catalog = Catalog(two)
    assert [found.sites for found in catalog.copies] == [("second",)]
    assert catalog.manifest(copy).manager == "manager-a"
    catalog.store.download(copy.key, tmp_path / "read")
    assert (tmp_path / "read").read_bytes() == sealed.read_bytes()


def test_an_unread_site_is_never_taken_for_an_empty_one(lost: Settings, alone: Settings) -> None:
    for settings in (lost, alone):
        with pytest.raises(StoreSilent):
            Catalog(settings)


def test_a_wrong_bucket_is_no_site_out_of_reach(of: Of, gateway: Gateway) -> None:
    wrong = of("no-such-bucket", second={"bucket": "plain", "endpoint": gateway.endpoint})
    with pytest.raises(StoreError, match="NoSuchBucket"):
        Catalog(wrong)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "WAIT_SECONDS", 1.5)
    monkeypatch.setattr(lease, "PAUSE", 0.05)


@pytest.mark.usefixtures("quick")
def test_two_operators_who_see_different_sites_exclude_each_other(two: Settings, lost: Settings) -> None:
    both = lease._acquire(Store(two.backup.sites), f"requorum/lab/{operators.NAME}", "recovery", "another", print)
    try:
        with (
            pytest.raises(Refused, match="recovery is still at it"),
            operators.alone(lost, "joining", say=print),
        ):
            pytest.fail("the work began")
    finally:
        lease._release(both)
    said: list[str] = []
    with operators.alone(lost, "joining", say=said.append):
        pass
    assert said[0].startswith("the lease: the main site is left out")


def test_spent_consent_is_known_at_either_site(two: Settings, lost: Settings) -> None:
    agreed = two.model_copy(update={"recover": True})
    consent.spend(agreed)
    assert consent.is_spent(lost, Store(lost.backup.sites))
    consent.keep_up(two, Kind.HEALTHY)
    assert not consent.is_spent(two, Store(two.backup.sites))
    assert not consent.is_spent(lost, Store(lost.backup.sites))


def test_what_is_for_now_goes_to_the_first_site_that_answers(two: Settings, lost: Settings, gateway: Gateway) -> None:
    Store(two.backup.sites).put("requorum/lab/journal/one", b"1")
    Store(lost.backup.sites).put("requorum/lab/journal/two", b"2")
    assert gateway.keys("plain") == ["requorum/lab/journal/one"]
    assert gateway.keys("versioned") == ["elsewhere/lab/journal/two"]
    again = Store(two.backup.sites)
    assert sorted(again.keys("requorum/lab/journal/")) == ["requorum/lab/journal/one", "requorum/lab/journal/two"]
    assert again.get("requorum/lab/journal/two") == b"2"


def test_a_main_site_that_was_gone_is_not_waited_for_again(lost: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = Site.keys

    def keys(site: Site, prefix: str) -> tuple[str, ...]:
        asked.append(site.name)
        return real(site, prefix)

    monkeypatch.setattr(Site, "keys", keys)
    for _ in range(2):
        Store(lost.backup.sites).keys("requorum/")
    assert asked == ["main", "second", "second"]
    monkeypatch.setattr(store, "GONE_SECONDS", 0.0)
    Store(lost.backup.sites).keys("requorum/")
    assert asked[3:] == ["main", "second"]
