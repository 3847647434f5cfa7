"""Reads a small object as far as a small object of Requorum goes. Somebody who writes to the bucket can store any other there."""

from typing import Protocol

from recovery.swarm.records import MOST

BLOCK = 1 << 16


class Body(Protocol):
    """The content of an answer of S3."""

    def read(self, amt: int) -> bytes:
        """Up to so many bytes; none at the end."""

    def close(self) -> None:
        """Give up the rest."""


def read(body: Body) -> bytes:
    """The content, of a larger one the first `MOST` bytes and one more: then it is nothing that Requorum wrote.

    Raises: the errors of the body if it ends early.
    """
    found = bytearray()
    while len(found) <= MOST and (block := body.read(BLOCK)):
        found += block
    if len(found) > MOST:
        body.close()
    return bytes(found[: MOST + 1])
