"""The lock of kept objects, on a client that notes what it is asked."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from recovery.errors import StoreError
from recovery.s3.bucket import Bucket
from recovery.s3.object_lock import ObjectLock

BUCKET = Bucket("copies", "requorum/", lock="governance", lock_days=7)
UNLOCKED = replace(BUCKET, lock=None)
LOCKED = {"Mode": "COMPLIANCE", "RetainUntilDate": datetime.now(UTC) + timedelta(days=30)}
SHORT = {"Mode": "COMPLIANCE", "RetainUntilDate": datetime.now(UTC) + timedelta(days=1)}


def refusal(code: str, status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        "GetObjectRetention",
    )


class Client:
    def __init__(self, retention: dict[str, Any] | ClientError | None = None, *, enabled: str = "Enabled") -> None:
        self.retention, self.enabled = retention, enabled
        self.asked: list[str] = []
        self.put: list[dict[str, Any]] = []

    def get_object_lock_configuration(self, **_: str) -> dict[str, Any]:
        self.asked.append("configuration")
        return {"ObjectLockConfiguration": {"ObjectLockEnabled": self.enabled}}

    def get_object_retention(self, **_: str) -> dict[str, Any]:
        self.asked.append("retention")
        if isinstance(self.retention, ClientError):
            raise self.retention
        return {"Retention": self.retention}

    def put_object_retention(self, **given: Any) -> None:
        self.put.append(given["Retention"])


def lock_of(client: Client, bucket: Bucket = BUCKET) -> ObjectLock:
    return ObjectLock(bucket, lambda: client)  # type: ignore[arg-type, return-value]


def test_a_write_is_locked_from_now_on() -> None:
    writing = lock_of(Client()).writing
    assert writing["ObjectLockMode"] == "GOVERNANCE"
    assert timedelta(days=6, hours=23) < writing["ObjectLockRetainUntilDate"] - datetime.now(UTC) <= timedelta(days=7)
    assert lock_of(Client(), UNLOCKED).writing == {}


def test_that_the_bucket_has_locks_is_asked_once() -> None:
    client = Client()
    lock = lock_of(client)
    lock.require_enabled()
    lock.require_enabled()
    assert client.asked == ["configuration"]


def test_a_bucket_without_locks_is_refused_each_time() -> None:
    lock = lock_of(Client(enabled="Disabled"))
    for _ in range(2):
        with pytest.raises(StoreError, match=r"s3://copies(?s:.*)code: s3-not-supported"):
            lock.require_enabled()


@pytest.mark.parametrize("bucket", [UNLOCKED, replace(BUCKET, write_only=True)], ids=["no lock", "write only"])
def test_who_needs_no_lock_or_may_not_read_does_not_ask(bucket: Bucket) -> None:
    client = Client(enabled="Disabled")
    lock_of(client, bucket).require_enabled()
    assert not client.asked


@pytest.mark.parametrize(
    ("retention", "mode"),
    [
        (SHORT, "COMPLIANCE"),
        (refusal("NoSuchObjectLockConfiguration", 404), "GOVERNANCE"),
        (refusal("AccessDenied", 403), "GOVERNANCE"),
    ],
    ids=["shorter", "none", "unknown"],
)
def test_a_lock_is_extended_in_its_own_mode(retention: Any, mode: str) -> None:
    client = Client(retention)
    lock_of(client).prolong("key")
    [written] = client.put
    assert written["Mode"] == mode
    assert written["RetainUntilDate"] - datetime.now(UTC) > timedelta(days=6, hours=23)


def test_a_longer_lock_stays() -> None:
    client = Client(LOCKED)
    lock_of(client).prolong("key")
    assert not client.put


@pytest.mark.parametrize(
    ("head", "retention", "kept"),
    [
        ({"ObjectLockMode": "GOVERNANCE"}, None, True),
        ({}, LOCKED, True),
        ({}, refusal("AccessDenied", 403), True),
        ({}, refusal("NoSuchObjectLockConfiguration", 404), False),
    ],
    ids=["its HEAD says so", "its lock says so", "nobody may tell", "no lock"],
)
def test_a_lock_that_was_ignored_is_noticed(head: dict[str, str], retention: Any, kept: bool) -> None:
    assert lock_of(Client(retention)).is_kept("key", head) is kept
    assert lock_of(Client(retention), UNLOCKED).is_kept("key", head)


def test_a_server_that_fails_says_nothing_about_a_lock() -> None:
    with pytest.raises(ClientError):
        lock_of(Client(refusal("InternalError", 500))).is_kept("key", {})
