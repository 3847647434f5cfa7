"""Where the answer of a command begins: behind a mark of this process.

A login may print first: root's .bashrc, a file in /etc/profile.d, a ForceCommand. What comes before the mark is dropped.
"""

import shlex
from collections.abc import Sequence
from secrets import token_hex
from typing import Protocol

MARK = f"requorum-{token_hex(8)}"
"""No login prints this by itself."""
LINE = MARK.encode() + b"\n"
KEPT = 4096
"""Bytes of what a login prints that are kept to show them, if no mark follows."""


def framed(argv: Sequence[str]) -> str:
    """The command line that prints the mark and then becomes the command. Every login shell of a server understands it."""
    return f"echo {MARK}; exec {shlex.join(argv)}"


class Frame:
    """Takes standard output as it arrives, and gives what follows the mark."""

    def __init__(self) -> None:
        self.begun = False
        """Whether the mark has arrived."""
        self._before = b""

    def feed(self, data: bytes) -> bytes:
        """The part of ``data`` that belongs to the answer."""
        if self.begun:
            return data
        self._before += data
        noise, mark, answer = self._before.partition(LINE)
        if mark:
            self.begun, self._before = True, noise
            return answer
        self._before = self._before[-KEPT:]
        return b""

    @property
    def noise(self) -> str:
        """What the login printed before the mark, on one line."""
        return " ".join(self._before.decode(errors="replace").split())


class Source(Protocol):
    """A stream to read from."""

    async def read(self, size: int) -> bytes:
        """Up to so many bytes; none at the end."""


class FramedSource:
    """A stream without what a login prints before the mark."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._frame = Frame()

    async def read(self, size: int) -> bytes:
        """Up to so many bytes of the answer; none at the end."""
        while data := await self._source.read(size):
            if answer := self._frame.feed(data):
                return answer
        return b""
