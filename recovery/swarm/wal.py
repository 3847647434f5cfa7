"""Reads the position at which a manager's raft log ends from its write-ahead log, without the key.

swarmkit encrypts the content of an entry (manager/state/raft/storage/walwrap.go), but not its term and index. The file
format is etcd's (server/storage/wal: encoder.go, walpb/record.proto). A frame has an 8-byte little-endian length, whose
top byte gives the padding, and a protobuf record {1: type, 2: CRC, 3: data}. Zeros fill the preallocated rest.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from recovery.swarm.crc32c import crc32c
from recovery.swarm.protobuf import encode, fields

METADATA, ENTRY, STATE, CRC, SNAPSHOT = 1, 2, 3, 4, 5
"""Record types: whose log it is, an entry {2: term, 3: index}, the hard state {1: term, 2: vote, 3: commit}, the checksum that a
segment continues from, a snapshot {1: index, 2: term}."""
KINDS = frozenset({METADATA, ENTRY, STATE, CRC, SNAPSHOT})
ENTRY_TYPES = frozenset({0, 1})
"""A change of the swarm, and a change of its managers (etcd, raftpb: EntryType). swarmkit writes no other."""
LENGTH = 8
SECTOR = 512
"""The least that a disk writes at once (etcd, server/storage/wal/decoder.go: minSectorSize)."""
LENGTH_MASK = (1 << 56) - 1
CRC_MASK = (1 << 32) - 1
"""An engine drops what a damaged number has beyond the bits of a checksum (etcd, server/storage/wal/walpb: Unmarshal)."""


@dataclass(frozen=True)
class Position:
    """The end of a log: the term and the index of the last entry.

    ``commit`` is the highest index known to be committed. A forced new cluster drops later entries.
    """

    term: int
    index: int
    commit: int

    @property
    def committed(self) -> tuple[int, int]:
        """How far the log is known to be committed. Within one history of a swarm, this only grows."""
        return self.term, self.commit


@dataclass(frozen=True)
class End:
    """What the last good record of a log leaves: how the next one begins, and what an engine knows so far."""

    owned: bool = False
    """Whether the log says whose it is. No engine takes one that does not."""
    crc: int = 0
    """The running checksum."""
    index: int = 0
    """Of the last entry, or of a snapshot behind it."""
    snapshots: frozenset[tuple[int, int]] = frozenset()
    """Index and term of each snapshot that the log names."""
    term: int = 0
    vote: int = 0
    commit: int = 0


@dataclass(frozen=True)
class Reading:
    """How much of a log is good, by its checksums."""

    good: tuple[int, ...]
    """The good bytes of each segment."""
    position: Position | None
    """Where the good part ends. None if that holds no entry, or does not say whose log it is."""
    fault: str = ""
    """What ends the good part; empty if the log is whole."""
    mends: bool = False
    """Whether an engine mends that by itself when it starts: the last write was cut off."""
    runs_out: bool = False
    """Whether it is a frame that runs out of the last file. Only newer engines mend that (`recovery.survey.damage`)."""
    gap: bool = False
    """Whether an entry is not next to those before it. Then the snapshot is lost that the log goes on from."""
    end: End = End()
    """How the good part ends."""


def position(segments: Iterable[bytes]) -> Position:
    """Return the position at the end of the segments. ``segments`` are ordered, oldest first.

    Raises: ValueError if the segments hold no entry, or a record that cannot be read.
    """
    end = _End()
    for segment in segments:
        for kind, _, data, _ in _frames(segment):
            end.follow(kind, data)
    if not end.index:
        raise ValueError("the log holds no entry")
    return end.position


def read(segments: Sequence[bytes], after: int = 0) -> Reading:
    """Check a log frame by frame, oldest segment first, until the first frame that cannot be right.

    ``after`` is the index of the last entry in the snapshot that an engine reads first. It puts the entries behind that one next to
    each other (etcd, server/storage/wal: ReadAll), and refuses a log with a gap, or breaks down over it.
    The checksum runs on over the content of all records of a log (etcd, server/storage/wal: decodeRecord).
    """
    good, end, crc, fault, mends, runs_out = [0] * len(segments), _End(after), 0, "", False, False
    for number, segment in enumerate(segments):
        last = number == len(segments) - 1
        try:
            for kind, expected, data, past in _frames(segment, strict=True):
                checksum = _next_checksum(crc, kind, expected, data)
                end.follow(kind, data)
                good[number], crc = past, checksum
        except _Fault as error:
            fault, runs_out = str(error), last and error.cut_off
        except ValueError:
            fault = "a record that cannot be read"
        if fault:
            mends = runs_out or (last and _is_torn(segment, good[number]))
            break
    usable = end.index and end.owned
    return Reading(tuple(good), end.position if usable else None, fault, mends, runs_out, end.gap, end.frozen(crc))


def joined(end: End, index: int, term: int) -> bytes:
    """The frames that let an engine start from its snapshot with a log that ends there, behind the log's last good frame.

    ``index`` and ``term`` are of the snapshot's last entry. An engine that finds no record of its snapshot does not start, and raft
    breaks down if the hard state does not have the snapshot committed (etcd, server/storage/wal: ReadAll; raft: loadState).
    Empty if the log has both.
    """
    written, crc = b"", end.crc
    if (index, term) not in end.snapshots:
        frame, crc = _frame(SNAPSHOT, encode(1, index) + encode(2, term), crc)
        written += frame
    if end.commit < index:
        state = encode(1, max(end.term, term)) + encode(2, end.vote if end.term >= term else 0) + encode(3, index)
        frame, crc = _frame(STATE, state, crc)
        written += frame
    return written


class _Fault(ValueError):
    """A frame that cannot be right."""

    def __init__(self, why: str, *, cut_off: bool = False) -> None:
        super().__init__(why)
        self.cut_off = cut_off


class _End:
    """Where a log ends, as far as its records were followed."""

    def __init__(self, after: int = 0) -> None:
        self._after, self._next = after, after + 1
        self.gap = False
        self.term = self.index = self.commit = 0
        self.state_term = self.vote = 0
        self.snapshots: set[tuple[int, int]] = set()
        self.owner = b""

    def follow(self, kind: int, data: bytes) -> None:
        """Take the next record. Raises: ValueError when it cannot be read: the checksum does not cover a record's kind."""
        if kind not in KINDS:
            raise ValueError(f"a record of kind {kind}")
        values = dict(fields(data)) if kind in (ENTRY, STATE, SNAPSHOT) else {}
        if kind == ENTRY:
            if _number(values, 1) not in ENTRY_TYPES:
                raise ValueError("an entry of no known type")
            self.term, self.index = _number(values, 2), _number(values, 3)
            self.gap = self.gap or self.index > self._next
            self._next = self.index + 1 if self.index > self._after else self._next
        elif kind == STATE:
            if 4 in values:
                raise ValueError("a hard state with content")
            self.state_term, self.vote, self.commit = (_number(values, field) for field in (1, 2, 3))
        elif kind == SNAPSHOT:
            self.snapshots.add((_number(values, 1), _number(values, 2)))
            if _number(values, 1) > self.index:
                self.index, self.term = _number(values, 1), _number(values, 2)
        elif kind == METADATA:
            if self.owner not in (b"", data):
                raise ValueError("a log that says that it is another's")
            self.owner = data

    @property
    def owned(self) -> bool:
        return bool(self.owner)

    @property
    def position(self) -> Position:
        return Position(self.term, self.index, self.commit)

    def frozen(self, crc: int) -> End:
        snapshots = frozenset(self.snapshots)
        return End(self.owned, crc, self.index, snapshots, self.state_term, self.vote, self.commit)


