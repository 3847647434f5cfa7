"""Reads the archive of a swarm directory: a tar file, compressed with zstd, of plain files below ``swarm/``.

The node that takes a copy reads the archive, and so does the machine that restores it.
"""

import hashlib
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import IO, cast

from recovery.swarm.wal import Position, position

LARGEST = 8 * 1024**3
"""The most bytes to which an archive may unpack. No swarm directory is larger."""
CERTIFICATE = "swarm/certificates/swarm-node.crt"
KEY = "swarm/certificates/swarm-node.key"
CA = "swarm/certificates/swarm-root-ca.crt"
PLACED = ".requorum"
"""A marker in a restored swarm directory, until the restore is proven. It holds the name of the copy."""
OPENED = ".requorum-opened"
"""A marker in a swarm directory whose key file Requorum opened. Autolock was on, and must be switched on again."""
WAL = "swarm/raft/wal-v3-encrypted/"
REPAIRED = ".requorum-repaired"
"""In a swarm directory whose log we cut: what was wrong with it, until a new cluster was forced from it."""
BLOCK = 1 << 20
PAPER = 64 << 10
"""The most bytes of a certificate or a key file."""
LOG = 256 << 20
"""The most bytes of the raft log, which is held in memory and read record by record: more would take minutes. The zeros that fill its segments do not count."""
TOO_LONG = f"its raft log has more than {LOG >> 20} MiB. A smaller requorum:swarm.snapshotInterval makes it shorter"
BESIDE = 4 << 20
"""The most bytes of an archive outside the content of files. A swarm directory has dozens of files, not thousands."""
KINDS = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE, tarfile.GNUTYPE_SPARSE)
"""The types that tar gives plain files and folders (``--format=gnu``)."""
UNREADABLE = Position(0, 0, 0)
"""Where a log ends that nobody can read."""
PREFIX = slice(345, 500)
"""Where a header has the prefix of its name (POSIX ustar). A sparse file has its map there (GNU tar, tar.h: oldgnu_header)."""
END = bytes(tarfile.BLOCKSIZE)
"""The block that marks the end. tar requires it. `tarfile.TarFile` also accepts an unreadable or missing header."""


class Unfit(ValueError):
    """The archive is not a complete archive of a manager's swarm directory."""


@dataclass(frozen=True)
class FileEntry:
    """One regular file of the archive. The path begins with ``swarm/``. The size is in bytes."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Content:
    """The content of an archive: its files in order, three of them whole, and the end of its raft log.

    ``key`` is the key file, a secret unless it is locked. ``ca`` is the CA certificate.
    """

    files: tuple[FileEntry, ...]
    certificate: bytes
    key: bytes
    ca: bytes
    position: Position


def read(plain: IO[bytes], *, damaged: bool = False) -> Content:
    """Read the unpacked stream of an archive to its end. The raft log of a ``damaged`` directory may be unreadable.

    Raises: Unfit if the archive holds anything but plain files and folders below ``swarm/``, holds one of them twice,
    unpacks to too much, or lacks what a manager needs; tarfile.TarError and the stream's own errors if it is torn.
    """
    try:
        return _read(_Metered(plain), damaged)
    except Unfit:
        raise
    except (ValueError, IndexError, RecursionError) as error:
        raise tarfile.ReadError(f"a header cannot be read: {error}") from None


def _read(stream: "_Metered", damaged: bool) -> Content:
    files: list[FileEntry] = []
    whole: dict[str, bytes] = {}
    room = LOG
    with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|", bufsize=tarfile.BLOCKSIZE, tarinfo=_Header) as tar:
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
                        raise Unfit(TOO_LONG if logged else f"{path} is larger than it can be")
            if logged:
                room -= len(head)
            if wanted:
                whole[path] = bytes(head)
            files.append(FileEntry(path, size, digest.hexdigest()))
    if stream.last != END:
        raise tarfile.ReadError("its end is missing")
    while block := stream.read(BLOCK):  # read to the end of the frame, to notice a missing tail
        if block.count(0) < len(block):
            raise Unfit("something follows its end")
    segments = [whole[path] for path in sorted(whole) if path.startswith(WAL)]
    if not {CERTIFICATE, CA, KEY} <= whole.keys() or not (segments or damaged):
        raise Unfit("certificates or raft log are missing")
    return Content(tuple(files), whole[CERTIFICATE], whole[KEY], whole[CA], _position(segments, damaged))


def _position(segments: list[bytes], damaged: bool) -> Position:
    """Where the log ends. Raises: Unfit when that cannot be read, and the log is not ``damaged``."""
    try:
        return position(segments)
    except ValueError as error:
        if damaged:
            return UNREADABLE
        raise Unfit(f"its raft log: {error}") from None


class _Header(tarfile.TarInfo):
    """A header whose name is the same for every program.

    `tarfile` puts the prefix of a header before the name, whatever the format. tar does so only for POSIX archives.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Header":
        header = super().frombuf(buf, encoding, errors)
        if header.type != tarfile.GNUTYPE_SPARSE and any(buf[PREFIX]):
            raise Unfit(f"the header of {header.name[:100]!r} has a prefix")
        return header


class _Metered:
    """The stream of an archive. It reads at most `BESIDE` bytes outside the content of files.

    So neither countless empty files nor an endless header can fill the memory.
    """

    def __init__(self, plain: IO[bytes]) -> None:
        self._plain = plain
        self._beside = 0
        self.in_content = False
        self.last = b""
        """The bytes of the last read."""

    def read(self, size: int) -> bytes:
        """Return the next bytes. Raises: Unfit; the stream's own errors."""
        self.last = self._plain.read(size)
        if not self.in_content:
            self._beside += len(self.last)
            if self._beside > BESIDE:
                raise Unfit(f"more than {BESIDE} bytes of it are no file's content")
        return self.last


def _files(tar: tarfile.TarFile, stream: _Metered) -> Iterator[tuple[str, Iterator[bytes]]]:
    total = 0
    names: set[str] = set()
    for member in tar:
        if not _belongs(member) or tar.pax_headers:
            raise Unfit(f"{member.name[:100]!r} does not belong in a swarm directory")
        if member.name in names:
            raise Unfit(f"{member.name!r} is in it twice")
        names.add(member.name)
        total += member.size
        if member.size < 0 or total > LARGEST:
            raise Unfit(f"it unpacks to more than {LARGEST} bytes")
        if not member.isdir() and (content := tar.extractfile(member)) is not None:
            stream.in_content = True
            yield member.name, iter(partial(content.read, BLOCK), b"")
            stream.in_content = False


def _belongs(member: tarfile.TarInfo) -> bool:
    """Whether a member is a plain file or folder below ``swarm/``, with a name that all programs read alike."""
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
