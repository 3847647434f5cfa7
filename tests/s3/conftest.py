"""A real S3 server (versitygw) for these tests, started and ended by them, on loopback and in a folder of its own."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import s3
from recovery import store
from recovery.client import client
from tests.s3.gateway import Gateway
from tests.s3.proxy import Proxy

INSTALL = Path(__file__).parents[2] / "toolchain" / "install"


@pytest.fixture(scope="session")
def program() -> Path:
    """The lab's server: where the lab finds it, else where the toolchain has it."""
    found = s3.binary()
    if found is None:
        made = subprocess.run([INSTALL], check=True, stdout=subprocess.PIPE, text=True).stdout
        found = Path(made.strip()) / "versitygw"
    return found


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_SHARED_CREDENTIALS_FILE", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", Gateway.ACCESS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", Gateway.SECRET)
    client.cache_clear()
    store._gone.clear()
    yield
    client.cache_clear()
    store._gone.clear()


@pytest.fixture
def gateway(program: Path, tmp_path: Path) -> Iterator[Gateway]:
    with Gateway(program, tmp_path / "s3") as running:
        yield running


@pytest.fixture
def proxy(gateway: Gateway) -> Iterator[Proxy]:
    with Proxy(gateway.port) as running:
        yield running
