"""Copies and reads streams of a node, as far as a node may send."""

from dataclasses import dataclass
from typing import Any

from recovery.node.framing import Source
from recovery.node.ssh_library import asyncssh

BLOCK = 1 << 16
ENGINES_ANSWER = 384 << 20
"""The most bytes of one answer of an engine. The longest is the list of all configs, with their content in base64. One may have
1000 KB (swarmkit, manager/controlapi: MaxConfigSize), and Docker sets no limit to the list."""


class TooLong(Exception):
    """A stream has more bytes than its reader takes."""


async def read(source: Source, most: int) -> bytes:
    """A stream to its end. Raises: TooLong if it has more than ``most`` bytes."""
    found = bytearray()
    while data := await source.read(BLOCK):
        found += data
        if len(found) > most:
            raise TooLong
    return bytes(found)


async def nothing() -> bytes:
    """The output of a command whose output goes into a file."""
    return b""


@dataclass
class Sent:
    """How many bytes an engine has sent since it was asked last."""

    size: int = 0


async def pump(source: Any, sink: Any, *, asks: Sent | None = None, answers: Sent | None = None) -> None:
    """Copy a stream to its end, until either side closes, or until one of the ``answers`` to what ``asks`` is too long."""
    try:
        while data := await source.read(BLOCK):
            if asks:
                asks.size = 0
            if answers:
                answers.size += len(data)
                if answers.size > ENGINES_ANSWER:
                    return
            sink.write(data)
            await sink.drain()
        sink.write_eof()
    except (OSError, asyncssh.Error):
        pass  # the other side sees the end of the connection
