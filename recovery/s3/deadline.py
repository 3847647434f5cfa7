"""A time limit for each request to S3, which also ends a request that transfers only a few bytes now and then.

boto3 limits each wait for data, but not the whole request.
"""

from io import BufferedReader, RawIOBase
from time import monotonic
from typing import Any, ClassVar

from urllib3.connection import HTTPConnection
from urllib3.exceptions import ReadTimeoutError

SLOWEST = 1000
"""Bytes a second. A slower connection counts as down."""


def bound(s3: Any, seconds: float) -> None:
    """End each request of boto3's client ``s3`` with a read timeout once it was slower than `SLOWEST` for ``seconds``.

    So a request with its answer takes at most ``seconds`` plus its bytes divided by `SLOWEST`.
    """
    pools = s3._endpoint.http_session._pool_classes_by_scheme
    for scheme, pool in pools.items():
        connection = type("Bounded", (_Bounded, pool.ConnectionCls), {"seconds": seconds})
        pools[scheme] = type(pool.__name__, (pool,), {"ConnectionCls": connection})


class _Timely:
    """A socket with a deadline. Each transferred byte moves the deadline, at most to ``seconds`` from now."""

    def __init__(self, sock: Any, seconds: float) -> None:
        self._sock, self._seconds = sock, seconds
        self.begin()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def begin(self) -> None:
        """Start the deadline of a new request."""
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
        """Limit the next wait to the time that is left. Raises: TimeoutError."""
        left = self._end - monotonic()
        if left <= 0:
            raise TimeoutError(f"slower than {SLOWEST} bytes/s for {self._seconds:g} s")
        self._sock.settimeout(left)

    def passed(self, size: int) -> None:
        """Move the deadline for ``size`` transferred bytes."""
        self._end = min(self._end + size / SLOWEST, monotonic() + self._seconds)


class _Reader(RawIOBase):
    """Reads from a socket with a deadline."""

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
    """A connection whose socket has a deadline."""

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
        except TimeoutError as error:  # urllib3 would report it as a closed connection
            raise ReadTimeoutError(None, url, str(error)) from None  # type: ignore[arg-type]
