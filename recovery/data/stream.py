"""A sealed data copy as a stream: never complete in memory, and never unencrypted on a disk."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import IO

from backports import zstd

from recovery.copies.manifest import check_bytes
from recovery.data.manifest import NO_REMEDY, DataManifest
from recovery.errors import DamagedCopy
from recovery.s3.sealing import Identities, Unreadable

BLOCK = 1 << 20
"""How many bytes are decompressed at once: a few compressed bytes may expand to very many."""


def check_sealed(sealed: Path, manifest: DataManifest, *, source: str) -> None:
    """Compare a stored object with its manifest without opening it. Raises: DamagedCopy."""
    check_bytes(sealed, manifest.size, manifest.sha256, "the object", f"verifying {source}", remedy=NO_REMEDY)


def check(sealed: Path, manifest: DataManifest, identities: Identities, *, source: str) -> None:
    """Open the copy, read it completely and compare it with its manifest. Raises: DamagedCopy."""
    check_sealed(sealed, manifest, source=source)
    doing, plain = f"verifying {source}", _Plain()
    try:
        with sealed.open("rb") as file:
            identities.unseal_stream(file, plain)
    except Unreadable as error:
        remedy = "set requorum:backup.identityFile to the identity of one of its recipients"
        raise DamagedCopy(doing, str(error), remedy=remedy, code="wrong-identity") from None
    except (zstd.ZstdError, EOFError) as error:
        why = f"it cannot be decompressed ({error})"
        raise DamagedCopy(doing, why, remedy=NO_REMEDY, code="copy-damaged") from None
    if not plain.ended or (plain.size, plain.sha256) != (manifest.plain_size, manifest.plain_sha256):
        why = "its data is not what its manifest says"
        raise DamagedCopy(doing, why, remedy=NO_REMEDY, code="copy-damaged")


@contextmanager
def opened(sealed: Path, identities: Identities, *, first: bytes) -> Iterator[IO[bytes]]:
    """The read end of a pipe that gives ``first``, and then the opened copy, still compressed.

    If opening fails, the reader sees an early end. The receiver must know the expected length.
    """
    reading, writing = os.pipe()

    def pour() -> None:
        with suppress(OSError, Unreadable), os.fdopen(writing, "wb") as target, sealed.open("rb") as source:
            target.write(first)
            identities.unseal_stream(source, target)

    pouring = Thread(target=pour, daemon=True)
    with os.fdopen(reading, "rb", buffering=0) as end:
        pouring.start()
        yield end
    pouring.join()


class _Plain:
    """Decompresses what is written to it, and measures the result."""

    def __init__(self) -> None:
        self.size = 0
        self._digest = hashlib.sha256()
        self._unpacking = zstd.ZstdDecompressor()

    @property
    def ended(self) -> bool:
        return self._unpacking.eof and not self._unpacking.unused_data

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def write(self, packed: bytes) -> int:
        rest = packed
        while rest or not (self._unpacking.needs_input or self._unpacking.eof):
            block = self._unpacking.decompress(rest, BLOCK)
            self._digest.update(block)
            self.size += len(block)
            rest = b""
        return len(packed)

    def flush(self) -> None:
        pass
