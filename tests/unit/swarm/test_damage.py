"""How much of a damaged log is good: every kind of damage, on a log with real checksums."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recovery.swarm.crc32c import crc32c
from recovery.swarm.wal import CRC, ENTRY, METADATA, SNAPSHOT, STATE, Position, read
from tests.unit.swarm.test_wal import message

ZEROS = bytes(4096)
REAL = Path(__file__).parent / "engine-28.wal"
"""The beginning of a log that engine 28.5 wrote: 41 records, up to entry 19."""


class Log:
    """Writes segments as etcd does: the checksum runs on."""

    def __init__(self) -> None:
        self.crc, self.segments = 0, list[bytes]()
        self.ends: list[tuple[int, Position]] = []
        """The end of each frame of the last segment, and the position there."""
        self._term = self._index = self._commit = 0

    def segment(self) -> None:
        self.segments.append(b"")
        self.ends = []
        self._write(CRC, b"", self.crc)
        self.write(METADATA, b"raft ID")

    def write(self, kind: int, data: bytes) -> None:
        self.crc = crc32c(data, self.crc)
        self._write(kind, data, self.crc)

    def entry(self, term: int, index: int, size: int = 60) -> None:
        self._term, self._index = term, index
        self.write(ENTRY, message((1, 0), (2, term), (3, index), (4, bytes(range(1, 61)) * (size // 60))))
        self._commit = index - 1
        self.write(STATE, message((1, term), (2, 7), (3, index - 1)))

    def _write(self, kind: int, data: bytes, crc: int) -> None:
        record = message((1, kind), (2, crc), (3, data))
        padding = -len(record) % 8
        header = len(record) | ((0x80 | padding) << 56 if padding else 0)
        self.segments[-1] += header.to_bytes(8, "little") + record + bytes(padding)
        commit = self._commit if kind != ENTRY else max(self._index - 2, 0)
        self.ends.append((len(self.segments[-1]), Position(self._term, self._index, commit)))


def log(entries: int = 5, *, segments: int = 1, size: int = 60) -> Log:
    made = Log()
    for number in range(segments):
        made.segment()
        for index in range(1, entries + 1):
            made.entry(2, number * entries + index, size)
    return made


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :]


def test_a_whole_log_is_good_to_its_end() -> None:
    made = log()
    found = read([made.segments[0] + ZEROS])
    assert (found.fault, found.mends) == ("", False)
    assert (found.good, found.position) == ((len(made.segments[0]),), Position(2, 5, 4))


def test_the_checksum_runs_on_over_segments() -> None:
    made = log(segments=3)
    found = read([segment + ZEROS for segment in made.segments])
    assert (found.fault, found.position) == ("", Position(2, 15, 14))


@pytest.mark.parametrize(
    ("entry", "position"),
    [(2, Position(2, 1, 0)), (3, Position(2, 2, 1)), (5, Position(2, 4, 3))],
    ids=["early", "middle", "last"],
)
def test_a_flipped_byte_ends_what_is_good_before_its_entry(entry: int, position: Position) -> None:
    made = log()
    before = made.ends[2 * entry - 1][0]
    found = read([flipped(made.segments[0], before + 40) + ZEROS])
    assert found.good == (before,)
    assert found.position == position
    assert (found.fault, found.mends) == ("a wrong checksum", False)


@given(st.integers(0, 10_000), st.integers(0, 7))
@example(4423, 1)  # of the padding in a length, which no checksum covers: the frame itself is whole
def test_whatever_bit_is_flipped_nothing_behind_it_counts(at: int, bit: int) -> None:
    made = log()
    segment = made.segments[0]
    at %= len(segment)
    harmed = segment[:at] + bytes([segment[at] ^ 1 << bit]) + segment[at + 1 :]
    found = read([harmed + ZEROS])
    assert found.position in {None, *(position for _, position in made.ends)}
    if found.fault and found.position:
        struck = next(end for end, _ in made.ends if end > at)
        assert found.good[0] <= struck + 7, "the frame that is struck may seem to have more padding"


def test_a_last_frame_that_is_torn_in_half_is_cut_off() -> None:
    made = log()
    segment, (before, position) = made.segments[0], made.ends[-2]
    half = (before + len(segment)) // 2
    found = read([segment[:half] + bytes(len(segment) - half) + ZEROS])
    assert found.fault
    assert (found.good, found.position) == ((before,), position)


def test_a_sector_that_was_not_written_is_mended_by_the_engine_itself() -> None:
    made = log(size=3000)
    segment, (before, _) = made.segments[0], made.ends[-3]
    found = read([segment[: before + 600] + bytes(len(segment) - before - 600) + ZEROS])
    assert (found.good, found.mends) == ((before,), True)


def test_so_is_a_frame_of_which_nothing_but_its_length_was_written() -> None:
    """As a disk that fills up leaves it."""
    made = log()
    segment, (before, position) = made.segments[0], made.ends[-3]
    found = read([segment[: before + 8] + bytes(len(segment) - before - 8) + ZEROS])
    assert (found.good, found.position, found.mends) == ((before,), position, True)


def test_so_is_a_length_that_runs_out_of_the_file() -> None:
    made = log()
    segment, (before, position) = made.segments[0], made.ends[-3]
    longer = segment[:before] + (1 << 40).to_bytes(8, "little") + segment[before + 8 :]
    found = read([longer])
    assert (found.good, found.position, found.mends) == ((before,), position, True)
    assert found.fault == "a length that runs past the end of the file"


def test_a_truncated_segment_ends_the_log_and_what_comes_after_it_is_not_good() -> None:
    made = log(segments=3)
    first, second, third = made.segments
    found = read([first + ZEROS, second[: len(second) // 2], third + ZEROS])
    assert found.good[0] == len(first)
    assert 0 < found.good[1] < len(second)
    assert found.good[2] == 0
    assert not found.mends, "an engine mends only its last segment"
    assert found.position
    assert 5 < found.position.index < 10


def test_a_segment_that_is_missing_ends_the_log_too() -> None:
    made = log(segments=3)
    found = read([made.segments[0] + ZEROS, made.segments[2] + ZEROS])
    assert (found.good, found.position) == ((len(made.segments[0]), 0), Position(2, 5, 4))
    assert found.fault == "a segment that does not go on from the one before"


@pytest.mark.parametrize("content", [b"", ZEROS, b"\xff" * 100], ids=["empty", "zeros", "garbage"])
def test_a_log_without_its_head_gives_nothing_back(content: bytes) -> None:
    assert read([content]).position is None


def test_a_log_that_does_not_say_whose_it_is_gives_nothing_back() -> None:
    """Its engine does not even start: it panics, "cannot use none as id"."""
    made = Log()
    made.segments.append(b"")
    made.entry(2, 1)
    assert read(made.segments).position is None


def test_a_log_that_goes_on_from_a_snapshot_has_a_gap_without_it() -> None:
    """As one of a manager that joined: its first entry is behind the snapshot that the leader sent."""
    made = Log()
    made.segment()
    made.write(SNAPSHOT, message((1, 30), (2, 2)))
    for index in (31, 32, 32, 33):  # a new leader writes an entry anew
        made.entry(2, index)
    segments = [made.segments[0] + ZEROS]
    assert read(segments).gap
    assert read(segments, 29).gap
    assert [read(segments, after).gap for after in (30, 31, 40)] == [False] * 3
    assert not read(segments, 30).fault


def test_the_checksum_is_castagnolis() -> None:
    assert crc32c(b"123456789") == 0xE3069283, "RFC 3720, appendix B.4"
    assert crc32c(b"6789", crc32c(b"12345")) == crc32c(b"123456789")


def test_a_real_log_is_whole_and_a_flipped_byte_in_it_is_found() -> None:
    whole = REAL.read_bytes()
    assert read([whole + ZEROS]).position == Position(2, 19, 19)
    found = read([flipped(whole, 6000) + ZEROS])
    assert found.fault == "a wrong checksum"
    assert found.position
    assert 1 < found.position.index < 19
