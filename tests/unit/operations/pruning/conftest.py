"""Settings with rules, and an S3 server that took each copy when its name says."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from typer.testing import CliRunner

from recovery import cli
from recovery.settings import Settings
from tests.unit import factories as make
from tests.unit.operations.pruning.stored import ruled


@pytest.fixture(autouse=True)
def _took(took: dict[str, datetime]) -> None:
    """In each test here, S3 took what `took` says."""


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
