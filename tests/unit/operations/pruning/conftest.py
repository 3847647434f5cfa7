"""Settings with rules, and an S3 server that took each copy when its name says."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from typer.testing import CliRunner

from recovery import cli
from recovery.copies.copy import TIME
from recovery.s3.site import Listed, Site
from recovery.settings import Settings
from tests.unit import factories as make
from tests.unit.operations.pruning.stored import ruled


@pytest.fixture(autouse=True)
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


@pytest.fixture
def of() -> Settings:
    return ruled(last=1)


@pytest.fixture
def two(bucket: Any) -> Settings:
    bucket.meta.client.create_bucket(Bucket="other")
    raw = {"last": 1, "hourly": 0, "daily": 0, "weekly": 0, "monthly": 0, "minimum": 1, "graceHours": 1}
    return make.settings(backup={**make.RAW["backup"], "second": {"bucket": "other"}, "retention": raw})


@pytest.fixture
def run(of: Settings, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setattr(cli.console, "_settings", lambda *_: of)
    return lambda *words, answer=None: CliRunner().invoke(cli.app, list(words), input=answer)
