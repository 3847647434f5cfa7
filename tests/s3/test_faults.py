"""A bad line and a bad server, before a real one: nothing half-visible, nothing lost, and an error that says what to do."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from recovery.cli.show.s3 import exit_code
from recovery.copies.catalog import Catalog
from recovery.copies.copy import Copy
from recovery.copies.storing import store
from recovery.errors import StoreError, StoreSilent
from recovery.s3 import site
from recovery.s3 import store as s3_store
from recovery.s3.client import RequestLimits
from recovery.s3.line import PART
from recovery.settings import Settings
from tests.probing import probed
from tests.s3.conftest import CALM
from tests.s3.proxy import Fault, Handler, Proxy
from tests.s3.servers import Server
from tests.unit import factories as make

SIZE = PART + 2**20
MANIFEST = make.manifest()


@pytest.fixture
def of(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(s3_store, "PATIENT", CALM)
    monkeypatch.setattr(site, "BULK", RequestLimits(10, 4, 2))  # one that stalls is waited for
    return make.settings(backup={**make.RAW["backup"], "bucket": "plain", "endpoint": proxy.endpoint})


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Of two parts."""
    path = tmp_path / "sealed"
    path.write_bytes(os.urandom(SIZE))
    return path


def writes(handler: Handler) -> bool:
    return handler.command in ("PUT", "POST")


def is_part(handler: Handler) -> bool:
    return handler.command == "PUT" and "partNumber=1" in handler.path


Store = Callable[[], Copy]


@pytest.fixture(params=[False, True], ids=["operator", "node"])
def stored(of: Settings, archive: Path, request: pytest.FixtureRequest) -> Store:
    """Stores the archive as a copy: as an operator, who looks at what was written, and as a node, which may not."""
    buckets = [replace(bucket, write_only=request.param) for bucket in of.backup.sites]
    return lambda: store(s3_store.Store(buckets), "requorum/lab/", MANIFEST, archive)


def require_nothing(of: Settings, proxy: Proxy, server: Server) -> None:
    """No copy, and no object or part of one."""
    assert server.keys("plain") == []
    assert not unfinished(server)
    proxy.faults.clear()
    assert Catalog(of).copies == ()


def unfinished(server: Server) -> Any:
    """Uploads whose parts lie there; rclone calls a bucket that never had any an error."""
    try:
        return server.s3.list_multipart_uploads(Bucket="plain").get("Uploads", [])
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchUpload":
            return []
        raise


def require_whole(of: Settings, server: Server, copy: Copy, archive: Path) -> None:
    assert Catalog(of).copies == (copy,)
    assert server.s3.get_object(Bucket="plain", Key=copy.key)["Body"].read() == archive.read_bytes()
    assert not unfinished(server)


def test_a_server_that_fails_for_a_moment_is_asked_again(
    of: Settings, proxy: Proxy, server: Server, stored: Store, archive: Path
) -> None:
    failed: set[str] = set()

    def once(handler: Handler, size: int) -> bool:
        what = f"{handler.command} {handler.path}"
        if not is_part(handler) or what in failed:
            return False
        failed.add(what)
        return handler.refuse(size, 500, "InternalError")

    proxy.faults.append(once)
    copy = stored()
    assert len(failed) == 1
    require_whole(of, server, copy, archive)


def test_a_part_that_is_cut_off_is_sent_again(
    of: Settings, proxy: Proxy, server: Server, stored: Store, archive: Path
) -> None:
    cut: list[str] = []

    def once(handler: Handler, size: int) -> bool:
        if not is_part(handler) or cut:
            return False
        cut.append(handler.path)
        return handler.cut(size)

    proxy.faults.append(once)
    copy = stored()
    assert cut
    require_whole(of, server, copy, archive)


NEVER: dict[str, tuple[Fault, str]] = {
    "cut off": (lambda handler, size: handler.cut(size), r"requorum:backup\.endpoint\n.*code: s3-silent"),
    "failing": (lambda handler, size: handler.refuse(size, 500, "InternalError"), "InternalError"),
    "not answering": (lambda handler, _: handler.stall(), r"Read timeout.*\n.*requorum:backup\.endpoint"),
}
LONG = {"not answering"}
"""Takes as long as a request may. test_slow has parts that are answered too slowly."""


@pytest.mark.parametrize(
    ("fault", "error"),
    [pytest.param(*case, id=name, marks=pytest.mark.whole if name in LONG else ()) for name, case in NEVER.items()],
)
def test_an_upload_that_never_gets_through_leaves_nothing(
    of: Settings, proxy: Proxy, server: Server, stored: Store, fault: Fault, error: str
) -> None:
    seen: list[int] = []

    def always(handler: Handler, size: int) -> bool:
        if not is_part(handler):
            return False
        seen.append(len(unfinished(server)))
        return fault(handler, size)

    proxy.faults.append(always)
    with pytest.raises(StoreSilent, match=error):
        stored()
    assert seen == [1, 1], "it was tried twice, within one multipart upload, which was aborted"
    require_nothing(of, proxy, server)


