"""The archive of a swarm directory: a tar file, compressed with zstd, of plain files below ``swarm/``.

Read on the node that made it, and on the machine that restores it.
"""

import hashlib
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import IO

from recovery.wal import Position, position

LARGEST = 8 * 1024**3
"""Bytes an archive may unpack to; a swarm directory beyond that is not one."""
CERTIFICATE = "swarm/certificates/swarm-node.crt"
KEY = "swarm/certificates/swarm-node.key"
CA = "swarm/certificates/swarm-root-ca.crt"
PLACED = ".requorum"
"""In a swarm directory that our restore put in place: the name of the copy, until it is proven."""
WAL = "swarm/raft/wal-v3-encrypted/"
BLOCK = 1 << 20


class Unfit(ValueError):
    """The archive is none of a manager's swarm directory, or not the whole of it."""


@dataclass(frozen=True)
class FileEntry:
    """One regular file of the archive; the path begins with ``swarm/``, the size is in bytes."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Content:
    """What was read out of an archive: its files in order; certificate, key file (a secret, unless it is locked)
    and CA certificate; and where its raft log ends.
    """

    files: tuple[FileEntry, ...]
    certificate: bytes
    key: bytes
    ca: bytes
    position: Position


def read(plain: IO[bytes]) -> Content:
    """Read the unpacked stream of an archive to its end.

    Raises: Unfit when it holds anything but plain files and folders below ``swarm/``, unpacks to too much, or
    lacks what a manager needs; tarfile.TarError and the stream's own errors when it is torn.
    """
    files: list[FileEntry] = []
    kept: dict[str, bytes] = {}
    with tarfile.open(fileobj=plain, mode="r|") as tar:
        for path, content in _files(tar):
            digest, size, head = hashlib.sha256(), 0, bytearray()
            wanted = path in (CERTIFICATE, CA, KEY) or (path.startswith(WAL) and path.endswith(".wal"))
            for block in content:
                digest.update(block)
                size += len(block)
                if wanted and block.count(0) < len(block):
                    head += block
            if wanted:
                kept[path] = bytes(head)
            files.append(FileEntry(path, size, digest.hexdigest()))
    while plain.read(BLOCK):
        pass  # to the end of the frame, so that a cut-off tail is noticed
    segments = [kept[path] for path in sorted(kept) if path.startswith(WAL)]
    if not {CERTIFICATE, CA, KEY} <= kept.keys() or not segments:
        raise Unfit("certificates or raft log are missing")
    try:
        end = position(segments)
    except ValueError as error:
        raise Unfit(f"its raft log: {error}") from None
    return Content(tuple(files), kept[CERTIFICATE], kept[KEY], kept[CA], end)


def _files(tar: tarfile.TarFile) -> Iterator[tuple[str, Iterator[bytes]]]:
    total = 0
    for member in tar:
        parts = member.name.split("/")
        if parts[0] != "swarm" or ".." in parts or not (member.isreg() or member.isdir() or member.issparse()):
            raise Unfit(f"{member.name!r} does not belong in a swarm directory")
        total += member.size
        if total > LARGEST:
            raise Unfit(f"it unpacks to more than {LARGEST} bytes")
        if not member.isdir() and (content := tar.extractfile(member)) is not None:
            yield member.name, iter(partial(content.read, BLOCK), b"")
