"""A raft log that an engine cannot use: what is wrong with it, and a repaired one in a copy of its directory.

The checksums tell how much of a log is good, and they need no key: swarmkit encrypts the content of an entry, and the
checksum is of what is written. The log in the engine's own directory is only read.
"""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from os import SEEK_END
from pathlib import Path
from typing import Any

from recovery.onnode import archive
from recovery.swarm.crc32c import crc32c
from recovery.swarm.protobuf import fields
from recovery.swarm.wal import Reading, joined, position, read

SNAPSHOTS = "swarm/raft/snap-v3-encrypted"
TERM, INDEX = slice(16), slice(17, 33)
"""Of a file's name, in hexadecimal. The index: of a segment the first entry, of a snapshot the last (etcd: walName; swarmkit: the
same). The term: of a snapshot."""
LOST_SNAPSHOT = "its snapshot is lost or damaged, and the log does not begin at the first entry"


def examine(root: str) -> dict[str, Any]:
    """What is wrong with the log below ``root``. Raises: OSError."""
    log = _read(Path(root))
    return {"fault": _fault(log), "mends": log.mends, "runs_out": log.runs_out}


def cut(root: Path) -> str:
    """Cut the log below ``root`` behind its last good frame, and join it to its snapshot; what was wrong with it.

    A snapshot is committed as a whole, so a log that is cut before the record of it goes on behind it.

    Raises: Unfit when nothing of it can be used; OSError.
    """
    log, segments = _read(root), _segments(root)
    index, term = max(_snapshots(root), default=(0, 0))
    fault = _fault(log)
    if not log.end.owned or not (log.end.index or index):
        raise archive.Unfit(f"nothing of its raft log can be used: {fault}")
    if not fault:
        return ""
    kept = [(path, good) for path, good in zip(segments, log.good, strict=True) if good]
    for path in segments[len(kept) :]:
        path.unlink()
    for path, good in kept:
        last = path == kept[-1][0]
        _end(path, good, joined(log.end, index, term) if last else b"")
    return fault


def _fault(log: Reading) -> str:
    return log.fault or ("" if log.position else "it holds no entry")


def _end(path: Path, good: int, frames: bytes) -> None:
    """Let a segment end with these frames, behind its good bytes; zeros fill it up to its size."""
    with path.open("r+b") as file:
        size = file.seek(0, SEEK_END)
        file.truncate(good)
        file.seek(good)
        file.write(frames)
        file.truncate(max(size, good + len(frames)))


def claimed(root: Path) -> int:
    """The highest entry that the log shows when nobody looks at its checksums; 0 if none."""
    with suppress(ValueError):
        return position(path.read_bytes() for path in _segments(root)).index
    return 0


def remade(root: str, tree: Path) -> dict[str, Any]:
    """Copy the swarm directory below ``root`` to below ``tree``, and cut the log there. Raises: as `cut`."""
    shutil.copytree(Path(root, "swarm"), tree / "swarm", ignore=shutil.ignore_patterns("*.tmp"))
    shown = claimed(tree)
    return {"cut": cut(tree), "claimed": shown}


def _read(root: Path) -> Reading:
    segments = _segments(root)
    index, _ = max(_snapshots(root), default=(0, 0))
    start = _start(segments, index)
    if start is None:
        return Reading((0,) * len(segments), None, LOST_SNAPSHOT if segments else "there is none")
    found = read([path.read_bytes() for path in segments[start:]], index)
    if found.gap:
        return Reading((0,) * len(segments), None, LOST_SNAPSHOT)
    skipped = tuple(path.stat().st_size for path in segments[:start])
    return replace(found, good=skipped + found.good)


def _segments(root: Path) -> list[Path]:
    return sorted((root / archive.WAL).glob("*.wal"))


def _start(segments: list[Path], index: int) -> int | None:
    """The first segment that an engine reads: the last one that begins up to its snapshot. None if that one is gone."""
    begun = [number for number, path in enumerate(segments) if int(path.name[INDEX], 16) <= index]
    return max(begun, default=None)


def _snapshots(root: Path) -> Iterator[tuple[int, int]]:
    """Index and term of the last entry of each snapshot whose checksum is right (etcd, server/etcdserver/api/snap: Read)."""
    for path in (root / SNAPSHOTS).glob("*.snap"):
        with suppress(ValueError):
            values = dict(fields(path.read_bytes()))
            data = values.get(2, b"")
            if isinstance(data, bytes) and data and crc32c(data) == values.get(1):
                yield int(path.name[INDEX], 16), int(path.name[TERM], 16)
