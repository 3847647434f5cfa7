"""The stream on the node, with docker and age played by scripts: what counts, what does not, and what a cut-off one does."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from backports import zstd

from recovery.node import program
from recovery.onnode import process, streaming, volume
from recovery.onnode.process import Failed

DOCKER = """#!/bin/sh
[ "$1 $2" = "-H unix:///var/run/docker.sock" ] || exit 9
shift 2; verb=$1; shift
case "$verb" in
exec) [ "$1" = -i ] && shift; mark=$2; shift 3; exec env "$mark" "$@" ;;
inspect) echo "$MOUNTS" ;;
ps) echo one; echo two ;;
kill) echo "$@" > "$KILLED" ;;
pause | unpause) echo "$verb $*" >> "$KILLED.paused" ;;
esac
"""
AGE = "#!/bin/sh\nprintf sealed:; exec cat\n"
DATA = os.urandom(300_000) + bytes(5_000_000)
TIMEOUT = 120
"""Seconds, for a program that ends at once; what it must not wait for takes longer."""


@pytest.fixture(autouse=True)
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A node with a volume named rows."""
    tools, where = tmp_path / "bin", tmp_path / "volumes" / "rows" / volume.FILES
    for folder in (tools, where):
        folder.mkdir(parents=True)
    for name, script in (("docker", DOCKER), ("age", AGE)):
        (tools / name).write_text(script)
        (tools / name).chmod(0o755)
    mounts = [{"Type": "bind", "Source": "/etc"}, {"Type": "volume", "Name": "rows", "Source": str(where)}]
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("MOUNTS", json.dumps(mounts))
    monkeypatch.setenv("KILLED", str(tmp_path / "killed"))
    monkeypatch.setattr(streaming, "LOCKS", tmp_path)
    return where


@pytest.fixture
def own() -> Iterator[str]:
    """A name that no other test has: a program locks it in the real folder, for the whole machine."""
    name = uuid4().hex
    yield name
    Path(f"/run/requorum-data-{name}.lock").unlink(missing_ok=True)


def given(*command: str, **values: Any) -> dict[str, Any]:
    return {"name": "rows", "container": "c1", "command": command, "volume": None, "recipients": ["age1x"], **values}


