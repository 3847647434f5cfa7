"""What copies, unlock keys and all that is for now need of any S3 server, at one site and at two."""

import base64
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import pytest

from recovery.cli.show.s3 import exit_code
from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog
from recovery.copies.copy import Copy
from recovery.copies.escrow import Escrow
from recovery.copies.manifest import Proof, Verdict
from recovery.errors import DamagedCopy, Refused, StoreError, StoreSilent
from recovery.operations import broken_uploads, consent
from recovery.operations.backup import BackupResult
from recovery.operations.prune import MANAGERS
from recovery.planning.diagnosis import Kind
from recovery.planning.plan import Plan
from recovery.s3 import lease, store
from recovery.s3.capability import ProbeResult
from recovery.s3.client import session
from recovery.s3.line import PART
from recovery.s3.site import Listed, Site
from recovery.s3.store import Store
from recovery.settings import Settings
from recovery.swarm.key_file import UnlockKey
from tests.probing import probed
from tests.s3.proxy import Handler, Proxy
from tests.s3.servers import Server
from tests.unit import factories as make

MANIFEST = make.manifest()
LAST = {"last": 1, "hourly": 0, "daily": 0, "weekly": 0, "monthly": 0, "minimum": 1, "graceHours": 24}
KEY = UnlockKey("SWMKEY-1-wBHuRZZ0gWzOlm8jSYGxPGh5dQVTTbGLxkbTLzWZhqg")

Of = Callable[..., Settings]


def test_a_large_copy_goes_in_parts_and_comes_back_whole(of: Of, tmp_path: Path) -> None:
    archive = tmp_path / "large"
    archive.write_bytes(os.urandom(2 * PART + 1))
    copy = Catalog(of(megabytesPerSecond=100)).add(MANIFEST, archive)
    Store(of().backup.sites).download(copy.key, tmp_path / "read")
    assert (tmp_path / "read").read_bytes() == archive.read_bytes()


def test_the_line_is_shared_by_all_that_goes_at_once(of: Of, tmp_path: Path) -> None:
    size, settings = 2 * 10**6, of(megabytesPerSecond=1)
    archive = tmp_path / "sealed"
    archive.write_bytes(os.urandom(size))
    begun = monotonic()
    with ThreadPoolExecutor() as pool:
        copies = list(
            pool.map(lambda name: Catalog(settings).add(make.manifest(name), archive), ("manager-a", "manager-b"))
        )
    assert 0.75 * 4 < monotonic() - begun < 60, "4 MB by 1 MB/s"
    begun = monotonic()
    Store(settings.backup.sites).download(copies[0].key, tmp_path / "read")
    assert 0.75 * 2 < monotonic() - begun < 60
    assert (tmp_path / "read").read_bytes() == archive.read_bytes()


@pytest.mark.parametrize("checksums", [False, True])
def test_a_copy_is_listed_read_and_removed(of: Of, server: Server, sealed: Path, checksums: bool) -> None:
    settings = of(checksums=checksums)
    copy = Catalog(settings).add(MANIFEST, sealed)
    catalog = Catalog(settings)
    assert catalog.copies == (copy,)
    assert catalog.manifest(copy).to_json() == MANIFEST.to_json()
    store = catalog.store
    assert store.listed(catalog.prefix)[copy.key]["main"].size == sealed.stat().st_size
    store.download(copy.key, sealed.with_name("read"))
    assert sealed.with_name("read").read_bytes() == sealed.read_bytes()
    for key in (copy.manifest_key, copy.key, copy.key):
        store.delete(key)
    assert server.keys("plain") == []
    assert Catalog(settings).copies == ()
    assert store.look(copy.key) is None
    with pytest.raises(StoreError, match="code: object-missing"):
        store.download(copy.key, sealed.with_name("read"))


