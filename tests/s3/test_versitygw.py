"""What versitygw offers beyond objects and parts: checksums, locks, versions, conditions; and what it merely accepts."""

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import sleep

import pytest

from recovery.cli.show.s3 import as_json, exit_code
from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog
from recovery.copies.escrow import Escrow
from recovery.errors import StoreError
from recovery.operations import broken_uploads
from recovery.operations.prune import MANAGERS
from recovery.s3.client import client, session
from recovery.s3.line import PART
from recovery.s3.probe import ProbeResult
from recovery.s3.store import Store
from recovery.settings import Settings
from recovery.swarm.key_file import UnlockKey
from tests.probing import probed
from tests.s3.conftest import add_user
from tests.s3.servers import Server, Versitygw
from tests.s3.test_sites import LAST, put
from tests.unit import factories as make

LOCK = {"mode": "governance", "days": 1}
SECRET = "not-a-real-secret-either"
MANIFEST = make.manifest()
KEY = UnlockKey("SWMKEY-1-wBHuRZZ0gWzOlm8jSYGxPGh5dQVTTbGLxkbTLzWZhqg")

Of = Callable[..., Settings]

pytestmark = pytest.mark.parametrize("server", [Versitygw], indirect=True)


def test_a_large_copy_goes_in_parts_with_their_sha256(of: Of, server: Server, tmp_path: Path) -> None:
    archive = tmp_path / "large"
    archive.write_bytes(os.urandom(2 * PART + 1))
    copy = Catalog(of(checksums=True)).add(MANIFEST, archive)
    head = server.s3.head_object(Bucket="plain", Key=copy.key, ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"].endswith("-3")


def test_locked_copies_outlive_their_deletion_and_control_objects_do_not(of: Of, server: Server, sealed: Path) -> None:
    settings = of("locked", lock=LOCK)
    copy = Catalog(settings).add(MANIFEST, sealed)
    Escrow(settings).keep(KEY)
    (unlock_key,) = (key for key in server.keys("locked") if "unlock-keys" in key)
    for key in (copy.key, copy.manifest_key, unlock_key):
        head = server.s3.head_object(Bucket="locked", Key=key)
        assert head["ObjectLockMode"] == "GOVERNANCE"
        assert (head["ObjectLockRetainUntilDate"] - datetime.now(UTC)).total_seconds() > 86000
        with pytest.raises(server.s3.exceptions.ClientError, match="AccessDenied"):
            server.s3.delete_object(Bucket="locked", Key=key, VersionId=head["VersionId"])
    for _ in range(2):  # a lease that was given back can be had again in a versioned bucket
        with Cluster(settings).hold("recovery", say=print):
            pass
    with Cluster(settings).hold("recovery", say=print):
        key = next(key for key in server.keys("locked") if key.endswith("/lease.json"))
        assert "ObjectLockMode" not in server.s3.head_object(Bucket="locked", Key=key)


@pytest.mark.parametrize("mode", ["governance", "compliance"])
def test_prune_hides_locked_copies_and_their_versions_stay(of: Of, server: Server, sealed: Path, mode: str) -> None:
    settings = of("locked", lock={"mode": mode, "days": 1}, retention=LAST)
    new, old, older = (put(settings, sealed, days) for days in (2, 3, 4))
    now = datetime.now(UTC)
    removed = MANAGERS.prune(Cluster(settings), MANAGERS.look(Cluster(settings), now), now, say=print)
    assert [(one.decision.copy, one.error, one.versions_stay) for one in removed] == [
        (old, None, True),
        (older, None, True),
    ]
    assert Catalog(settings).copies == (new,)
    s3 = server.s3
    versions = {one["Key"]: one["VersionId"] for one in s3.list_object_versions(Bucket="locked")["Versions"]}
    for copy in (new, old, older):
        assert s3.get_object(Bucket="locked", Key=copy.key, VersionId=versions[copy.key])["Body"].read()
        with pytest.raises(s3.exceptions.ClientError, match="AccessDenied"):
            s3.delete_object(Bucket="locked", Key=copy.key, VersionId=versions[copy.key])


def test_a_deleted_version_loses_its_time_too_and_that_is_found_out(of: Of, sealed: Path) -> None:
    settings = of("versioned", retention=LAST)
    new, old = (put(settings, sealed, days) for days in (2, 3))
    sleep(1.1)  # S3 tells seconds
    then = datetime.now(UTC)
    sleep(1.1)
    assert set(Catalog(of("versioned", asOf=then.isoformat())).copies) == {new, old}
    MANAGERS.prune(Cluster(settings), MANAGERS.look(Cluster(settings), then), then, say=print)
    past = of("versioned", asOf=then.isoformat())
    assert set(Catalog(past).copies) == {new}
    (found,) = probed(past)
    versioning = next(offer for offer in found.offers if offer.what == "versioning")
    assert (versioning.answer, versioning.needed, exit_code(found)) == (ProbeResult.NO, "backup.asOf", 3)


def test_a_key_that_may_not_delete_prunes_nothing_and_is_told(
    of: Of, server: Server, sealed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = of(retention=LAST)
    copies = {put(settings, sealed, days) for days in (2, 3, 4)}
    add_user(server, "keeper", SECRET)
    resource = ["arn:aws:s3:::plain", "arn:aws:s3:::plain/*"]
    rest = ["s3:ListBucket", "s3:GetObject", "s3:PutObject"]
    allowed = {"Effect": "Allow", "Principal": {"AWS": ["keeper"]}, "Action": rest, "Resource": resource}
    server.s3.put_bucket_policy(Bucket="plain", Policy=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "keeper")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    client.cache_clear()
    session.cache_clear()
    now, said = datetime.now(UTC), list[str]()
    removed = MANAGERS.prune(Cluster(settings), MANAGERS.look(Cluster(settings), now), now, say=print)
    assert len(removed) == 2
    assert all("AccessDenied" in str(one.error) and "s3:DeleteObject" in str(one.error) for one in removed)
    assert set(Catalog(settings).copies) == copies
    assert {copy.key for copy in copies} | {copy.manifest_key for copy in copies} <= set(server.keys("plain"))
    assert broken_uploads.list_broken(Cluster(settings), now, say=said.append) == ()
    assert "s3:ListBucketMultipartUploads" in said[0]


def test_an_unlock_key_stays_locked_for_as_long_as_the_newest_copy(of: Of, server: Server) -> None:
    def until() -> datetime:
        (key,) = server.keys("locked")
        found: datetime = server.s3.get_object_retention(Bucket="locked", Key=key)["Retention"]["RetainUntilDate"]
        return found

    Escrow(of("locked", lock=LOCK)).keep(KEY)
    first = until()
    Escrow(of("locked", lock={"mode": "compliance", "days": 9})).keep(KEY)
    longer = until()
    assert (longer - first).days >= 7
    Escrow(of("locked", lock=LOCK)).keep(KEY)
    assert until() == longer


def test_a_bucket_without_object_lock_is_refused_before_the_first_copy(of: Of, server: Server, sealed: Path) -> None:
    settings = of(lock=LOCK)
    with pytest.raises(
        StoreError, match=r"ObjectLockConfigurationNotFound(?s:.*)requorum:backup\.lock(?s:.*)code: s3-not-supported"
    ):
        Catalog(settings).add(MANIFEST, sealed)
    assert server.keys("plain") == []


def test_encryption_that_the_server_ignores_is_an_error(of: Of, server: Server, sealed: Path) -> None:
    with pytest.raises(StoreError, match=r"requorum:backup\.encryption(?s:.*)code: s3-not-supported"):
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
    assert len(Escrow(past)._names()) == 1


def test_every_page_of_a_long_listing_as_of_a_time_is_read(of: Of, server: Server) -> None:
    keys, s3 = [f"requorum/lab/journal/{number:04}" for number in range(1001)], server.s3
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: s3.put_object(Bucket="versioned", Key=key, Body=b""), keys))
    past = of("versioned", asOf=(datetime.now(UTC) + timedelta(seconds=2)).isoformat())
    assert sorted(Store(past.backup.sites).then.keys("requorum/lab/")) == keys


