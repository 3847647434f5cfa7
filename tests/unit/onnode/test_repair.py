"""The program on a node that reads a damaged log, and makes a repaired one in a copy of its directory."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from recovery.onnode import copying, repair
from recovery.onnode.archive import KEY, UNREADABLE, WAL, Unfit
from recovery.swarm.crc32c import crc32c
from recovery.swarm.wal import SNAPSHOT, Position, position, read
from tests.unit.copies.test_snapshot import CONTENT
from tests.unit.swarm.test_damage import REAL, Log, flipped, log
from tests.unit.swarm.test_wal import message

PREALLOCATED = bytes(100_000)


def place(root: Path, *segments: bytes, first: int = 0, each: int = 5) -> Path:
    """A swarm directory with these segments, each of which begins so many entries after the one before."""
    for name, content in CONTENT.items():
        if not name.endswith(".wal"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
    (root / WAL).mkdir(parents=True, exist_ok=True)
    for number, segment in enumerate(segments):
        index = first + number * each + (1 if number or first else 0)
        (root / WAL / f"{number:016x}-{index:016x}.wal").write_bytes(segment + PREALLOCATED)
    (root / WAL / "0.tmp").write_bytes(PREALLOCATED)
    return root


def snapshot(root: Path, index: int, *, whole: bool = True) -> None:
    """As swarmkit writes one: a checksum, and what it is of."""
    data = b"encrypted" * 20
    folder = root / repair.SNAPSHOTS
    folder.mkdir(parents=True, exist_ok=True)
    content = message((1, crc32c(data)), (2, data))
    (folder / f"{2:016x}-{index:016x}.snap").write_bytes(content if whole else content[:-3])


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(copying, "FOLDER", tmp_path / "copies")
    return tmp_path / "copies"


def harmed(made: Log, entry: int) -> bytes:
    """The log's last segment with a flipped byte in that entry."""
    return flipped(made.segments[-1], made.ends[2 * entry - 1][0] + 40)


def test_a_whole_log_is_not_at_fault(tmp_path: Path) -> None:
    assert repair.examine(str(place(tmp_path, *log(segments=2).segments))) == {
        "fault": "",
        "mends": False,
        "runs_out": False,
    }


def test_a_damaged_log_is(tmp_path: Path) -> None:
    assert repair.examine(str(place(tmp_path, harmed(log(), 3)))) == {
        "fault": "a wrong checksum",
        "mends": False,
        "runs_out": False,
    }


def test_so_is_one_that_holds_nothing(tmp_path: Path) -> None:
    assert repair.examine(str(place(tmp_path, b"")))["fault"] == "it holds no entry"


@pytest.mark.parametrize(("index", "fault"), [(10, ""), (12, ""), (4, "a wrong checksum")])
def test_segments_before_the_snapshot_are_nobodys_concern(tmp_path: Path, index: int, fault: str) -> None:
    first, second, third = log(segments=3).segments
    root = place(tmp_path, flipped(first, 200), second, third)
    snapshot(root, index)
    assert repair.examine(str(root))["fault"] == fault


def test_without_its_snapshot_a_log_counts_only_from_the_first_entry_on(tmp_path: Path) -> None:
    root = place(tmp_path / "rotated", *log(segments=2).segments, first=9000)
    snapshot(root, 9002, whole=False)
    assert repair.examine(str(root))["fault"] == repair.LOST_SNAPSHOT
    with pytest.raises(Unfit, match="its snapshot is lost"):
        repair.cut(root)
    whole = place(tmp_path / "whole", *log().segments)
    snapshot(whole, 4, whole=False)
    assert repair.examine(str(whole))["fault"] == "", (
        "an engine puts the snapshot away and reads the log from its beginning"
    )


def test_a_log_of_a_manager_that_joined_is_nothing_without_its_snapshot(tmp_path: Path) -> None:
    """Its one segment begins at the first entry, and its first entry is behind the snapshot that the leader sent."""
    made = Log()
    made.segment()
    made.write(SNAPSHOT, message((1, 30), (2, 2)))
    made.entry(2, 31)
    root = place(tmp_path, *made.segments)
    snapshot(root, 30, whole=False)
    assert repair.examine(str(root)) == {"fault": repair.LOST_SNAPSHOT, "mends": False, "runs_out": False}
    with pytest.raises(Unfit, match="its snapshot is lost"):
        repair.cut(root)
    snapshot(root, 30)
    assert repair.examine(str(root))["fault"] == ""


