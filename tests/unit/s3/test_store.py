"""One site on a simulated server: encryption, locks, versions, the line, and what each error says to do."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import sleep
from typing import Any

import boto3
import pytest
import yaml
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from recovery.cli import app
from recovery.cli.show.s3 import exit_code
from recovery.cluster import Cluster
from recovery.copies import keeps
from recovery.copies.catalog import Catalog
from recovery.copies.escrow import Escrow
from recovery.errors import DamagedCopy, SettingError, StoreError, StoreSilent
from recovery.operations import consent
from recovery.operations.keep import keep
from recovery.s3 import client as client_module
from recovery.s3 import probe
from recovery.s3.client import BULK, PATIENT, QUICK, client
from recovery.s3.clock import skew
from recovery.s3.encryption import ServerSideEncryption
from recovery.s3.line import line
from recovery.s3.server_errors import explain
from recovery.s3.site import Site
from recovery.s3.store import Store
from recovery.s3.versions import as_of
from recovery.settings import Settings
from recovery.steps import journal
from recovery.swarm.key_file import UnlockKey
from tests.probing import probed
from tests.unit import factories as make

MANIFEST = make.manifest()
UNLOCK = UnlockKey("SWMKEY-1-wBHuRZZ0gWzOlm8jSYGxPGh5dQVTTbGLxkbTLzWZhqg")
CUSTOMER = bytes(range(32))
LOCK = {"mode": "compliance", "days": 7}


def of(**changes: Any) -> Settings:
    backup = {**make.RAW["backup"], **changes}
    return make.settings(backup=backup, escrow={"recipients": backup["recipients"]}, recover=True)


@pytest.fixture
def s3(bucket: Any) -> Any:
    beside = boto3.client("s3", region_name="us-east-1")
    beside.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    beside.create_bucket(Bucket="versioned")
    beside.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    return beside


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    path = tmp_path / "sealed"
    path.write_bytes(b"sealed" * 100)
    return path


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "customer-key"
    path.write_bytes(CUSTOMER)
    return path


def write_everything(settings: Settings, sealed: Path) -> None:
    Catalog(settings).add(MANIFEST, sealed)
    Escrow(settings).keep(UNLOCK)
    with Cluster(settings).hold("recovery", say=print):
        journal.begin(settings, "force", "manager-a", print)
        consent.spend(Cluster(settings))


ENCRYPTIONS: dict[str, tuple[dict[str, str], str]] = {
    "s3": ({"mode": "s3"}, "AES256"),
    "kms": ({"mode": "kms"}, "aws:kms"),
    "kms with a key": ({"mode": "kms", "kmsKeyId": "alias/copies"}, "aws:kms"),
}


@pytest.mark.parametrize(("encryption", "algorithm"), ENCRYPTIONS.values(), ids=ENCRYPTIONS)
def test_everything_that_is_written_is_encrypted(
    s3: Any, bucket: Any, sealed: Path, encryption: dict[str, str], algorithm: str
) -> None:
    write_everything(of(encryption=encryption), sealed)
    found = [s3.head_object(Bucket="copies", Key=entry.key) for entry in bucket.objects.all()]
    assert len(found) == 6
    assert {head["ServerSideEncryption"] for head in found} == {algorithm}
    if "kmsKeyId" in encryption:
        assert {head["SSEKMSKeyId"] for head in found} == {encryption["kmsKeyId"]}


@pytest.mark.parametrize("content", [CUSTOMER, base64.b64encode(CUSTOMER) + b"\n"], ids=["raw", "base64"])
def test_the_customers_key_goes_with_every_write_and_read(
    bucket: Any, sealed: Path, key_file: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_file.write_bytes(content)
    settings = of(encryption={"mode": "customer", "keyFile": str(key_file)})
    sent = []
    real = ServerSideEncryption.is_kept
    # moto stores such objects and does not say how.
    monkeypatch.setattr(
        ServerSideEncryption, "is_kept", lambda rest, head: real(rest, {**head, "SSECustomerAlgorithm": "AES256"})
    )
    for pace in (PATIENT, BULK, QUICK):
        events = client(settings.backup.sites[0], pace).meta.events
        events.register("before-send.s3", lambda request, **_: sent.append(request))
    write_everything(settings, sealed)
    catalog = Catalog(settings)
    catalog.store.download(catalog.copies[0].key, sealed.with_name("read"))
    assert sealed.with_name("read").read_bytes() == sealed.read_bytes()
    assert catalog.manifest(catalog.copies[0]).manager == "manager-a"
    objects = [request for request in sent if "/requorum/lab/" in request.url and request.method != "DELETE"]
    assert {request.method for request in objects} == {"PUT", "GET", "HEAD"}
    for request in objects:
        assert request.headers["x-amz-server-side-encryption-customer-key"] == base64.b64encode(CUSTOMER)
        assert request.url.startswith("https:")


def test_what_was_written_before_the_customers_key_is_still_read(key_file: Path) -> None:
    settings = of(encryption={"mode": "customer", "keyFile": str(key_file)})
    plain = {"key": b"old"}

    def get(*, Key: str, **given: str) -> bytes:  # noqa: N803 - boto3's name
        if given:
            status = {"HTTPStatusCode": 400}
            raise ClientError({"Error": {"Code": "InvalidRequest"}, "ResponseMetadata": status}, "GetObject")  # type: ignore[typeddict-item]
        return plain[Key]

    assert Site(settings.backup.sites[0])._read(get, Key="key") == b"old"


BAD_KEYS = {"short": b"short", "not base64": b"*" * 40, "short in base64": base64.b64encode(b"short"), "missing": None}


@pytest.mark.parametrize("content", BAD_KEYS.values(), ids=BAD_KEYS)
def test_a_bad_customers_key_is_refused_without_being_shown(bucket: Any, key_file: Path, content: bytes | None) -> None:
    key_file.unlink() if content is None else key_file.write_bytes(content)
    with pytest.raises(SettingError) as caught:
        Catalog(of(encryption={"mode": "customer", "keyFile": str(key_file)}))
    assert caught.value.key == "backup.encryption.keyFile"
    assert content is None or content.decode() not in str(caught.value)


def test_the_customers_key_is_in_no_error_and_no_repr(bucket: Any, key_file: Path) -> None:
    settings = of(bucket="nowhere", encryption={"mode": "customer", "keyFile": str(key_file)})
    with pytest.raises(StoreError) as caught:
        Catalog(settings)
    told = (
        f"{caught.value!r} {caught.value} {caught.value.__context__!r} {settings!r} {Site(settings.backup.sites[0])!r}"
    )
    assert repr(CUSTOMER)[2:-1] not in told
    assert base64.b64encode(CUSTOMER).decode() not in told


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
        "recover-spent.json",
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


def test_the_limit_of_the_line_goes_to_both_directions() -> None:
    assert line(of(megabytesPerSecond=2.5).backup.sites[0].megabytes_per_second).transfer.max_bandwidth == 2_500_000
    assert line(of().backup.sites[0].megabytes_per_second).transfer.max_bandwidth is None


def test_with_a_limit_all_sites_take_turns() -> None:
    second = {"bucket": "second"}
    first, other = (line(b.megabytes_per_second) for b in of(megabytesPerSecond=2.5, second=second).backup.sites)
    with first.turn:
        assert not other.turn.acquire(blocking=False)  # type: ignore[attr-defined]


def test_without_a_limit_nobody_waits() -> None:
    with line(None).turn, line(None).turn:
        pass


THEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


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
    mark = keep(Cluster(of(bucket="versioned")), copy.name, "evidence", now=THEN, say=print)
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
    consent.spend(Cluster(past))
    assert consent.is_spent(catalog.store, past.keys), "what is for now is read as it is now"


def test_reading_as_of_a_time_needs_versions(bucket: Any) -> None:
    with pytest.raises(StoreError, match=r"requorum:backup\.asOf(?s:.*)code: s3-not-supported"):
        Catalog(of(asOf=THEN.isoformat()))


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a key without its mode": ({"encryption": {"mode": "s3", "keyFile": "k"}}, "backup.encryption.keyFile"),
    "a mode without its key": ({"encryption": {"mode": "customer"}}, "backup.encryption.keyFile"),
    "a kms key without its mode": ({"encryption": {"mode": "s3", "kmsKeyId": "k"}}, "backup.encryption.kmsKeyId"),
    "the customer's key over http": (
        {"encryption": {"mode": "customer", "keyFile": "k"}, "endpoint": "http://s3.example.org"},
        "backup.endpoint",
    ),
    "the customer's key over http to the second": (
        {"encryption": {"mode": "customer", "keyFile": "k"}, "second": {"bucket": "abc", "endpoint": "http://s3"}},
        "backup.second.endpoint",
    ),
    "no time zone": ({"asOf": "2026-01-02T03:04:05"}, "backup.asOf"),
    "no days": ({"lock": {"mode": "governance", "days": 0}}, "backup.lock.days"),
    "an unknown lock": ({"lock": {"mode": "soft", "days": 1}}, "backup.lock.mode"),
    "the same place twice": ({"second": {"bucket": "copies"}}, "backup.second"),
    "no line at all": ({"megabytesPerSecond": 0}, "backup.megabytesPerSecond"),
}


@pytest.mark.parametrize(("changes", "key"), BAD.values(), ids=BAD)
def test_bad_settings_of_the_store_are_refused(changes: dict[str, Any], key: str) -> None:
    with pytest.raises(SettingError) as caught:
        of(**changes)
    assert (caught.value.key, caught.value.code) == (key, "setting-invalid")


def test_the_second_site_has_its_own_place_and_the_rest_in_common() -> None:
    main, second = of(second={"bucket": "other", "region": "eu-west-1"}, lock=LOCK, profile="mine").backup.sites
    assert (second.name, second.region, second.profile, second.prefix) == ("other", "eu-west-1", None, "requorum")
    assert (second.lock, second.lock_days) == (main.lock, main.lock_days)


REFUSALS: list[tuple[str, str, int, dict[str, Any], str]] = [
    ("InvalidAccessKeyId", "ListObjectsV2", 403, {}, "AWS_ACCESS_KEY_ID, or the profile of requorum:backup.profile"),
    ("SignatureDoesNotMatch", "ListObjectsV2", 403, {}, "AWS_SECRET_ACCESS_KEY"),
    ("NoSuchBucket", "ListObjectsV2", 404, {}, "requorum:backup.bucket"),
    ("404", "HeadObject", 404, {}, "requorum:backup.bucket"),
    ("301", "HeadObject", 301, {}, "set requorum:backup.region to the bucket's region: eu-north-1"),
    ("PermanentRedirect", "ListObjectsV2", 301, {}, "set requorum:backup.region to the bucket's region: eu-north-1"),
    (
        "AuthorizationHeaderMalformed",
        "ListObjectsV2",
        400,
        {},
        "set requorum:backup.region to the bucket's region: eu-north-1",
    ),
    ("RequestTimeTooSkewed", "ListObjectsV2", 403, {}, "the server's clock says Fri, 02 Jan 2026"),
    ("ObjectLockConfigurationNotFoundError", "GetObjectLockConfiguration", 404, {"lock": LOCK}, "requorum:backup.lock"),
    ("InvalidRequest", "PutObject", 400, {"lock": LOCK}, "requorum:backup.lock"),
    ("AccessDenied", "ListObjectsV2", 403, {}, "s3:ListBucket"),
    ("AccessDenied", "GetObject", 403, {}, "s3:GetObject"),
    ("AccessDenied", "UploadPart", 403, {}, "s3:PutObject"),
    ("AccessDenied", "PutObject", 403, {"lock": LOCK}, "s3:PutObject and s3:PutObjectRetention"),
    ("AccessDenied", "GetObject", 403, {"asOf": THEN.isoformat()}, "s3:GetObject and s3:GetObjectVersion"),
    ("AccessDenied", "DeleteObject", 403, {}, "s3:DeleteObject"),
    ("403", "HeadObject", 403, {}, "s3:GetObject"),
    ("KMS.NotFoundException", "PutObject", 400, {"encryption": {"mode": "kms"}}, "requorum:backup.encryption.kmsKeyId"),
    ("NotImplemented", "PutObject", 501, {}, "requorum s3"),
    ("MethodNotAllowed", "GetObjectRetention", 405, {}, "requorum s3"),
    ("InvalidRequest", "GetObject", 400, {"encryption": {"mode": "customer", "keyFile": "k"}}, "encryption.keyFile"),
    ("403", "HeadObject", 403, {"encryption": {"mode": "customer", "keyFile": "k"}}, "encryption.keyFile"),
]


@pytest.mark.parametrize(("code", "operation", "status", "changes", "remedy"), REFUSALS)
def test_each_refusal_names_the_setting_and_what_to_do(
    code: str, operation: str, status: int, changes: dict[str, Any], remedy: str
) -> None:
    answer: Any = {
        "Error": {"Code": code, "Message": "Bucket is missing ObjectLockConfiguration"},
        "ResponseMetadata": {
            "HTTPStatusCode": status,
            "HTTPHeaders": {"x-amz-bucket-region": "eu-north-1", "date": "Fri, 02 Jan 2026 03:04:05 GMT"},
        },
    }
    told = explain(ClientError(answer, operation), "reading", of(**changes).backup.sites[0], "backup")
    assert remedy in told.remedy
    assert "{" not in told.remedy
    lacks = remedy in ("requorum s3", "requorum:backup.lock")
    assert told.code == ("s3-not-supported" if lacks else "s3-denied" if status == 403 else "s3-refused")
    assert not isinstance(told, StoreSilent)
    second = explain(ClientError(answer, operation), "reading", of(**changes).backup.sites[0], "backup.second")
    assert "requorum:backup.bucket" not in second.remedy


def test_nothing_is_nothing_also_where_threads_made_a_client_each(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "client", client.__wrapped__)
    assert Site(of().backup.sites[0]).look("requorum/lab/word") is None


def test_a_server_in_trouble_is_out_of_reach() -> None:
    answer: Any = {"Error": {"Code": "SlowDown"}, "ResponseMetadata": {"HTTPStatusCode": 503}}
    assert isinstance(explain(ClientError(answer, "GetObject"), "reading", of().backup.sites[0], "backup"), StoreSilent)


@pytest.fixture
def asked(tmp_path: Path, s3: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, dict[str, Any], str]]:
    monkeypatch.setattr(probe, "LOCK_SECONDS", 1)

    def run(**changes: Any) -> tuple[int, dict[str, Any], str]:
        file = tmp_path / "Pulumi.lab.yaml"
        raw = make.raw(backup={**make.RAW["backup"], **changes})
        file.write_text(yaml.safe_dump({"config": {f"requorum:{key}": value for key, value in raw.items()}}))
        as_json = CliRunner().invoke(app, ["s3", "--config-file", str(file), "--json"])
        for_eyes = CliRunner().invoke(app, ["s3", "--config-file", str(file)])
        assert as_json.exit_code == for_eyes.exit_code
        return as_json.exit_code, json.loads(as_json.stdout), for_eyes.stdout

    return run


def test_what_is_offered_is_shown(asked: Callable[..., tuple[int, dict[str, Any], str]], s3: Any) -> None:
    code, document, text = asked(bucket="versioned", second={"bucket": "nowhere"})
    main, second = document["sites"]
    answers = {offer["what"]: offer["answer"] for offer in main["offers"]}
    assert answers["reachable"] == answers["versioning"] == answers["multipart uploads"] == answers["removal"] == "yes"
    assert answers["object lock"] == "no"
    assert [offer["answer"] for offer in second["offers"]] == ["no"]
    assert code == 1
    assert "second site: s3://nowhere" in text
    assert "NoSuchBucket" in text
    left = s3.list_object_versions(Bucket="versioned")
    assert "Versions" not in left
    assert "DeleteMarkers" not in left


def test_what_is_needed_and_not_offered_is_degraded(
    asked: Callable[..., tuple[int, dict[str, Any], str]], bucket: Any
) -> None:
    code, document, text = asked(lock=LOCK)
    needed = {offer["what"]: offer["neededBy"] for offer in document["sites"][0]["offers"]}
    assert needed["object lock"] == "backup.lock"
    assert needed["versioning"] == ""
    assert code == 3
    assert "no second site: requorum:backup.second" in text
    assert not list(bucket.objects.all())


def test_a_lock_that_is_accepted_and_not_kept_is_found_out(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = of(bucket="locked", lock=LOCK)
    monkeypatch.setattr(probe, "LOCK_SECONDS", 1)

    def none(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": "NoSuchObjectLockConfiguration"}}, "GetObjectRetention")

    monkeypatch.setattr(Site(settings.backup.sites[0]).s3, "get_object_retention", none)
    (found,) = probed(settings)
    answers = {offer.what: offer.answer for offer in found.offers}
    assert answers["object lock"] is probe.ProbeResult.IGNORED


def test_a_key_that_may_only_read_is_told_so(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = of()

    def denied(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "PutObject")

    monkeypatch.setattr(Site(settings.backup.sites[0]).s3, "put_object", denied)
    (found,) = probed(settings)
    by = {offer.what: offer for offer in found.offers}
    assert by["reachable"].answer is probe.ProbeResult.YES
    assert by["conditional writes"].answer is probe.ProbeResult.UNKNOWN
    assert "PutObject: AccessDenied" in by["conditional writes"].detail
    assert exit_code(found) == 3


def test_equal_buckets_share_a_client() -> None:
    changes = {"second": {"bucket": "other"}, "lock": LOCK, "encryption": {"mode": "s3"}, "asOf": THEN.isoformat()}
    first, again = of(**changes).backup.sites, of(**changes).backup.sites
    assert hash(first) == hash(again)
    assert Store(first).sites[0].s3 is Store(again).sites[0].s3
    assert Store(first).sites[0].where == "s3://copies"


def test_how_far_the_clock_here_is_off_is_read_off_an_answer(s3: Any, sealed: Path) -> None:
    store = Store(of().backup.sites)
    store.put("requorum/x", b"")
    assert abs(store.sites[0].skew) < timedelta(seconds=5)
    assert not store.clock
    answer = {"ResponseMetadata": {"HTTPHeaders": {"date": "Fri, 02 Jan 2026 03:00:00 GMT"}}}
    assert skew(answer, datetime(2026, 1, 2, 3, 6, tzinfo=UTC)) == timedelta(minutes=6)
    for said in ({}, {"date": "noon"}, {"date": "Fri, 02 Jan 2026 03:00:00 -0000"}):
        answer = {"ResponseMetadata": {"HTTPHeaders": said}}
        assert skew(answer, datetime(2026, 1, 3, tzinfo=UTC)) == timedelta(0)
    store.sites[0].skew = timedelta(minutes=6)
    assert store.clock in store.notes
