"""An end to each request to S3, also where the server takes or sends a byte at a time.

boto3 limits each wait for a byte, and never the whole.
"""

from io import BufferedReader, RawIOBase
from time import monotonic
from typing import Any, ClassVar

from urllib3.connection import HTTPConnection
from urllib3.exceptions import ReadTimeoutError

SLOWEST = 1000
"""Bytes a second: a line that stays slower is as good as down."""


def bound(s3: Any, seconds: float) -> None:
    """Have requests of boto3's client ``s3`` end, read timeouts, once they were slower than `SLOWEST` for so many seconds.

    A request of so many bytes, with its answer, takes no longer than that and their number by `SLOWEST`.
    """
    pools = s3._endpoint.http_session._pool_classes_by_scheme
    for scheme, pool in pools.items():
        connection = type("Bounded", (_Bounded, pool.ConnectionCls), {"seconds": seconds})
        pools[scheme] = type(pool.__name__, (pool,), {"ConnectionCls": connection})


class _Timely:
    """A socket that can be used for some seconds, and longer with each byte that passes, but never longer than that again."""

    def __init__(self, sock: Any, seconds: float) -> None:
        self._sock, self._seconds = sock, seconds
        self.begin()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def begin(self) -> None:
        """A request begins."""
        self._end = monotonic() + self._seconds

    def sendall(self, data: Any) -> None:
        left = memoryview(data)
        while left:
            self.hurry()
            sent = self._sock.send(left)
            self.passed(sent)
            left = left[sent:]

    def makefile(self, mode: str, buffering: int | None = None) -> Any:
        reader = _Reader(self._sock.makefile(mode, buffering=0), self)
        return reader if buffering == 0 else BufferedReader(reader)

    def hurry(self) -> None:
        """Before each wait. Raises: TimeoutError."""
        left = self._end - monotonic()
        if left <= 0:
            raise TimeoutError(f"slower than {SLOWEST} bytes/s for {self._seconds:g} s")
        self._sock.settimeout(left)

    def passed(self, size: int) -> None:
        """So many bytes went or came."""
        self._end = min(self._end + size / SLOWEST, monotonic() + self._seconds)


class _Reader(RawIOBase):
    """What comes from such a socket."""

    def __init__(self, raw: RawIOBase, sock: _Timely) -> None:
        self._raw, self._sock = raw, sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.hurry()
        size: int | None = self._raw.readinto(buffer)
        self._sock.passed(size or 0)
        return size

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Bounded(HTTPConnection):
    """A connection by such sockets."""

    seconds: ClassVar[float]
    sock: Any

    def connect(self) -> None:
        super().connect()
        self.sock = _Timely(self.sock, self.seconds)

    def request(self, method: str, url: str, *given: Any, **named: Any) -> None:
        if self.sock:
            self.sock.begin()
        try:
            super().request(method, url, *given, **named)
        except TimeoutError as error:  # of which urllib3 would make a connection that was closed
            raise ReadTimeoutError(None, url, str(error)) from None  # type: ignore[arg-type]
