"""Archives that somebody or something has spoilt: none of them is read, unpacked or taken for another, wherever that is tried.

Flipped bytes, cut-off ends and missing files are in test_snapshot; what becomes of a bad copy in test_choice.
"""

import io
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd

from recovery.copies import contents
from recovery.errors import DamagedCopy
from recovery.onnode import archive, copying, sandbox
from recovery.onnode.archive import CERTIFICATE, KEY, Unfit
from recovery.swarm import wal
from tests.unit.copies.test_snapshot import CONTENT, WAL
from tests.unit.copies.test_snapshot import archive as packed
from tests.unit.swarm.test_wal import entry, frame

MIB = 1 << 20
GIB = 1 << 30
END = bytes(2 * tarfile.BLOCKSIZE)


def header(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, **attributes: object) -> bytes:
    """What tar writes before a member's content, whatever is to be said there."""
    made = tarfile.TarInfo(name)
    made.size, made.type = size, kind
    for key, value in attributes.items():
        setattr(made, key, value)
    return made.tobuf(tarfile.GNU_FORMAT)


def member(name: str, content: bytes) -> bytes:
    return header(name, len(content)) + content + bytes(-len(content) % tarfile.BLOCKSIZE)


def pax(**said: str) -> bytes:
    """A member with a header of its own for what is said of it."""
    made = tarfile.TarInfo("swarm/y")
    made.pax_headers = said
    return made.tobuf(tarfile.PAX_FORMAT)


def sparse(size: int, *, extended: bool = False) -> bytes:
    """The header of a file of ``size`` bytes, all of them holes (GNU tar, tar.h: struct oldgnu_header)."""
    made = bytearray(header("swarm/holes", kind=tarfile.GNUTYPE_SPARSE))
    made[482] = extended
    made[483:495] = (b"\x80" if size >= 0 else b"\xff") + (size % (1 << 88)).to_bytes(11, "big")
    made[148:156] = b" " * 8
    made[148:156] = b"%06o\0 " % sum(made)
    return bytes(made)


