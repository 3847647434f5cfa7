"""The archive of a swarm directory: a tar file, compressed with zstd, of plain files below ``swarm/``.

Read on the node that made it, and on the machine that restores it.
"""

import hashlib
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import IO, cast

from recovery.swarm.wal import Position, position

LARGEST = 8 * 1024**3
"""Bytes an archive may unpack to; a swarm directory beyond that is not one."""
CERTIFICATE = "swarm/certificates/swarm-node.crt"
KEY = "swarm/certificates/swarm-node.key"
CA = "swarm/certificates/swarm-root-ca.crt"
PLACED = ".requorum"
"""In a swarm directory that our restore put in place: the name of the copy, until it is proven."""
OPENED = ".requorum-opened"
"""In a swarm directory whose key file was opened without its engine: autolock was on, and is to be switched on again."""
WAL = "swarm/raft/wal-v3-encrypted/"
REPAIRED = ".requorum-repaired"
"""In a swarm directory whose log we cut: what was wrong with it, until a new cluster was forced from it."""
BLOCK = 1 << 20
PAPER = 64 << 10
"""Bytes of a certificate or a key file, at most."""
LOG = 1 << 30
"""Bytes of the raft log, at most, without the zeros that its segments are filled up with: they are held in memory."""
BESIDE = 4 << 20
"""Bytes of an archive that are no file's content, at most: enough for thousands of files, where a swarm directory has dozens."""
KINDS = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE, tarfile.GNUTYPE_SPARSE)
"""What tar makes of plain files and folders (``--format=gnu``)."""
UNREADABLE = Position(0, 0, 0)
"""Where a log ends that nobody can read."""
END = bytes(tarfile.BLOCKSIZE)
"""Marks the end. `tarfile.TarFile` takes a header that it cannot read, or that is not there, for the end too; tar does not."""


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


def read(plain: IO[bytes], *, damaged: bool = False) -> Content:
    """Read the unpacked stream of an archive to its end. The raft log of a ``damaged`` directory may be unreadable.

    Raises: Unfit when it holds anything but plain files and folders below ``swarm/``, each of them once, unpacks to
    too much, or lacks what a manager needs; tarfile.TarError and the stream's own errors when it is torn.
    """
    try:
        return _read(_Metered(plain), damaged)
    except Unfit:
        raise
    except (ValueError, IndexError, RecursionError) as error:
        raise tarfile.ReadError(f"a header cannot be read: {error}") from None


def _read(stream: "_Metered", damaged: bool) -> Content:
    files: list[FileEntry] = []
    kept: dict[str, bytes] = {}
    room = LOG
    with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|", bufsize=tarfile.BLOCKSIZE) as tar:
        for path, content in _files(tar, stream):
            digest, size, head = hashlib.sha256(), 0, bytearray()
            logged = path.startswith(WAL) and path.endswith(".wal")
            wanted = logged or path in (CERTIFICATE, CA, KEY)
            for block in content:
                digest.update(block)
                size += len(block)
                if wanted and block.count(0) < len(block):
                    head += block
                    if len(head) > (room if logged else PAPER):
                        raise Unfit(f"{path} is larger than it can be")
            if logged:
                room -= len(head)
            if wanted:
                kept[path] = bytes(head)
            files.append(FileEntry(path, size, digest.hexdigest()))
    if stream.last != END:
        raise tarfile.ReadError("its end is missing")
    while block := stream.read(BLOCK):  # to the end of the frame, so that a cut-off tail is noticed
        if block.count(0) < len(block):
            raise Unfit("something follows its end")
    segments = [kept[path] for path in sorted(kept) if path.startswith(WAL)]
    if not {CERTIFICATE, CA, KEY} <= kept.keys() or not (segments or damaged):
        raise Unfit("certificates or raft log are missing")
    return Content(tuple(files), kept[CERTIFICATE], kept[KEY], kept[CA], _position(segments, damaged))


def _position(segments: list[bytes], damaged: bool) -> Position:
    """Where the log ends. Raises: Unfit when that cannot be read, and the log is not ``damaged``."""
    try:
        return position(segments)
    except ValueError as error:
        if damaged:
            return UNREADABLE
        raise Unfit(f"its raft log: {error}") from None


class _Metered:
    """The stream of an archive; no more than `BESIDE` bytes are read of it that are no file's content.

    So neither countless empty files nor an endless header can fill the memory.
    """

    def __init__(self, plain: IO[bytes]) -> None:
        self._plain = plain
        self._beside = 0
        self.in_content = False
        self.last = b""
        """What was read last."""

    def read(self, size: int) -> bytes:
        """The next bytes. Raises: Unfit; the stream's own errors."""
        self.last = self._plain.read(size)
        if not self.in_content:
            self._beside += len(self.last)
            if self._beside > BESIDE:
                raise Unfit(f"more than {BESIDE} bytes of it are no file's content")
        return self.last


def _files(tar: tarfile.TarFile, stream: _Metered) -> Iterator[tuple[str, Iterator[bytes]]]:
    total = 0
    seen: set[str] = set()
    for member in tar:
        if not _belongs(member) or tar.pax_headers:
            raise Unfit(f"{member.name[:100]!r} does not belong in a swarm directory")
        if member.name in seen:
            raise Unfit(f"{member.name!r} is in it twice")
        seen.add(member.name)
        total += member.size
        if member.size < 0 or total > LARGEST:
            raise Unfit(f"it unpacks to more than {LARGEST} bytes")
        if not member.isdir() and (content := tar.extractfile(member)) is not None:
            stream.in_content = True
            yield member.name, iter(partial(content.read, BLOCK), b"")
            stream.in_content = False


def _belongs(member: tarfile.TarInfo) -> bool:
    """Whether it is a plain file or folder below ``swarm/``, under a name and in a form that all programs read alike."""
    parts = member.name.split("/")
    return (
        member.type in KINDS
        and not member.pax_headers
        and not (member.isdir() and member.size)
        and parts[0] == "swarm"
        and not {"", ".", ".."} & {*parts}
        and member.name.isascii()
        and member.name.isprintable()
    )