def take(asked: dict[str, Any], target: BytesIO) -> dict[str, Any]:
    """Have it taken while somebody waits for it."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb"):
        return streaming.take(asked, target, os.fdopen(reading, "rb"))


def taken(asked: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """What was found, and what was put out without its seal."""
    target = BytesIO()
    found = take(asked, target)
    content = target.getvalue()
    assert (found["size"], found["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    return found, zstd.decompress(content.removeprefix(b"sealed:"))


def give(asked: dict[str, Any], packed: bytes, data: bytes = DATA) -> dict[str, Any]:
    expected = {"plain_size": len(data), "plain_sha256": hashlib.sha256(data).hexdigest()}
    content = tempfile.TemporaryFile()  # noqa: SIM115 - a thread may still read it
    content.write(packed)
    content.seek(0)
    return streaming.give({**asked, **expected}, content)


def marked() -> list[str]:
    """Processes of this test that bear a mark of ours."""
    ours, found = f"KILLED={os.environ['KILLED']}".encode(), []
    for file in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # it has ended
            variables = file.read_bytes().split(b"\0")
            if ours in variables and any(one.startswith(f"{process.MARK}=".encode()) for one in variables):
                found.append(str(file))
    return found


def test_what_a_command_writes_is_packed_sealed_and_measured(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(DATA)
    found, plain = taken(given("cat", str(tmp_path / "data")))
    assert plain == DATA
    assert (found["plain_size"], found["plain_sha256"]) == (len(DATA), hashlib.sha256(DATA).hexdigest())
    assert found["changed"] is False


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo no such table >&2; exit 3", "the command ended with exit status 3: no such table"),
        ("head -c 3000000 /dev/zero; exit 3", "the command ended with exit status 3: no message"),
        ("kill -9 $$", "the command ended with exit status -9"),
        ("exec 2>/dev/null; nothing-like-it", "exit status 127: there is no such program"),
        ("exec 2>/dev/null; exec /etc/passwd", "exit status 126: it cannot be run"),
        ("true", "the command wrote nothing"),
    ],
    ids=["at once", "in the middle", "killed", "no such command", "no program", "nothing written"],
)
def test_a_command_that_fails_gives_no_copy(script: str, why: str) -> None:
    with pytest.raises(Failed, match=why):
        take(given("sh", "-c", script), BytesIO())


def test_only_the_end_of_what_it_complains_of_is_told() -> None:
    with pytest.raises(Failed) as caught:
        take(given("sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x >&2; echo last >&2; exit 1"), BytesIO())
    assert str(caught.value).endswith("last")
    assert len(str(caught.value)) < 2 * process.TAIL


@pytest.mark.parametrize("tool", ["age", "zstd"])
def test_a_tool_that_fails_gives_no_copy(tmp_path: Path, tool: str) -> None:
    broken = tmp_path / "bin" / tool
    broken.write_text("#!/bin/sh\necho no such recipient >&2; exit 1\n")
    broken.chmod(0o755)
    with pytest.raises(Failed, match="exit status"):
        take(given("head", "-c", "3000000", "/dev/zero"), BytesIO())


def test_when_nobody_takes_the_copy_the_command_is_ended() -> None:
    class Gone(BytesIO):
        def write(self, _: Any) -> int:
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        take(given("sh", "-c", "cat /dev/urandom; sleep 1000"), Gone())
    assert marked() == []


def test_two_at_once_are_refused() -> None:
    with streaming._alone("rows"), pytest.raises(Failed, match="somebody else copies or restores rows"):
        take(given("true"), BytesIO())


def test_a_copy_is_given_whole_to_the_command(tmp_path: Path) -> None:
    give(given("sh", "-c", f"cat > {tmp_path}/back"), zstd.compress(DATA))
    assert (tmp_path / "back").read_bytes() == DATA


@pytest.mark.parametrize(
    "packed",
    [zstd.compress(DATA)[:200_000], b"", zstd.compress(DATA[:-1]), zstd.compress(DATA[:-1] + b"x"), b"no zstd at all"],
    ids=["cut off", "nothing", "shorter", "altered", "other"],
)
def test_a_stream_that_is_not_the_copy_never_ends_for_the_command(tmp_path: Path, packed: bytes) -> None:
    with pytest.raises(Failed, match="the stream broke off"):
        give(given("sh", "-c", f"cat > {tmp_path}/part; touch {tmp_path}/ended"), packed)
    assert not (tmp_path / "ended").exists()
    assert marked() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may write to /run, where the lock lies")
@pytest.mark.parametrize(
    ("script", "status", "why"),
    [("echo wrong version >&2; exit 4", 1, b"exit status 4: wrong version"), ("head -c 9 >&2", 0, b"")],
    ids=["it fails", "it needs no more"],
)
def test_a_command_that_ends_early_is_not_waited_for(own: str, script: str, status: int, why: bytes) -> None:
    """The program as a node runs it; its standard input stays open."""
    packed = program.packed()
    asked = given("sh", "-c", script, name=own, plain_size=10**9, plain_sha256="")
    argv = [sys.executable, *program.PYTHON[1:], str(len(packed)), "give-data", json.dumps(asked)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdin
        assert running.stderr
        with suppress(BrokenPipeError):
            running.stdin.write(packed + zstd.compress(os.urandom(500_000)))
            running.stdin.flush()
        assert running.wait(timeout=TIMEOUT) == status
        assert why in running.stderr.read()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may write to /run, where the lock lies")
def test_the_copy_is_the_output_and_what_was_found_the_last_line_of_the_errors(own: str, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(DATA)
    packed = program.packed()
    asked = given("sh", "-c", f"echo a notice >&2; cat {tmp_path}/data", name=own)
    argv = [sys.executable, *program.PYTHON[1:], str(len(packed)), "take-data", json.dumps(asked)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdin
        assert running.stdout
        assert running.stderr
        running.stdin.write(packed)
        running.stdin.flush()
        assert zstd.decompress(running.stdout.read().removeprefix(b"sealed:")) == DATA
        assert json.loads(running.stderr.read().splitlines()[-1])["plain_size"] == len(DATA)
        assert running.wait(timeout=TIMEOUT) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may write to /run, where the lock lies")
def test_a_command_that_hangs_is_ended_when_nobody_waits_for_it_any_more(own: str) -> None:
    packed = program.packed()
    argv = [sys.executable, *program.PYTHON[1:], str(len(packed)), "take-data"]
    asked = given("sh", "-c", "echo begun; sleep 1000", name=own)
    done = subprocess.run([*argv, json.dumps(asked)], input=packed, capture_output=True, timeout=TIMEOUT)
    assert done.returncode == 1
    assert marked() == []


def test_a_volume_comes_back_as_it_was(node: Path, tmp_path: Path) -> None:
    (node / "below").mkdir()
    (node / "below" / "rows").write_text("one\ntwo\n")
    (node / "below" / "rows").chmod(0o640)
    (node / "link").symlink_to("below/rows")
    node.chmod(0o711)
    asked = given(volume="rows")
    found, tar = taken(asked)
    assert found["changed"] is False
    (node / "below" / "rows").unlink()
    (node / "stranger").write_text("new")
    node.chmod(0o755)
    give(asked, zstd.compress(tar), tar)
    assert sorted(entry.name for entry in node.iterdir()) == ["below", "link"]
    assert (node / "link").read_text() == "one\ntwo\n"
    assert ((node / "below" / "rows").stat().st_mode & 0o777, node.stat().st_mode & 0o777) == (0o640, 0o711)
    assert (tmp_path / "killed").read_text() == "one two\n"


def test_a_volume_stays_as_it_is_where_the_stream_breaks_off(node: Path, tmp_path: Path) -> None:
    (node / "rows").write_bytes(os.urandom(300_000))
    asked = given(volume="rows")
    _, tar = taken(asked)
    (node / "rows").write_text("newer")
    with pytest.raises(Failed):
        give(asked, zstd.compress(tar)[:100_000], tar)
    assert [entry.name for entry in node.iterdir()] == ["rows"]
    assert (node / "rows").read_text() == "newer"
    assert not (tmp_path / "killed").exists(), "nobody was killed"


def test_files_that_change_as_they_are_read_are_told(tmp_path: Path) -> None:
    tar = tmp_path / "bin" / "tar"
    tar.write_text('#!/bin/sh\n/usr/bin/env -i /bin/tar "$@"; exit 1\n')
    tar.chmod(0o755)
    found, _ = taken(given(volume="rows"))
    assert found["changed"] is True


def test_a_volume_that_the_service_does_not_mount_is_refused() -> None:
    with pytest.raises(Failed, match="makes use of the volumes rows only, not of other"):
        take(given(volume="other"), BytesIO())


def test_what_a_broken_off_restore_left_is_no_part_of_a_copy(node: Path) -> None:
    for name in (volume.NEW, volume.OLD):
        for place in (node, node.parent):
            (place / name).mkdir()
            (place / name / "half").write_text("x")
    (node / "rows").write_text("one")
    asked = given(volume="rows")
    _, tar = taken(asked)
    give(asked, zstd.compress(tar), tar)
    assert [entry.name for entry in node.iterdir()] == ["rows"]
    assert [entry.name for entry in node.parent.iterdir()] == [volume.FILES]


@pytest.fixture
def mounted(node: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The volume is a file system of its own, which is unmounted when its last user ends, and what is mounted there."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", disk], check=True)
    try:
        subprocess.run(["mount", "--bind", disk, node], check=True)
        docker = tmp_path / "bin" / "docker"
        docker.write_text(
            DOCKER.replace('kill) echo "$@" > "$KILLED" ;;', f'kill) echo "$@" > "$KILLED"; umount {node} ;;')
        )
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", node], check=False, capture_output=True)
        subprocess.run(["umount", "--lazy", disk], check=False)


def test_a_volume_with_its_own_file_system_has_the_files_when_its_paused_users_are_killed(
    node: Path, mounted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(volume, "in_memory", lambda _: False)
    (node / "rows").write_text("one")
    asked = given(volume="rows")
    _, tar = taken(asked)
    (node / "rows").write_text("two")
    (node / "stranger").write_text("new")
    give(asked, zstd.compress(tar), tar)
    assert [entry.name for entry in node.iterdir()] == [], "it is not mounted any more"
    assert [entry.name for entry in mounted.iterdir()] == ["rows"]
    assert (mounted / "rows").read_text() == "one"
    assert (tmp_path / "killed.paused").read_text() == "pause one two\nunpause one two\n"


def test_a_volume_in_memory_is_neither_copied_nor_given_back(node: Path, mounted: Path) -> None:
    (node / "rows").write_text("one")
    asked = given(volume="rows")
    with pytest.raises(Failed, match="rows lies in memory"):
        take(asked, BytesIO())
    with pytest.raises(Failed, match="rows lies in memory"):
        give(asked, b"", b"")
    assert (mounted / "rows").read_text() == "one"
