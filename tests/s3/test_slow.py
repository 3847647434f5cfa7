"""A server that takes or sends a byte at a time is given up in time; one that is merely slow is waited for."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pytest

from recovery.copies.catalog import Catalog
from recovery.errors import StoreSilent
from recovery.s3 import site, store
from recovery.s3.client import RequestLimits
from recovery.s3.line import PART
from recovery.s3.site import Site
from recovery.settings import Settings
from tests.s3.conftest import CALM
from tests.s3.proxy import Fault, Handler, Proxy
from tests.s3.servers import Server, Versitygw
from tests.unit import factories as make

KEY = "requorum/lab/word"
PATIENCE = 1.0
"""Seconds, where nothing is asked but what trickles."""
LONGER = 3.0
"""Seconds, where a request goes through before or after that, on a busy machine too."""
PAUSE = 0.1
"""Seconds between two bytes: each comes well within the patience."""
DOWNLOADS = 5
"""How often a part is read that does not come whole."""
SLACK = 5.0
"""Seconds; what trickles takes a quarter of an hour."""

Wait = Callable[[float], None]

pytestmark = pytest.mark.parametrize("server", [Versitygw], indirect=True)


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Wait:
    """Has requests wait so many seconds from here on."""

    def set_pace(seconds: float) -> None:
        for module, name in ((store, "PATIENT"), (site, "BULK")):
            monkeypatch.setattr(module, name, RequestLimits(10, seconds, 1))

    return set_pace


@pytest.fixture
def of(proxy: Proxy) -> Settings:
    return make.settings(backup={**make.RAW["backup"], "bucket": "plain", "endpoint": proxy.endpoint})


def small(of: Settings) -> Site:
    return store.Store(of.backup.sites).sites[0]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Of two parts."""
    path = tmp_path / "sealed"
    path.write_bytes(os.urandom(PART + 1))
    return path


def send(handler: Handler, content: bytes, size: int = 1, pause: float = PAUSE) -> bool:
    """Send so many bytes at a time, until nobody listens any more."""
    handler.close_connection = True
    try:
        for at in range(0, len(content), size):
            handler.wfile.write(content[at : at + size])
            if handler.owner.done.wait(pause):
                break
    except OSError:
        pass
    return True


def head(handler: Handler, size: int) -> bool:
    handler.rfile.read(size)
    return send(handler, b"HTTP/1.1 200 OK\r\nX-Long: " + bytes(10_000))


def body(handler: Handler, _: int) -> bool:
    handler.send_response(200 if "Range" not in handler.headers else 206)
    for name, value in (("Content-Length", "10000"), ("Content-Range", "bytes 0-9999/10000"), ("ETag", '"one"')):
        handler.send_header(name, value)
    handler.end_headers()
    return send(handler, bytes(10_000))


def taking(handler: Handler, _: int) -> bool:
    """Take what is sent a byte at a time."""
    handler.close_connection = True
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    while not handler.owner.done.wait(PAUSE) and handler.connection.recv(1):
        pass
    return True


Act = Callable[[Settings, Path], object]
SLOW: dict[str, tuple[str, Fault, float, Act]] = {
    "the answer to a part": ("PUT", head, LONGER, lambda of, archive: Catalog(of).add(make.manifest(), archive)),
    "the taking of a part": ("PUT", taking, LONGER, lambda of, archive: Catalog(of).add(make.manifest(), archive)),
    "the answer to a small object": ("PUT", head, PATIENCE, lambda of, _: small(of).put(KEY, b"content")),
    "the taking of a small object": ("PUT", taking, PATIENCE, lambda of, _: small(of).put(KEY, bytes(10**7))),
    "the head of a listing": ("GET", head, PATIENCE, lambda of, _: Catalog(of)),
    "a listing": ("GET", body, PATIENCE, lambda of, _: Catalog(of)),
    "a small object": ("GET", body, PATIENCE, lambda of, _: small(of).look(KEY)),
    "a part": ("GET", body, PATIENCE, lambda of, archive: small(of).download(KEY, archive.with_name("read"))),
}


@pytest.mark.parametrize(("command", "fault", "patience", "act"), SLOW.values(), ids=SLOW)
def test_what_trickles_is_given_up(
    of: Settings,
    proxy: Proxy,
    server: Server,
    wait: Wait,
    archive: Path,
    command: str,
    fault: Fault,
    patience: float,
    act: Act,
) -> None:
    wait(patience)
    server.s3.put_object(Bucket="plain", Key=KEY, Body=bytes(10_000))
    proxy.faults.append(lambda handler, size: handler.command == command and fault(handler, size))
    begun = monotonic()
    with pytest.raises(StoreSilent, match=r"requorum:backup\.endpoint\n.*code: s3-silent"):
        act(of, archive)
    assert monotonic() - begun < DOWNLOADS * (patience + SLACK)
    assert server.keys("plain") == [KEY]
    assert not server.s3.list_multipart_uploads(Bucket="plain").get("Uploads")


def test_a_slow_line_is_no_trickle(of: Settings, proxy: Proxy, wait: Wait) -> None:
    content = os.urandom(32_000)
    wait(LONGER)

    def slow(handler: Handler, size: int) -> bool:
        if handler.command == "PUT":
            while size > 0 and not handler.owner.done.wait(PAUSE):
                size -= len(handler.rfile.read(min(size, 2**20)))
            return handler.answer(0, 200, "")
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.send_header("ETag", '"one"')
        handler.end_headers()
        return send(handler, content, 500)

    proxy.faults.append(slow)
    begun = monotonic()
    small(of).put(KEY, bytes(2**26))
    assert monotonic() - begun > 2 * LONGER
    begun = monotonic()
    found = small(of).look(KEY)
    assert found
    assert found[0] == content
    assert monotonic() - begun > 2 * LONGER


def test_by_tls_too(of: Settings, proxy: Proxy, secure: str, wait: Wait, archive: Path) -> None:
    wait(CALM.read)
    settings = of.model_copy(update={"backup": of.backup.model_copy(update={"endpoint": secure})})
    copy = Catalog(settings).add(make.manifest(), archive)
    Catalog(settings).store.download(copy.key, archive.with_name("read"))
    assert archive.with_name("read").read_bytes() == archive.read_bytes()
    wait(PATIENCE)
    proxy.faults.append(lambda handler, size: handler.command == "GET" and body(handler, size))
    begun = monotonic()
    with pytest.raises(StoreSilent):
        small(settings).look(copy.manifest_key)
    assert monotonic() - begun < DOWNLOADS * (PATIENCE + SLACK)
