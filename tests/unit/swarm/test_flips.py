"""A bit that is flipped anywhere in a log is seen as etcd's own reader sees it.

`flips.json` has, by the release of the engine that wrote the log, what the reader of its etcd does about a flipped bit (a byte and
the bit in it): `fine`, `mended` (it cuts the log there by itself) or `refused`. It was recorded with etcd 3.3.25 for engine 20.10
and etcd 3.5.16 for engine 28.
"""

import json
from pathlib import Path

import pytest

from recovery.swarm.wal import Reading, read

HERE = Path(__file__).parent
FLIPS: dict[str, dict[str, list[tuple[int, int]]]] = json.loads((HERE / "flips.json").read_text())
ZEROS = bytes(4096)


def seen(engine: str, at: int, bit: int) -> Reading:
    log = bytearray((HERE / f"engine-{engine}.wal").read_bytes() + ZEROS)
    log[at] ^= 1 << bit
    return read([bytes(log)])


@pytest.mark.parametrize("engine", FLIPS)
def test_what_the_engine_refuses_or_cuts_is_a_fault(engine: str) -> None:
    harmful = FLIPS[engine]["refused"] + FLIPS[engine]["mended"]
    assert not [flip for flip in harmful if not seen(engine, *flip).fault]


@pytest.mark.parametrize("engine", FLIPS)
def test_the_engine_is_said_to_mend_only_what_it_mends(engine: str) -> None:
    """But for a frame that runs out of the file, where engines differ (`recovery.survey.damage`)."""
    said = (seen(engine, *flip) for flip in FLIPS[engine]["refused"])
    assert not [one for one in said if one.mends and not one.runs_out]


@pytest.mark.parametrize("engine", FLIPS)
def test_what_the_engine_reads_is_no_fault(engine: str) -> None:
    """But for a record that says another kind than it has, which etcd takes at its word."""
    faults = {seen(engine, *flip).fault for flip in FLIPS[engine]["fine"]}
    assert faults <= {"", "a record that cannot be read"}
