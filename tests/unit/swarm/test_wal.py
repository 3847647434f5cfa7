"""The position of a log; checked against real logs in tests/lab/test_quorum_lost.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.swarm.wal import ENTRY, SNAPSHOT, STATE, Position, position


def varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def message(*fields: tuple[int, int | bytes]) -> bytes:
    return b"".join(
        varint(number << 3) + varint(value)
        if isinstance(value, int)
        else varint(number << 3 | 2) + varint(len(value)) + value
        for number, value in fields
    )


def frame(kind: int, data: bytes) -> bytes:
    record = message((1, kind), (2, 0xDEADBEEF), (3, data))
    padding = -len(record) % 8
    header = len(record) | ((0x80 | padding) << 56 if padding else 0)
    return header.to_bytes(8, "little") + record + bytes(padding)


def entry(term: int, index: int) -> bytes:
    return frame(ENTRY, message((1, 0), (2, term), (3, index), (4, b"secret" * 3)))


def state(term: int, commit: int) -> bytes:
    return frame(STATE, message((1, term), (2, 7), (3, commit)))


METADATA, CRC = frame(1, b"node"), frame(4, b"")
ZEROS = bytes(4096)


def test_the_last_entry_and_the_last_commit_count() -> None:
    log = (
        CRC
        + METADATA
        + frame(SNAPSHOT, b"")
        + entry(2, 1)
        + entry(2, 2)
        + state(2, 1)
        + entry(2, 3)
        + state(2, 2)
        + ZEROS
    )
    assert position([log]) == Position(term=2, index=3, commit=2)


def test_a_rewritten_tail_replaces_what_it_overwrote() -> None:
    assert position([entry(2, 7) + entry(2, 8) + entry(3, 7) + state(3, 7)]) == Position(3, 7, 7)


def test_a_candidate_that_nobody_elected_leaves_the_last_term_as_it_was() -> None:
    assert position([entry(2, 7) + state(2, 6) + state(9, 6)]) == Position(2, 7, 6)


def test_segments_go_on_from_each_other() -> None:
    assert position([entry(2, 5) + state(2, 5), CRC + entry(2, 6) + ZEROS]) == Position(2, 6, 5)


def test_a_log_that_begins_at_a_snapshot_is_at_least_there() -> None:
    assert position([frame(SNAPSHOT, message((1, 900), (2, 4))) + state(4, 900)]) == Position(4, 900, 900)


@given(st.integers(0, 400))
def test_a_frame_that_was_being_written_is_not_counted(kept: int) -> None:
    whole = entry(2, 1) + state(2, 1)
    found = position([whole + entry(2, 2)[: min(kept, len(entry(2, 2)) - 1)]])
    assert found == Position(2, 1, 1)


def test_an_empty_log_has_no_position() -> None:
    with pytest.raises(ValueError, match="no entry"):
        position([ZEROS])
