"""The program on a node that packs a copy: beside the running engine, and while that is stopped."""

import hashlib
import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from recovery.copies.manifest import Signature, from_json
from recovery.node import program
from recovery.onnode import copying
from recovery.onnode.archive import CERTIFICATE, KEY, Unfit
from tests.unit import factories as make
from tests.unit.copies.test_snapshot import CONTENT
from tests.unit.swarm.test_key_file import key_file, unlock_key

SYSTEMCTL = """
case "$1" in
  is-active) cat "$NODE/state" ;;
  stop) case "$*" in *docker.service*) echo inactive > "$NODE/state" ;; esac ;;
  start) echo active > "$NODE/state" ;;
esac
"""
REAL = 'PATH="${PATH#*:}"; exec "$(basename "$0")" "$@"\n'


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of programs that write down that they were run, with a swarm directory below ``root``."""
    for name, content in CONTENT.items():
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_bytes(content)
    (tmp_path / "bin").mkdir()
    (tmp_path / "state").write_text("active\n")
    monkeypatch.setenv("NODE", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(copying, "FOLDER", tmp_path / "copies")
    for name, script in {"systemctl": SYSTEMCTL, "systemd-run": "", "tar": REAL, "zstd": REAL}.items():
        does(tmp_path, name, script)
    return tmp_path


def does(node: Path, name: str, script: str) -> None:
    """Have a program of the machine do something else."""
    file = node / "bin" / name
    file.write_text(f'#!/bin/sh\necho "$(basename "$0") $*" >> "$NODE/log"\n{script}')
    file.chmod(0o755)


def log(node: Path) -> list[str]:
    return (node / "log").read_text().splitlines()


def test_an_engine_is_stopped_for_the_packing_alone(node: Path) -> None:
    found = copying.take(str(node / "root"), copying.COLD)
    stopped, packed, asked, started, compressed = (
        next(number for number, line in enumerate(log(node)) if line.startswith(begin))
        for begin in ("systemctl stop docker.", "tar ", "systemctl is-active", "systemctl start docker.", "zstd ")
    )
    assert stopped < packed < asked < started < compressed
    assert (node / "state").read_text() == "active\n"
    assert found["stopped_seconds"] > 0
    assert {path for path, *_ in found["files"]} == CONTENT.keys()
    assert {file.name for file in Path(found["folder"]).iterdir()} == {copying.ARCHIVE, copying.KEY}


def test_a_guard_that_failed_does_not_keep_the_next_one_from_being_made(node: Path) -> None:
    copying.take(str(node / "root"), copying.COLD)
    (guard,) = [line for line in log(node) if line.startswith("systemd-run")]
    assert "--collect" in guard.split(" systemctl ")[0].split()


def test_a_guard_is_on_time(node: Path) -> None:
    """Who waits for the engine counts on it, and systemd lets a timer be late by a minute unless told otherwise."""
    copying.take(str(node / "root"), copying.COLD)
    (guard,) = [line for line in log(node) if line.startswith("systemd-run")]
    assert {"--on-active=120s", "--timer-property=AccuracySec=1s"} < set(guard.split())


@pytest.mark.parametrize("state", ["active", "activating", "reloading", "deactivating", ""])
def test_a_copy_during_which_the_engine_was_started_is_refused(node: Path, state: str) -> None:
    does(node, "tar", f'echo "{state}" > "$NODE/state"; {REAL}')
    with pytest.raises(Unfit, match="the engine was started again before all was packed"):
        copying.take(str(node / "root"), copying.COLD)
    assert not list((node / "copies").iterdir())
    assert (node / "state").read_text() == "active\n"


def test_a_copy_beside_the_running_engine_asks_nothing_of_systemd(node: Path) -> None:
    found = copying.take(str(node / "root"), copying.HOT)
    assert found["stopped_seconds"] == 0.0
    assert not [line for line in log(node) if line.startswith("system")]


def handed(content: bytes, sha256: str = "") -> Path:
    return Path(copying.receive(io.BytesIO(content), sha256 or hashlib.sha256(content).hexdigest())["folder"])


def test_an_opened_copy_from_elsewhere_lies_in_memory_and_goes_even_if_nobody_comes_back(node: Path) -> None:
    assert Path("/run") == copying.RECEIVED
    folder = handed(b"opened")
    try:
        assert folder.is_relative_to("/run")
        assert (folder / copying.ARCHIVE).read_bytes() == b"opened"
        assert not list(node.glob("copies/*"))
        (removal,) = [line.split() for line in log(node) if line.startswith("systemd-run")]
        assert removal[-3:] == ["rm", "-rf", str(folder)]
        (after,) = [word for word in removal if word.startswith("--on-active=")]
        assert 2 * program.SECONDS < int(after.removeprefix("--on-active=").removesuffix("s")) < copying.STALE_SECONDS
    finally:
        shutil.rmtree(folder)


def test_an_opened_copy_that_nobody_would_remove_is_not_received(node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (node / "memory").mkdir()
    monkeypatch.setattr(copying, "RECEIVED", node / "memory")
    with pytest.raises(OSError, match="not all of it arrived"):
        handed(b"open", hashlib.sha256(b"opened").hexdigest())
    does(node, "systemd-run", "exit 1")
    with pytest.raises(subprocess.CalledProcessError):
        handed(b"opened")
    assert not list((node / "memory").iterdir())


@pytest.mark.parametrize("how", [copying.HOT, copying.COLD])
def test_what_tar_cannot_do_is_told_and_leaves_nothing(node: Path, how: str) -> None:
    does(
        node,
        "tar",
        "echo 'tar: swarm: Cannot open: Permission denied' >&2; echo 'tar: Error is not recoverable' >&2; exit 2",
    )
    with pytest.raises(OSError, match="swarm: Cannot open: Permission denied"):
        copying.take(str(node / "root"), how)
    assert not list((node / "copies").iterdir())
    assert (node / "state").read_text() == "active\n"


def test_a_full_disk_is_told_as_such(node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which tar itself tells only where not even a part of what it writes finds room: others write there too."""
    does(node, "tar", "echo 'tar: copy.tar: Wrote only 8192 of 10240 bytes' >&2; exit 2")
    free = iter([1 << 40, 0])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=next(free)))
    with pytest.raises(OSError, match="No space left on device"):
        copying.take(str(node / "root"), copying.HOT)
    assert not list((node / "copies").iterdir())


