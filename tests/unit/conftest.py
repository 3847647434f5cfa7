"""A simulated S3 server for every test that writes there."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from threading import RLock
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber

from recovery.copies.copy import TIME
from recovery.errors import StoreSilent
from recovery.s3.client import client, session
from recovery.s3.site import Listed, Site
from recovery.s3.store import Store
from tests.unit import factories as make


@pytest.fixture
def _in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests of several threads are dealt with one after the other: moto has no reader whose object is overwritten meanwhile."""
    turn, real = RLock(), BotocoreStubber.process_request

    def process_request(stubber: BotocoreStubber, request: Any) -> Any:
        with turn:
            return real(stubber, request)

    monkeypatch.setattr(BotocoreStubber, "process_request", process_request)


@pytest.fixture
def bucket(_in_turn: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_SHARED_CREDENTIALS_FILE", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    client.cache_clear()
    session.cache_clear()
    with mock_aws():
        s3 = boto3.resource("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="copies")
        yield s3.Bucket("copies")
    client.cache_clear()
    session.cache_clear()


@pytest.fixture
def out(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Of two sites, the names of those that do not answer."""
    silent, real = set[str](), Store.ask

    def ask(store: Store, site: Site, act: Any) -> Any:
        if site.name in silent:
            raise StoreSilent("asking", "it cannot be reached", remedy=f"start {site.name}", code="s3-silent")
        return real(store, site, act)

    monkeypatch.setattr(Store, "ask", ask)
    return silent


@pytest.fixture
def s3_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 took every object at the moment that is now in these tests."""
    real = Site.listed

    def listed(site: Site, prefix: str) -> dict[str, Listed]:
        return {key: replace(found, written=make.NOW) for key, found in real(site, prefix).items()}

    monkeypatch.setattr(Site, "listed", listed)


@pytest.fixture
def took(monkeypatch: pytest.MonkeyPatch) -> dict[str, datetime]:
    """When S3 took an object, by key: at the time in its name where nothing is said here."""
    said, real = dict[str, datetime](), Site.listed

    def written(key: str, found: Listed) -> Listed:
        named = re.search(r"\d{8}T\d{12}Z", key)
        at = datetime.strptime(named[0], TIME).replace(tzinfo=UTC) if named else found.written
        return replace(found, written=said.get(key, at))

    def listed(site: Site, prefix: str) -> dict[str, Listed]:
        return {key: written(key, found) for key, found in real(site, prefix).items()}

    monkeypatch.setattr(Site, "listed", listed)
    return said
