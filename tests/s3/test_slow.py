"""A server that takes or sends a byte at a time is given up in time; one that is merely slow is waited for."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pytest

from recovery import site, store
from recovery.catalog import Catalog
from recovery.client import Pace
from recovery.errors import StoreSilent
from recovery.settings import Settings
from recovery.site import Site
from tests.s3.proxy import Fault, Handler, Proxy
from tests.s3.servers import Server, Versitygw
from tests.unit import factories as make

KEY = "requorum/lab/word"
PATIENCE = 1.0
PAUSE = 0.1
"""Between two bytes: each comes well within the patience."""
DOWNLOADS = 5
"""How often a part is read that does not come whole."""

pytestmark = pytest.mark.parametrize("server", [Versitygw], indirect=True)


@pytest.fixture
def of(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(store, "PATIENT", Pace(2, PATIENCE, 1))
    monkeypatch.setattr(site, "TRANSFER", Pace(2, PATIENCE, 1))
    return make.settings(backup={**make.RAW["backup"], "bucket": "plain", "endpoint": proxy.endpoint})


@pytest.fixture
def small(of: Settings) -> Site:
    return store.Store(of.backup.sites).sites[0]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Of two parts."""
    path = tmp_path / "sealed"
    path.write_bytes(os.urandom(site.PART + 1))
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


Act = Callable[[Settings, Site, Path], object]
SLOW: dict[str, tuple[str, Fault, Act]] = {
    "the answer to a part": ("PUT", head, lambda of, _, archive: Catalog(of).add(make.manifest(), archive)),
    "the taking of a part": ("PUT", taking, lambda of, _, archive: Catalog(of).add(make.manifest(), archive)),
    "the answer to a small object": ("PUT", head, lambda _, site, __: site.put(KEY, b"content")),
    "the taking of a small object": ("PUT", taking, lambda _, site, __: site.put(KEY, bytes(10**7))),
    "the head of a listing": ("GET", head, lambda of, *_: Catalog(of)),
    "a listing": ("GET", body, lambda of, *_: Catalog(of)),
    "a small object": ("GET", body, lambda _, site, __: site.look(KEY)),
    "a part": ("GET", body, lambda _, site, archive: site.download(KEY, archive.with_name("read"))),
}


@pytest.mark.parametrize(("command", "fault", "act"), SLOW.values(), ids=SLOW)
def test_what_trickles_is_given_up(
    of: Settings, proxy: Proxy, server: Server, small: Site, archive: Path, command: str, fault: Fault, act: Act
) -> None:
    server.s3.put_object(Bucket="plain", Key=KEY, Body=bytes(10_000))
    proxy.faults.append(lambda handler, size: handler.command == command and fault(handler, size))
    begun = monotonic()
    with pytest.raises(StoreSilent, match=r"it cannot be reached.*\n.*requorum:backup\.endpoint"):
        act(of, small, archive)
    assert monotonic() - begun < DOWNLOADS * (PATIENCE + 1)
    assert server.keys("plain") == [KEY]
    assert not server.s3.list_multipart_uploads(Bucket="plain").get("Uploads")


def test_a_slow_line_is_no_trickle(small: Site, proxy: Proxy) -> None:
    content = os.urandom(12_000)

    def slow(handler: Handler, size: int) -> bool:
        if handler.command == "PUT":
            while size > 0 and not handler.owner.done.wait(PAUSE):
                size -= len(handler.rfile.read(min(size, 2**21)))
            return handler.answer(0, 200, "")
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.send_header("ETag", '"one"')
        handler.end_headers()
        return send(handler, content, 500)

    proxy.faults.append(slow)
    begun = monotonic()
    small.put(KEY, bytes(2**26))
    assert monotonic() - begun > 2 * PATIENCE
    begun = monotonic()
    found = small.look(KEY)
    assert found
    assert found[0] == content
    assert monotonic() - begun > 2 * PATIENCE


def test_by_tls_too(of: Settings, proxy: Proxy, secure: str, archive: Path) -> None:
    settings = of.model_copy(update={"backup": of.backup.model_copy(update={"endpoint": secure})})
    copy = Catalog(settings).add(make.manifest(), archive)
    catalog = Catalog(settings)
    catalog.store.download(copy.key, archive.with_name("read"))
    assert archive.with_name("read").read_bytes() == archive.read_bytes()
    proxy.faults.append(lambda handler, size: handler.command == "GET" and body(handler, size))
    begun = monotonic()
    with pytest.raises(StoreSilent):
        catalog.manifest(copy)
    assert monotonic() - begun < DOWNLOADS * (PATIENCE + 1)
