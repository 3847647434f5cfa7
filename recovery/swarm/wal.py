"""Reads the position at which a manager's raft log ends from its write-ahead log, without the key.

swarmkit encrypts the content of an entry (manager/state/raft/storage/walwrap.go), but not its term and index. The file
format is etcd's (server/storage/wal: encoder.go, walpb/record.proto). A frame has an 8-byte little-endian length, whose
top byte gives the padding, and a protobuf record {1: type, 2: CRC, 3: data}. Zeros fill the preallocated rest.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from recovery.swarm.protobuf import fields

ENTRY, STATE, SNAPSHOT = 2, 3, 5
"""Record types: an entry {2: term, 3: index}, the hard state {1: term, 3: commit}, a snapshot {1: index, 2: term}."""
LENGTH = 8
LENGTH_MASK = (1 << 56) - 1


@dataclass(frozen=True)
class Position:
    """The end of a log: the term and the index of the last entry.

    ``commit`` is the highest index known to be committed. A forced new cluster drops later entries.
    """

    term: int
    index: int
    commit: int


def position(segments: Iterable[bytes]) -> Position:
    """Return the position at the end of the segments. ``segments`` are ordered, oldest first.

    Raises: ValueError if the segments hold no entry, or a record that cannot be read.
    """
    term = index = commit = 0
    for segment in segments:
        for kind, data in _records(segment):
            values = dict(fields(data)) if kind in (ENTRY, STATE, SNAPSHOT) else {}
            if kind == ENTRY:
                term, index = _number(values, 2), _number(values, 3)
            elif kind == STATE:
                commit = _number(values, 3)
            elif kind == SNAPSHOT and _number(values, 1) > index:
                index, term = _number(values, 1), _number(values, 2)
    if not index:
        raise ValueError("the log holds no entry")
    return Position(term, index, commit)


def _records(segment: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + LENGTH <= len(segment):
        header = int.from_bytes(segment[at : at + LENGTH], "little")
        length = header & LENGTH_MASK
        if length == 0:
            return
        padding = (header >> 56) & 0x7 if header >> 63 else 0
        start, at = at + LENGTH, at + LENGTH + length + padding
        if at > len(segment):
            return  # the engine was still writing the last frame
        values = dict(fields(segment[start : start + length]))
        data = values.get(3, b"")
        yield _number(values, 1), data if isinstance(data, bytes) else b""


def _number(values: dict[int, int | bytes], field: int) -> int:
    value = values.get(field, 0)
    return value if isinstance(value, int) else 0
