"""Settings with agents."""

from pathlib import Path

import pytest

from recovery.settings import Settings
from tests.unit import factories as make


@pytest.fixture
def of(tmp_path: Path) -> Settings:
    given = tmp_path / "credentials"
    given.write_text("[default]\naws_secret_access_key = hidden\n")
    return make.settings(agent={"credentialsFile": str(given)})
