"""Real S3 servers for these tests, started and ended by them, on loopback and in folders of their own.

A test that asks for `server` runs on each of them, unless its module is about one and says so by `parametrize`.
"""

import os
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from recovery.s3 import site, store
from recovery.s3.client import RequestLimits, client, session
from recovery.settings import Settings
from tests.s3.proxy import Proxy
from tests.s3.servers import SERVERS, Server, Versitygw
from tests.unit import factories as make

CALM = RequestLimits(10, 30, 1)
"""For what must come: also from a server on a busy machine."""
INSTALL = Path(__file__).parents[2] / "toolchain" / "install"


@cache
def program(kind: type[Server]) -> Path:
    """A server's program: where it is installed, else where the toolchain has it."""
    found = kind.installed()
    if found is None:
        made = subprocess.run([INSTALL], check=True, stdout=subprocess.PIPE, text=True).stdout
        found = Path(made.strip()) / kind.PROGRAM
    return found


def add_user(server: Server, access: str, secret: str) -> None:
    """Have versitygw know another user, who may do nothing yet."""
    root = ["--access", server.ACCESS, "--secret", server.SECRET, "--endpoint-url", server.endpoint]
    user = ["--access", access, "--secret", secret, "--role", "user"]
    subprocess.run([program(Versitygw), "admin", *root, "create-user", *user], check=True)


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_SHARED_CREDENTIALS_FILE", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", Server.ACCESS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", Server.SECRET)
    client.cache_clear()
    session.cache_clear()
    yield
    client.cache_clear()
    session.cache_clear()


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    with request.param(program(request.param), tmp_path / "s3") as running:
        yield running


@pytest.fixture
def gone() -> Iterator[str]:
    """An endpoint where nothing answers: the port is had, so that nobody else gets it, and nobody listens on it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with Proxy(server.port) as running:
        yield running


@pytest.fixture
def secure(proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The proxy's endpoint with TLS."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(1), now + timedelta(1))
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    signed = made.add_extension(address, critical=False).sign(key, hashes.SHA256())
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file, certificate = tmp_path / "server.pem", signed.public_bytes(serialization.Encoding.PEM)
    file.write_bytes(key.private_bytes(*form) + certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    proxy._server.socket = context.wrap_socket(proxy._server.socket, server_side=True)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(file))
    return proxy.endpoint.replace("http:", "https:")


@pytest.fixture
def of(server: Server, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Settings with a bucket of the server, and with any key of `backup` changed."""
    monkeypatch.setattr(store, "PATIENT", CALM)
    monkeypatch.setattr(site, "BULK", CALM)

    def settings(bucket: str = "plain", **changes: Any) -> Settings:
        backup = {**make.RAW["backup"], "bucket": bucket, "endpoint": server.endpoint, **changes}
        return make.settings(backup=backup, escrow={"recipients": backup["recipients"]})

    return settings


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    path = tmp_path / "sealed"
    path.write_bytes(os.urandom(1000))
    return path
