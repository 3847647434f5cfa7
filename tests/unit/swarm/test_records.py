"""Records that somebody else wrote: each field has its type, or the record is none."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import pytest
from hypothesis import given

from recovery.swarm.records import MOST, Unfit, read
from tests.adversary.hostile import BYTES


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Record:
    name: str
    at: datetime
    colour: Colour
    size: int = 0
    seconds: float | None = None
    labels: Mapping[str, tuple[str, ...]] | None = None
    pair: tuple[int, str] | None = None


GOOD = '{"name": "a", "at": "2026-01-02T03:04:05+02:00", "colour": "red"%s}'


def test_a_record_has_the_declared_types() -> None:
    found = read(Record, GOOD % ', "size": 3, "seconds": 2, "labels": {"a": ["b"]}, "pair": [1, "x"]')
    at = datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)
    assert found == Record("a", at, Colour.RED, 3, 2, {"a": ("b",)}, (1, "x"))


@pytest.mark.parametrize(
    "more",
    [
        ', "size": "3"',
        ', "size": -1',
        ', "size": true',
        ', "size": 9223372036854775808',
        ', "seconds": NaN',
        ', "seconds": Infinity',
        ', "labels": {"a": "b"}',
        ', "labels": []',
        ', "pair": [1]',
        ', "pair": [1, "x", 2]',
        ', "other": 1',
        ', "name": 7',
        ', "name": "\\ud800"',
        ', "at": "2026-01-02T03:04:05"',
        ', "at": 7',
        ', "colour": "blue"',
        " ",
        "]",
    ],
)
def test_anything_else_is_unfit(more: str) -> None:
    text = GOOD % more if more.strip() else " " * (MOST + 1)
    with pytest.raises(Unfit):
        read(Record, text)


@given(BYTES)
def test_no_bytes_end_otherwise(text: bytes) -> None:
    with pytest.raises(Unfit):
        read(Record, text)