def test_a_customers_key_that_the_server_ignores_is_an_error(
    of: Of, proxy: Proxy, secure: str, sealed: Path, tmp_path: Path
) -> None:
    file, sent = tmp_path / "key", list[str]()
    file.write_bytes(bytes(range(32)))
    settings = of(endpoint=secure, encryption={"mode": "customer", "keyFile": str(file)})

    def note(handler: Handler, _: int) -> bool:
        sent.append(handler.headers.get("x-amz-server-side-encryption-customer-key", ""))
        return False

    proxy.faults.append(note)
    with pytest.raises(StoreError, match=r"requorum:backup\.encryption|requorum s3"):
        Catalog(settings).add(MANIFEST, sealed)
    assert base64.b64encode(file.read_bytes()).decode() in sent
    assert Catalog(of()).copies == ()
    (found,) = probed(settings)
    (encryption,) = (offer for offer in found.offers if offer.what == "encryption (customer)")
    assert encryption.answer is not ProbeResult.YES
    assert (encryption.needed, exit_code(found)) == ("backup.encryption", 3)


def put(settings: Settings, sealed: Path, days: int) -> Copy:
    """A copy of so many days ago, as long as its manifest says."""
    size, proof = sealed.stat().st_size, Proof(Verdict.PROVEN, make.NOW)
    manifest = make.manifest(taken=datetime.now(UTC) - timedelta(days=days), size=size, proof=proof)
    return Catalog(settings).add(manifest, sealed)


def test_what_no_rule_keeps_goes(of: Of, server: Server, sealed: Path) -> None:
    settings = of(retention=LAST)
    new, old, older = (put(settings, sealed, days) for days in (2, 3, 4))
    now = datetime.now(UTC)
    removed = MANAGERS.prune(Cluster(settings), MANAGERS.look(Cluster(settings), now), now, say=print)
    assert [(one.decision.copy, one.error, one.versions_stay) for one in removed] == [
        (old, None, False),
        (older, None, False),
    ]
    assert set(server.keys("plain")) == {new.key, new.manifest_key, "requorum/lab/lease.json"}


def test_parts_of_uploads_that_broke_off_are_removed_once_they_are_old(of: Of, server: Server) -> None:
    ours = make.copy_of(MANIFEST).key
    theirs = ours.replace("/lab/", "/lab2/")
    settings, s3 = of(retention=LAST), server.s3
    said: list[str] = []
    assert broken_uploads.list_broken(Cluster(settings), datetime.now(UTC), say=said.append) == ()
    for key in (ours, ours, theirs):
        upload = s3.create_multipart_upload(Bucket="plain", Key=key)["UploadId"]
        s3.upload_part(Bucket="plain", Key=key, UploadId=upload, PartNumber=1, Body=b"part")
    now = datetime.now(UTC)
    assert broken_uploads.list_broken(Cluster(settings), now, say=said.append) == (), "they may be under way"
    broken = broken_uploads.list_broken(Cluster(settings), now + timedelta(hours=25), say=said.append)
    assert [one.upload.key for one in broken] == [ours, ours]
    assert not [one.error for one in broken_uploads.abort([*broken, *broken]) if one.error], (
        "also those that are gone by now"
    )
    assert [one["Key"] for one in s3.list_multipart_uploads(Bucket="plain")["Uploads"]] == [theirs]
    assert not said
    assert broken_uploads.list_broken(Cluster(of()), now + timedelta(days=99), say=said.append) == (), (
        "without rules nothing is ever removed"
    )


def test_what_is_for_now_is_overwritten(of: Of) -> None:
    store = Store(of().backup.sites)
    for content in (b"one", b"", b"three"):
        store.put("requorum/lab/words/node", content)
        assert store.get("requorum/lab/words/node") == content


def test_every_page_of_a_long_listing_is_read(of: Of, server: Server) -> None:
    keys = [f"requorum/lab/journal/{number:04}" for number in range(1001)]
    s3 = server.s3
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: s3.put_object(Bucket="plain", Key=key, Body=b""), keys))
    assert list(Store(of().backup.sites).keys("requorum/lab/")) == keys