def test_a_repaired_copy_ends_before_what_is_damaged_and_the_directory_stays_as_it_is(
    tmp_path: Path, copies: Path
) -> None:
    root = place(tmp_path / "root", harmed(log(), 4))
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    made = copying.take(str(root), copying.REPAIRED)
    assert (made["position"], made["cut"], made["claimed"]) == ([2, 3, 2], "a wrong checksum", 5)
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    sizes = {path: size for path, size, _ in made["files"]}
    assert max(size for path, size in sizes.items() if path.endswith(".wal")) == len(log().segments[0] + PREALLOCATED)
    assert KEY in sizes
    assert sorted(path.name for path in Path(made["folder"]).iterdir()) == [copying.ARCHIVE, copying.KEY]


def test_segments_behind_the_damage_are_left_out_of_it(tmp_path: Path, copies: Path) -> None:
    first, second, third = log(segments=3).segments
    root = place(tmp_path / "root", first, second[: len(second) // 2], third)
    made = copying.take(str(root), copying.REPAIRED)
    assert len([path for path, *_ in made["files"] if path.endswith(".wal")]) == 2
    assert 5 < made["position"][1] < 10
    assert made["claimed"] == 15


def test_a_real_log_with_a_flipped_byte_is_cut_and_whole_afterwards(tmp_path: Path) -> None:
    root = place(tmp_path, flipped(REAL.read_bytes(), 6000))
    assert repair.cut(root) == "a wrong checksum"
    assert repair.examine(str(root)) == {"fault": "", "mends": False, "runs_out": False}
    assert repair.cut(root) == ""


def cut_anywhere(root: Path, made: Log, *, first: int) -> Iterator[tuple[int, Position]]:
    """Each frame of a log damaged in turn: its number, and where the repaired log ends. Two frames say whose log it is."""
    starts = [0, *(end for end, _ in made.ends)]
    for number in range(first, len(made.ends)):
        place(root, flipped(made.segments[0], starts[number] + 12))
        assert repair.cut(root)
        segments = [path.read_bytes() for path in sorted((root / WAL).glob("*.wal"))]
        assert not read(segments).fault, number
        yield number, position(segments)


@pytest.mark.parametrize("index", [3, 5, 9])
def test_a_log_that_is_cut_anywhere_reaches_its_snapshot_which_is_committed(tmp_path: Path, index: int) -> None:
    """So an engine starts from the snapshot: without its record it finds nothing, and with an older commit raft breaks down."""
    snapshot(tmp_path, index)
    found = 0
    for _, end in cut_anywhere(tmp_path, log(), first=2):
        found += 1
        assert end.index >= end.commit >= index
        assert repair.cut(tmp_path) == "", "the repaired log is whole"
    assert found > 5


def test_without_a_snapshot_nothing_is_written_behind_the_cut(tmp_path: Path) -> None:
    whole = log()
    for number, end in cut_anywhere(tmp_path, whole, first=3):
        assert end == whole.ends[number - 1][1]


def test_the_hard_state_of_a_cut_log_keeps_its_vote_and_the_higher_term(tmp_path: Path) -> None:
    snapshot(tmp_path, 9)
    place(tmp_path, harmed(log(), 4))
    repair.cut(tmp_path)
    end = read([(tmp_path / WAL / f"{0:016x}-{0:016x}.wal").read_bytes()]).end
    assert (end.term, end.vote, end.commit) == (2, 7, 9)
    assert (9, 2) in end.snapshots


@pytest.mark.parametrize("content", [b"", b"\xff" * 50], ids=["empty", "garbage"])
def test_nothing_is_made_of_a_log_of_which_nothing_can_be_used(tmp_path: Path, copies: Path, content: bytes) -> None:
    root = place(tmp_path / "root", content)
    with pytest.raises(Unfit, match="nothing of its raft log can be used"):
        copying.take(str(root), copying.REPAIRED)
    assert not list(copies.iterdir())


@pytest.mark.parametrize("content", [b"", b"\xff" * 50, harmed(log(), 3)], ids=["empty", "garbage", "flipped"])
def test_a_safety_copy_holds_a_damaged_log_as_it_is(tmp_path: Path, copies: Path, content: bytes) -> None:
    root = place(tmp_path / "root", content)
    made = copying.take(str(root), copying.DAMAGED)
    end = Position(*made["position"])
    assert end == (UNREADABLE if content != harmed(log(), 3) else Position(2, 5, 4))
    read = copying.read(Path(made["folder"]) / copying.ARCHIVE, damaged=True)
    assert {entry.path for entry in read.files} >= {f"{WAL}{0:016x}-{0:016x}.wal", KEY}
