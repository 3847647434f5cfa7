"""The world of a round, and what it stores."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.agent.world import Sent, World


@pytest.fixture
def world(tmp_path: Path, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, bucket, monkeypatch)


@pytest.fixture
def sent(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> Sent:
    return Sent(bucket, monkeypatch)