def test_an_unlock_key_is_kept_once(of: Of, server: Server) -> None:
    escrow = Escrow(of())
    escrow.keep(KEY)
    (key,) = server.keys("plain")
    first = server.s3.get_object(Bucket="plain", Key=key)["Body"].read()
    escrow.keep(KEY)
    assert server.s3.get_object(Bucket="plain", Key=key)["Body"].read() == first


def test_wrong_keys_and_buckets_are_named(of: Of, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreError, match=r"requorum:backup\.bucket"):
        Catalog(of("no-such-bucket"))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    session.cache_clear()  # a session reads credentials once
    with pytest.raises(StoreError, match="correct the secret key"):
        Catalog(of(region="us-east-2"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "wrong")
    session.cache_clear()
    with pytest.raises(StoreError, match="correct the access key"):
        Catalog(of(region="us-east-3"))


@pytest.fixture
def two(of: Of, server: Server) -> Settings:
    return of(second={"bucket": "other", "prefix": "elsewhere", "endpoint": server.endpoint})


@pytest.fixture
def lost(two: Settings, gone: str) -> Settings:
    """The same two sites with the main one out of reach."""
    return two.model_copy(update={"backup": two.backup.model_copy(update={"endpoint": gone})})


@pytest.fixture
def alone(two: Settings, gone: str) -> Settings:
    """The same two sites with the second one out of reach."""
    second = two.backup.second.model_copy(update={"endpoint": gone}) if two.backup.second else None
    return two.model_copy(update={"backup": two.backup.model_copy(update={"second": second})})


def test_a_copy_and_its_key_lie_at_both_sites(two: Settings, server: Server, sealed: Path) -> None:
    copy = Catalog(two).add(MANIFEST, sealed)
    Escrow(two).keep(KEY)
    assert copy.sites == ("main", "second")
    assert not BackupResult("manager-a", copy, MANIFEST).missing_at(two)
    elsewhere = [key.replace("requorum/", "elsewhere/") for key in server.keys("plain")]
    assert server.keys("other") == elsewhere
    assert len(elsewhere) == 3
    (found,) = Catalog(two).copies
    assert found.sites == ("main", "second")


def test_a_second_site_that_fails_is_told_and_fails_no_copy(
    alone: Settings, two: Settings, server: Server, sealed: Path
) -> None:
    catalog = Catalog(two)
    catalog.add(make.manifest("manager-b"), sealed)
    catalog = Catalog(alone)
    copy = catalog.add(MANIFEST, sealed)
    assert copy.sites == ("main",)
    assert BackupResult("manager-a", copy, MANIFEST).missing_at(alone)
    [note] = catalog.store.notes
    assert note.startswith("the second site is skipped: S3 cannot be reached")
    assert {found.manager: found.sites for found in Catalog(two).copies} == {
        "manager-a": ("main",),
        "manager-b": ("main", "second"),
    }


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
    assert note.startswith("the main site is skipped: S3 cannot be reached")
    new = catalog.add(make.manifest("manager-b"), sealed)
    assert new.sites == ("second",)
    assert Catalog(two).copies == (new, copy) or Catalog(two).copies == (copy, new)


def test_what_the_first_site_lacks_is_read_from_the_second(
    two: Settings, server: Server, sealed: Path, tmp_path: Path
) -> None:
    copy = Catalog(two).add(MANIFEST, sealed)
    for key in server.keys("plain"):
        server.s3.delete_object(Bucket="plain", Key=key)
    catalog = Catalog(two)
    assert [found.sites for found in catalog.copies] == [("second",)]
    assert catalog.manifest(copy).manager == "manager-a"
    catalog.store.download(copy.key, tmp_path / "read")
    assert (tmp_path / "read").read_bytes() == sealed.read_bytes()


def test_a_copy_lies_where_it_is_as_long_as_its_manifest_says(two: Settings, server: Server, sealed: Path) -> None:
    copy = put(two, sealed, 1)
    steps = {"": ("main", "second"), "plain": ("second",), "other": ()}
    for bucket, sites in steps.items():
        if bucket:
            key = copy.key if bucket == "plain" else copy.key.replace("requorum/", "elsewhere/")
            server.s3.put_object(Bucket=bucket, Key=key, Body=b"")
        [(found, read)] = Catalog(two).manifests()
        assert found.sites == sites
        assert isinstance(read, DamagedCopy) == (not sites)


def test_what_both_sites_have_is_read_from_one_after_the_other(
    two: Settings, server: Server, sealed: Path, tmp_path: Path
) -> None:
    copy = Catalog(two).add(MANIFEST, sealed)
    server.s3.put_object(Bucket="plain", Key=copy.key, Body=b"torn")
    read = [
        (site.name, path.read_bytes()) for site, path in Store(two.backup.sites).downloads(copy.key, tmp_path / "read")
    ]
    assert read == [("main", b"torn"), ("second", sealed.read_bytes())]


def test_an_unread_site_is_never_taken_for_an_empty_one(lost: Settings, alone: Settings) -> None:
    for settings in (lost, alone):
        with pytest.raises(StoreSilent):
            Catalog(settings)


def test_a_wrong_bucket_is_no_site_out_of_reach(of: Of, server: Server) -> None:
    wrong = of("no-such-bucket", second={"bucket": "plain", "endpoint": server.endpoint})
    with pytest.raises(StoreError, match="NoSuchBucket"):
        Catalog(wrong)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "WAIT_SECONDS", 1.5)
    monkeypatch.setattr(lease, "PAUSE", 0.05)
    monkeypatch.setattr(lease, "SETTLE_SECONDS", 0.2)