@pytest.mark.parametrize("how", [copying.HOT, copying.COLD])
def test_nothing_is_packed_nor_stopped_where_that_could_fill_the_disk(
    node: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    enough = copying.take(str(node / "root"), copying.HOT)["raw_bytes"] + copying.RESERVE_BYTES
    shutil.rmtree(node / "copies")
    (node / "log").write_text("")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=enough - 1))
    with pytest.raises(OSError, match=r"No space left on device: \d+ MiB are free, and \d+ MiB are needed"):
        copying.take(str(node / "root"), how)
    assert not log(node)
    assert not list((node / "copies").iterdir())
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=enough))
    assert copying.take(str(node / "root"), how)["raw_bytes"] == enough - copying.RESERVE_BYTES


def test_what_the_engine_removes_and_what_other_copies_end_meanwhile_is_no_fault(
    node: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passing = [node / "root" / "swarm" / "raft" / "0.tmp", node / "copies" / "of-another"]
    walk, scan = os.walk, os.scandir

    def walked(directory: Path) -> Iterator[Any]:
        for found in walk(directory):
            if passing[0].name in found[2]:
                passing[0].unlink()
            yield found

    def scanned(directory: Path) -> Iterator[Any]:
        for entry in list(scan(directory)):
            if entry.name == passing[1].name:
                passing[1].rmdir()
            yield entry

    passing[0].write_bytes(b"x")
    passing[1].mkdir(parents=True)
    monkeypatch.setattr(copying, "os", SimpleNamespace(**{**vars(os), "walk": walked, "scandir": scanned}))
    found = copying.take(str(node / "root"), copying.HOT)
    assert [file.parent.name for file in passing if file.exists()] == []
    assert list((node / "copies").iterdir()) == [Path(found["folder"])]


def test_a_file_that_changed_as_it_was_read_is_expected(node: Path) -> None:
    does(node, "tar", 'PATH="${PATH#*:}"; tar "$@"; exit 1')
    assert copying.take(str(node / "root"), copying.HOT)["size"] > 0


RENEWING = """
new() { mv "$NODE/new.$1" "$NODE/root/swarm/certificates/swarm-node.$1"; }
pack() { PATH="${PATH#*:}" tar "$@"; }
test -e "$NODE/new.key" || { pack "$@"; exit; }
"""
"""A node whose certificate is renewed while it is packed for the first time."""


@pytest.mark.parametrize(
    "during", ['new key; pack "$@"; new crt', 'new key; new crt; pack "$@"', 'pack "$@"; new key; new crt']
)
def test_a_copy_while_a_certificate_is_renewed_is_packed_again(node: Path, during: str) -> None:
    """So that its key and its certificate belong together."""
    for kind, name in (("key", KEY), ("crt", CERTIFICATE)):
        (node / f"new.{kind}").write_bytes(CONTENT[name] + b"new")
    does(node, "tar", RENEWING + during)
    found = copying.read(Path(copying.take(str(node / "root"), copying.HOT)["folder"]) / copying.ARCHIVE)
    assert found.key == CONTENT[KEY] + b"new"
    assert found.certificate == CONTENT[CERTIFICATE] + b"new"
    assert packings(node) == 2


@pytest.mark.parametrize(("how", "tries"), [(copying.HOT, copying.TRIES), (copying.COLD, 1)])
def test_a_certificate_that_never_takes_its_place_is_not_waited_for_on_and_on(node: Path, how: str, tries: int) -> None:
    """An engine that was killed just then leaves it there; and none is stopped for longer."""
    (node / "root" / KEY).with_name(copying.NEXT).write_bytes(b"new")
    assert copying.take(str(node / "root"), how)["size"] > 0
    assert packings(node) == tries


def packings(node: Path) -> int:
    return len([line for line in log(node) if line.startswith("tar ")])


@pytest.mark.parametrize("opened", [b"", key_file()], ids=["not locked", "opened for the proof"])
def test_a_copy_is_signed_as_it_is_sealed_and_nothing_plain_is_left(node: Path, opened: bytes) -> None:
    does(node, "age", 'for file; do :; done; echo sealed > "${file%/*}/copy.tar.zst.age"')
    folder = Path(copying.take(str(node / "root"), copying.HOT)["folder"])
    if opened:
        (folder / copying.KEY).write_bytes(key_file(unlock_key()))
    manifest = make.manifest()
    made = copying.seal(folder, ["age1"], manifest.to_dict(), opened)
    stored = replace(manifest, size=made["size"], sha256=made["sha256"])
    stored = replace(stored, signature=replace(stored.signature or Signature("", ""), value=made["signature"]))
    assert from_json(stored.to_json(), source="it") == stored
    assert {file.name for file in folder.iterdir()} == {copying.SEALED, copying.STATEMENT}
    assert not [line for line in log(node) if "PRIVATE" in line]


def test_a_locked_key_signs_nothing(node: Path) -> None:
    does(node, "age", 'for file; do :; done; echo sealed > "${file%/*}/copy.tar.zst.age"')
    folder = Path(copying.take(str(node / "root"), copying.HOT)["folder"])
    (folder / copying.KEY).write_bytes(key_file(unlock_key()))
    assert copying.seal(folder, ["age1"], make.manifest().to_dict(), b"")["signature"] is None


@pytest.mark.parametrize("torn", [b"", key_file()[:200]], ids=["empty", "cut"])
def test_a_torn_key_signs_no_safety_copy_and_ends_any_other(node: Path, torn: bytes) -> None:
    does(node, "age", 'for file; do :; done; echo sealed > "${file%/*}/copy.tar.zst.age"')
    for kind in ("safety", "hot"):
        folder = Path(copying.take(str(node / "root"), copying.HOT)["folder"])
        (folder / copying.KEY).write_bytes(torn)
        document = make.manifest(kind=kind).to_dict()
        if kind == "safety":
            assert copying.seal(folder, ["age1"], document, b"")["signature"] is None
        else:
            with pytest.raises(subprocess.CalledProcessError):
                copying.seal(folder, ["age1"], document, b"")