def _frame(kind: int, data: bytes, crc: int) -> tuple[bytes, int]:
    """A record as etcd writes it behind the checksum ``crc``, and the checksum behind it (server/storage/wal: encoder.go)."""
    crc = crc32c(data, crc)
    record = encode(1, kind) + encode(2, crc) + encode(3, data)
    padding = -len(record) % 8
    header = len(record) | ((0x80 | padding) << 56 if padding else 0)
    return header.to_bytes(LENGTH, "little") + record + bytes(padding), crc


def _next_checksum(crc: int, kind: int, expected: int, data: bytes) -> int:
    """The running checksum after a record. Raises: _Fault if the record has another one."""
    if kind == CRC:
        if crc and crc != expected:
            raise _Fault("a segment that does not go on from the one before")
        return expected
    crc = crc32c(data, crc)
    if crc != expected:
        raise _Fault("a wrong checksum")
    return crc


def _is_torn(segment: bytes, at: int) -> bool:
    """Whether a whole sector of the frame is still empty (etcd, server/storage/wal/decoder.go: isTornEntry)."""
    length, padding = _header(segment, at)
    start, end = at + LENGTH, at + LENGTH + length + padding
    if start == end:
        return False
    edges = [start, *range((start // SECTOR + 1) * SECTOR, end, SECTOR), end]
    return any(not any(segment[low:high]) for low, high in pairwise(edges))


def _header(segment: bytes, at: int) -> tuple[int, int]:
    """The length of a frame's record, and of its padding."""
    header = int.from_bytes(segment[at : at + LENGTH], "little")
    return header & LENGTH_MASK, (header >> 56) & 0x7 if header >> 63 else 0


def _frames(segment: bytes, *, strict: bool = False) -> Iterator[tuple[int, int, bytes, int]]:
    """Kind, checksum and content of each record, and where its frame ends.

    Raises: ValueError when a record cannot be read; if ``strict``, _Fault for a frame that is cut off.
    """
    at = 0
    while at + LENGTH <= len(segment):
        if not any(segment[at : at + LENGTH]):
            return
        length, padding = _header(segment, at)
        start, at = at + LENGTH, at + LENGTH + length + padding
        if at > len(segment):
            if strict:
                raise _Fault("a length that runs past the end of the file", cut_off=True)
            return  # the engine was still writing the last frame
        values = dict(fields(segment[start : start + length]))
        data = values.get(3, b"")
        if not isinstance(data, bytes):
            raise ValueError("a record without content")
        yield _number(values, 1), _number(values, 2) & CRC_MASK, data, at


def _number(values: dict[int, int | bytes], field: int) -> int:
    """The number of a field; 0 if the field is not there. Raises: ValueError if it holds something else."""
    value = values.get(field, 0)
    if not isinstance(value, int):
        raise ValueError(f"field {field} is no number")
    return value