def test_reading_as_of_a_time_needs_a_versioned_bucket(of: Of) -> None:
    with pytest.raises(StoreError, match=r"requorum:backup\.asOf(?s:.*)code: s3-not-supported"):
        Catalog(of(asOf="2026-01-01T00:00:00Z"))


def test_what_the_server_offers_is_found_out_and_nothing_stays(of: Of, server: Server, gone: str) -> None:
    (locked,) = probed(of("locked", lock=LOCK, encryption={"mode": "s3"}))
    answers = {offer.what: offer.answer for offer in locked.offers}
    assert answers == {
        "reachable": ProbeResult.YES,
        "versioning": ProbeResult.NO,
        "object lock": ProbeResult.YES,
        "conditional writes": ProbeResult.YES,
        "encryption (s3)": ProbeResult.IGNORED,
        "multipart uploads": ProbeResult.YES,
        "checksums": ProbeResult.YES,
        "removal": ProbeResult.YES,
    }
    assert exit_code(locked) == 3, "the settings ask for encryption"
    assert "changed the time of a version" in next(
        offer.detail for offer in locked.offers if offer.what == "versioning"
    )
    left = server.s3.list_object_versions(Bucket="locked")
    assert not left.get("Versions")
    assert not left.get("DeleteMarkers")

    plain, away = probed(of(second={"bucket": "plain", "endpoint": gone}))
    assert {offer.what for offer in plain.offers if offer.answer is ProbeResult.NO} == {"versioning", "object lock"}
    assert exit_code(plain) == 0, "nothing here needs them"
    assert server.keys("plain") == []
    assert ([offer.answer for offer in away.offers], exit_code(away)) == ([ProbeResult.NO], 1)
    document = as_json("lab", (plain, away))
    assert [one["site"] for one in document["sites"]] == ["main", "second"]


def test_a_second_site_that_refuses_is_told_too(of: Of, server: Server, sealed: Path) -> None:
    catalog = Catalog(of(lock=LOCK, bucket="locked", second={"bucket": "plain", "endpoint": server.endpoint}))
    copy = catalog.add(MANIFEST, sealed)
    assert copy.sites == ("main",)
    assert server.keys("plain") == []
    [note] = catalog.store.notes
    assert "the second site is skipped: reading the Object Lock" in note