def test_a_server_that_goes_down_in_the_middle_leaves_nothing_that_shows(
    of: Settings, proxy: Proxy, server: Server, stored: Store, archive: Path
) -> None:
    down: list[str] = []

    def goes(handler: Handler, size: int) -> bool:
        if is_part(handler) or down:
            down.append(handler.path)
            return handler.cut(size)
        return False

    proxy.faults.append(goes)
    with pytest.raises(StoreSilent, match=r"requorum:backup\.endpoint\n.*code: s3-silent"):
        stored()
    assert len(unfinished(server)) == 1, "nobody could abort it"
    assert server.keys("plain") == []
    proxy.faults.clear()
    assert Catalog(of).copies == ()
    (key,) = {one["Key"] for one in unfinished(server)}
    assert stored().key == key
    assert server.s3.get_object(Bucket="plain", Key=key)["Body"].read() == archive.read_bytes()


def test_a_manifest_that_is_not_written_makes_no_copy(
    of: Settings, proxy: Proxy, server: Server, stored: Store
) -> None:
    proxy.faults.append(
        lambda handler, size: (
            handler.command == "PUT" and "manifest" in handler.path and handler.refuse(size, 503, "SlowDown")
        )
    )
    with pytest.raises(StoreSilent, match="SlowDown"):
        stored()
    assert len(server.keys("plain")) == 1
    assert Catalog(of).copies == ()


ANSWERS = {
    "a read-only key": (
        (403, "AccessDenied", ""),
        "allow this access key s3:PutObject below the prefix in requorum:backup.b|the policy that `requorum policy` prints",
    ),
    "a wrong clock": ((403, "RequestTimeTooSkewed", ""), "correct this machine's clock: the server's clock says "),
    "another region": (
        (400, "AuthorizationHeaderMalformed", "<Region>eu-central-1</Region>"),
        r"set requorum:backup\.region to the bucket's region: eu-central-1",
    ),
    "a bucket elsewhere": ((301, "PermanentRedirect", ""), r"set requorum:backup\.region"),
    "no such thing": ((501, "NotImplemented", ""), "requorum s3"),
}


@pytest.mark.parametrize(("answer", "remedy"), ANSWERS.values(), ids=ANSWERS)
def test_a_refusal_of_the_server_says_what_to_do(
    of: Settings, proxy: Proxy, server: Server, stored: Store, answer: tuple[int, str, str], remedy: str
) -> None:
    proxy.faults.append(lambda handler, size: writes(handler) and handler.refuse(size, *answer))
    with pytest.raises(StoreError, match=remedy) as caught:
        stored()
    assert not isinstance(caught.value, StoreSilent)
    assert answer[1] in caught.value.why
    require_nothing(of, proxy, server)


def test_a_download_that_breaks_off_is_told_and_the_next_one_is_whole(
    of: Settings, proxy: Proxy, server: Server, archive: Path, tmp_path: Path
) -> None:
    copy = Catalog(of).add(MANIFEST, archive)
    reads = s3_store.Store(of.backup.sites)

    def broken(handler: Handler, _: int) -> bool:
        if handler.command != "GET":
            return False
        handler.send_response(206)
        handler.send_header("Content-Length", str(SIZE))
        handler.end_headers()
        handler.wfile.write(b"x" * 1000)
        handler.close_connection = True
        return True

    proxy.faults.append(broken)
    with pytest.raises(StoreSilent):
        reads.download(copy.key, tmp_path / "read")
    assert not (tmp_path / "read").exists()
    proxy.faults.clear()
    reads.download(copy.key, tmp_path / "read")
    assert (tmp_path / "read").read_bytes() == archive.read_bytes()


NO_LISTING = r"requorum:backup\.endpoint\n.*code: s3-wrong-answer"
NONE_OF_S3S = {"": NO_LISTING, "<html/>": NO_LISTING, "<html><p>Welcome</html>": "500"}


@pytest.mark.parametrize(("content", "error"), NONE_OF_S3S.items())
def test_a_server_that_is_none_of_s3s_holds_no_empty_bucket(
    of: Settings, proxy: Proxy, content: str, error: str
) -> None:
    proxy.faults.append(lambda handler, size: handler.answer(size, 200, content))
    with pytest.raises(StoreError, match=error):
        Catalog(of)
    (found,) = probed(of)
    assert exit_code(found) == 1


def test_a_small_object_that_breaks_off_is_read_again(of: Settings, proxy: Proxy, server: Server) -> None:
    server.s3.put_object(Bucket="plain", Key="requorum/lab/word", Body=b"whole")
    asked: list[str] = []

    def broken(handler: Handler, _: int) -> bool:
        asked.append(handler.path)
        if len(asked) > often:
            return False
        handler.send_response(200)
        handler.send_header("Content-Length", "5")
        handler.end_headers()
        handler.wfile.write(b"wh")
        handler.close_connection = True
        return True

    proxy.faults.append(broken)
    often = site.READS - 1
    assert s3_store.Store(of.backup.sites).get("requorum/lab/word") == b"whole"
    asked.clear()
    often = site.READS
    with pytest.raises(StoreSilent):
        s3_store.Store(of.backup.sites).get("requorum/lab/word")
    assert len(asked) == site.READS
