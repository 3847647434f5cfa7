"""A holder of the lease whose waiting comes to an end."""

from typing import Any

import pytest

from recovery.errors import Refused
from recovery.s3 import lease
from recovery.s3.site import Site
from tests.unit import factories as make

KEY = "requorum/lab/lease.json"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which goes on while somebody sleeps alone."""
    now = [0.0]
    monkeypatch.setattr(lease, "monotonic", lambda: now[0])
    monkeypatch.setattr(lease, "sleep", lambda seconds: now.append(now.pop() + seconds))
    return now


def holder(who: str) -> lease._Holder:
    return lease._Holder(Site(make.settings().backup.sites[0]), KEY, who)


def test_a_lease_that_is_given_back_as_the_waiting_ends_is_taken(
    bucket: Any, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "STALE_SECONDS", 1e9)
    bucket.put_object(Key=KEY, Body=b"a stranger's")
    wait = lease.sleep

    def sleep(seconds: float) -> None:
        wait(seconds)
        if clock[0] > lease.WAIT_SECONDS:
            bucket.put_object(Key=KEY, Body=lease.FREE)

    monkeypatch.setattr(lease, "sleep", sleep)
    ours = holder("us")
    ours.acquire("recovery", print)
    assert b"recovery" in bucket.Object(KEY).get()["Body"].read()
    ours.release()


def test_a_free_lease_that_is_not_taken_is_not_tried_for_ever(
    bucket: Any, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> bool:
        clock[0] += 1.0
        return False

    bucket.put_object(Key=KEY, Body=lease.FREE)
    monkeypatch.setattr(Site, "put_where", refuse)
    with pytest.raises(Refused, match="code: s3-wrong-answer"):
        holder("us").acquire("recovery", print)
    assert clock[0] < 2 * lease.WAIT_SECONDS