def repeated(block: bytes, total: int) -> bytes:
    """Zstd frames that unpack to ``total`` bytes and take next to nothing."""
    return zstd.compress(block * (MIB // len(block))) * (total // MIB)


EXTENSION = bytes(504) + b"\1" + bytes(7)
"""A further header of a sparse file that says that one more follows."""
ENDLESS = frame(wal.ENTRY, b"\x10" + b"\xff" * MIB + b"\x01")
"""A record of a raft log with a number of a million digits."""
GOOD = b"".join(member(name, content) for name, content in CONTENT.items())
"""A good manager's files without the mark of the end."""
NO_PLACE = {
    "beside the directory": header("etc/passwd"),
    "above it": header("../x"),
    "climbing out of it": header("swarm/../../etc/passwd"),
    "absolute": header("/etc/passwd"),
    "absolute, with its name": header("/swarm/x"),
    "a roundabout name": header("swarm/./state.json"),
    "a double slash": header("swarm//state.json"),
    "an escape sequence": header("swarm/\x1b[2J"),
    "two lines": header("swarm/a\nb"),
    "no ASCII": header("swarm/\udcff"),
    "symbolic link": header("swarm/x", kind=tarfile.SYMTYPE, linkname="/etc"),
    "hard link": header("swarm/x", kind=tarfile.LNKTYPE, linkname="/etc/passwd"),
    "hard link within": header("swarm/x", kind=tarfile.LNKTYPE, linkname=KEY),
    "block device": header("swarm/x", kind=tarfile.BLKTYPE, devmajor=8),
    "character device": header("swarm/x", kind=tarfile.CHRTYPE, devmajor=1, devminor=1),
    "fifo": header("swarm/x", kind=tarfile.FIFOTYPE),
    "contiguous file": header("swarm/x", kind=tarfile.CONTTYPE),
    "unknown kind": header("swarm/x", kind=b"Z"),
    "a long name that climbs": tarfile.TarInfo(f"swarm/{'x/' * 60}../../etc").tobuf(tarfile.GNU_FORMAT),
    "pax header": pax(path="swarm/x"),
    "pax header for all": tarfile.TarInfo.create_pax_global_header({"path": "swarm/x"}) + header("swarm/x"),
    "folder with content": header("swarm/x", 512, tarfile.DIRTYPE),
}
TORN = {
    "in the frame": zstd.compress(GOOD + END)[:-3],
    "at a frame's end, in a file": zstd.compress(GOOD[: len(GOOD) // 2]),
    "at a frame's end, between two files": zstd.compress(GOOD),
    "in a header": zstd.compress(GOOD + header("swarm/x")[:100]),
    "a header that is none": zstd.compress(GOOD + b"x" * 512 + header("swarm/x") + END),
    "in the header of a sparse file": zstd.compress(GOOD + sparse(1, extended=True)),
    "pax headers within each other": zstd.compress(GOOD + pax(path="swarm/x")[: -tarfile.BLOCKSIZE] * 1500),
    "a pax header of nonsense": zstd.compress(GOOD + pax(**{"GNU.sparse.map": "x"}) + END),
    "a window of two gigabytes": bytes.fromhex("28b52ffd 00a8 010000"),
}
BOMBS = {
    "zeros only": (repeated(bytes(512), 4 * GIB), "no file's content"),
    "zeros after its end": (zstd.compress(GOOD + END) + repeated(bytes(512), 4 * GIB), "no file's content"),
    "a long name of gigabytes": (
        zstd.compress(header("swarm/x", 4 * GIB, tarfile.GNUTYPE_LONGNAME)) + repeated(b"x", 4 * GIB),
        "no file's content",
    ),
    "a pax header of gigabytes": (
        zstd.compress(header("swarm/x", 4 * GIB, tarfile.XHDTYPE)) + repeated(b"x", 4 * GIB),
        "no file's content",
    ),
    "a file beyond all bounds": (
        zstd.compress(header("swarm/x", 9 * GIB)) + repeated(bytes(512), 9 * GIB),
        "more than 8589934592 bytes",
    ),
    "many files beyond all bounds": (
        zstd.compress(header("swarm/x", 1) + bytes(512) + header("swarm/y", archive.LARGEST)),
        "more than 8589934592 bytes",
    ),
    "a certificate of a gigabyte": (
        zstd.compress(header(CERTIFICATE, GIB)) + repeated(b"x", GIB),
        "swarm-node.crt is larger than it can be",
    ),
    "a huge hole": (zstd.compress(sparse(1 << 60) + END), "more than 8589934592 bytes"),
    "less than nothing": (zstd.compress(sparse(-GIB) + END), "more than 8589934592 bytes"),
    "a header without end": (
        zstd.compress(sparse(1, extended=True)) + repeated(EXTENSION, GIB),
        "no file's content",
    ),
    "thousands of files": (
        zstd.compress(b"".join(header(f"swarm/{number}") for number in range(10_000)) + END),
        "no file's content",
    ),
    "a number without end": (
        zstd.compress(GOOD + member(WAL.replace("0.wal", "1.wal"), ENDLESS) + END),
        "its raft log: a number has more than 64 bits",
    ),
}
OTHER = {
    "a file twice": (zstd.compress(GOOD + member("swarm/state.json", b"{}") + END), "is in it twice"),
    "a folder in a file's place": (
        zstd.compress(GOOD + header("swarm/state.json", kind=tarfile.DIRTYPE) + END),
        "is in it twice",
    ),
    "more after its end": (zstd.compress(GOOD + END + header("swarm/x") + END), "something follows its end"),
}
CASES = {
    **{name: (zstd.compress(GOOD + bad + END), "does not belong") for name, bad in NO_PLACE.items()},
    **{name: (content, "torn|truncated or altered") for name, content in TORN.items()},
    **BOMBS,
    **OTHER,
}


def at_the_operators(path: Path, _: Path) -> None:
    contents.read(path, source="it")


def on_the_node(path: Path, _: Path) -> None:
    copying.read(path)


def in_the_sandbox(path: Path, data: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sandbox, "DATA", data)
        sandbox._unpack(path, b"")


READERS = [at_the_operators, on_the_node, in_the_sandbox]
each_reader = pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Where the sandbox unpacks, with a folder around it that a climbing name would get into."""
    made = tmp_path / "around" / "data"
    made.mkdir(parents=True)
    return made


@each_reader
def test_what_tar_writes_is_read(tmp_path: Path, data: Path, reader: Callable[[Path, Path], None]) -> None:
    """Else every refusal below would prove nothing."""
    for name, content in CONTENT.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        with (tmp_path / name).open("wb") as file:
            file.write(content)
            file.truncate(max(len(content), 8 * MIB) if name == WAL else len(content))
    copying._pack(str(tmp_path), tmp_path)
    reader(copying._compressed(tmp_path), data)
    if reader is in_the_sandbox:
        assert (data / WAL).read_bytes() == (tmp_path / WAL).read_bytes()
        assert {str(file.relative_to(data)) for file in data.rglob("*") if file.is_file()} == CONTENT.keys()


@each_reader
@pytest.mark.parametrize(("content", "why"), CASES.values(), ids=CASES.keys())
def test_it_is_refused_and_nothing_of_it_is_written(
    tmp_path: Path, data: Path, content: bytes, why: str, reader: Callable[[Path, Path], None]
) -> None:
    path = tmp_path / "copy"
    path.write_bytes(content)
    with pytest.raises((DamagedCopy, Unfit), match=why):
        reader(path, data)
    assert list((tmp_path / "around").rglob("*")) == [data]


@pytest.mark.parametrize(("content", "why"), BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_is_refused_before_it_takes_memory(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "copy"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(DamagedCopy, match=why):
            contents.read(path, source="it")
        assert tracemalloc.get_traced_memory()[1] < 64 * MIB
    finally:
        tracemalloc.stop()


@each_reader
def test_a_raft_log_that_no_memory_holds_is_refused(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, reader: Callable[[Path, Path], None]
) -> None:
    monkeypatch.setattr(archive, "LOG", MIB)
    segments = {WAL.replace("0.wal", f"{number}.wal"): entry(2, 9) + b"x" * (MIB // 2) for number in range(3)}
    packed(tmp_path / "copy", {**CONTENT, WAL: CONTENT[WAL][:4096], **segments})
    with pytest.raises((DamagedCopy, Unfit), match="snapshotInterval makes it shorter"):
        reader(tmp_path / "copy", data)


@pytest.mark.parametrize("received", [b"", b"half", b"whole, and more"])
def test_what_arrives_changed_on_the_node_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, received: bytes
) -> None:
    monkeypatch.setattr(copying, "RECEIVED", tmp_path)
    monkeypatch.setattr(
        copying.subprocess, "run", lambda *_, **__: None
    )  # systemd, which is told to remove it in the end
    (tmp_path / "sent").write_bytes(b"whole")
    digest = copying.measured(tmp_path / "sent")["sha256"]
    before = set(tmp_path.iterdir())
    with pytest.raises(OSError, match="not all of it arrived"):
        copying.receive(io.BytesIO(received), digest)
    assert set(tmp_path.iterdir()) == before
    assert Path(copying.receive(io.BytesIO(b"whole"), digest)["folder"]).parent == tmp_path
