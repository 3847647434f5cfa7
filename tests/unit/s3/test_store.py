"""One site on a simulated server: its settings, the line, and what each error says to do."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from recovery.errors import SettingError, StoreSilent
from recovery.s3 import client as client_module
from recovery.s3.client import client
from recovery.s3.clock import skew
from recovery.s3.line import line
from recovery.s3.server_errors import explain
from recovery.s3.site import Site
from recovery.s3.store import Store
from tests.unit.s3.written import LOCK, THEN, of


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
