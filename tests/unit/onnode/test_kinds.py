"""Every kind of damage that the lab does to a manager, done to logs that engines wrote: what is found, and what a cut keeps."""

import subprocess
import sys
from pathlib import Path

import pytest

from lab import damage
from recovery.onnode import repair
from recovery.onnode.archive import WAL
from recovery.swarm.wal import Position, read
from tests.unit.onnode.test_repair import place, snapshot

RECORDED = Path(__file__).parents[1] / "swarm"
ENGINES = ("20", "26", "28")
WRONG, PAST = "a wrong checksum", "a length that runs past the end of the file"
LAST = frozenset({damage.FLIPPED_LATE, damage.TORN, damage.TOO_LONG, damage.TRUNCATED})
"""What strikes only the last frame, which may hold an entry or where the log is committed."""
FOUND = {
    damage.FLIPPED_EARLY: (WRONG, False),
    damage.FLIPPED_MIDDLE: (WRONG, False),
    damage.FLIPPED_LATE: (WRONG, False),
    damage.TORN: (WRONG, False),
    damage.TOO_LONG: (PAST, True),
    damage.TRUNCATED: (PAST, True),
    damage.EMPTIED: ("it holds no entry", False),
    damage.NO_SNAPSHOT: ("", False),
}
"""What is found, and whether an engine mends it by itself."""


@pytest.fixture(params=ENGINES)
def root(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A swarm directory with a log that an engine wrote, and a snapshot."""
    made = place(tmp_path, (RECORDED / f"engine-{request.param}.wal").read_bytes())
    snapshot(made, 5)
    return made


def harm(root: Path, kind: str) -> None:
    argv = [sys.executable, "-c", damage.HARM, kind, str(root / WAL).removesuffix("wal-v3-encrypted")]
    subprocess.run(argv, check=True)


def end(root: Path) -> Position:
    (log,) = (root / WAL).glob("*.wal")
    found = read([log.read_bytes()])
    assert (found.fault, bool(found.position)) == ("", True)
    assert found.position
    return found.position


@pytest.mark.parametrize("kind", FOUND)
def test_what_is_wrong_is_found_and_a_cut_keeps_what_comes_before_it(root: Path, kind: str) -> None:
    before = end(root)
    harm(root, kind)
    fault, mends = FOUND[kind]
    found = repair.examine(str(root))
    if kind == damage.TORN:  # half of a record may not even be read
        assert found["fault"] in (WRONG, "a record that cannot be read")
    else:
        assert found == {"fault": fault, "mends": mends, "runs_out": fault == PAST}
    if kind == damage.EMPTIED:
        return
    repair.cut(root)
    after = end(root)
    if kind in LAST:
        assert before.index - 1 <= after.index <= before.index
    elif kind == damage.NO_SNAPSHOT:
        assert after == before
    else:
        share = {damage.FLIPPED_EARLY: 4, damage.FLIPPED_MIDDLE: 2}[kind]
        assert 0 < after.index < before.index
        assert abs(after.index - before.index // share) <= before.index // 4


def test_a_log_that_a_manager_joined_with_is_lost_with_its_snapshot(tmp_path: Path) -> None:
    """Its first segment does not begin at the first entry."""
    root = place(tmp_path, (RECORDED / "engine-28.wal").read_bytes(), first=9000)
    snapshot(root, 9000)
    harm(root, damage.NO_SNAPSHOT)
    assert repair.examine(str(root))["fault"] == repair.LOST_SNAPSHOT