@pytest.mark.usefixtures("quick")
def test_two_operators_who_see_different_sites_exclude_each_other(two: Settings, lost: Settings) -> None:
    both = lease._acquire(
        Store(two.backup.sites), "requorum/lab/lease.json", "recovery", "another", print, at_once=False
    )
    try:
        with (
            pytest.raises(Refused, match="code: lease-held"),
            Cluster(lost).hold("joining", say=print),
        ):
            pytest.fail("the work began")
    finally:
        lease._release(both)
    said: list[str] = []
    with Cluster(lost).hold("joining", say=said.append):
        pass
    assert said[0].startswith("lease: the main site is skipped")


def test_spent_consent_is_known_at_either_site(two: Settings, lost: Settings) -> None:
    agreed = two.model_copy(update={"recover": True})
    consent.keep_up(Cluster(two), Plan(Kind.HEALTHY))
    assert not consent.is_spent(Cluster(two), Store(two.backup.sites))
    assert not consent.is_spent(Cluster(lost), Store(lost.backup.sites))
    consent.settle(Cluster(agreed), agreed.recover)
    assert consent.is_spent(Cluster(lost), Store(lost.backup.sites))


def test_what_is_for_now_goes_to_the_first_site_that_answers(two: Settings, lost: Settings, server: Server) -> None:
    Store(two.backup.sites).put("requorum/lab/journal/one", b"1")
    Store(lost.backup.sites).put("requorum/lab/journal/two", b"2")
    assert server.keys("plain") == ["requorum/lab/journal/one"]
    assert server.keys("other") == ["elsewhere/lab/journal/two"]
    again = Store(two.backup.sites)
    assert sorted(again.keys("requorum/lab/journal/")) == ["requorum/lab/journal/one", "requorum/lab/journal/two"]
    assert again.get("requorum/lab/journal/two") == b"2"


def test_a_main_site_that_was_gone_is_not_waited_for_again(lost: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = Site.listed

    def listed(site: Site, prefix: str) -> dict[str, Listed]:
        asked.append(site.name)
        return real(site, prefix)

    monkeypatch.setattr(Site, "listed", listed)
    cluster = Cluster(lost)
    for opened in (cluster.store, cluster.hasty):
        opened.keys("requorum/")
    assert asked == ["main", "second", "second"]
    monkeypatch.setattr(store, "GONE_SECONDS", 0.0)
    cluster.store.keys("requorum/")
    assert asked[3:] == ["main", "second"]
