"""Where copies lie on the operator's machine: nobody else's to read, gone afterwards, and what is told of a full disk."""

import os
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable
from errno import EACCES, ENOSPC
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from recovery import cli
from recovery.copies import workspace
from recovery.copies.workspace import PREFIX, STALE_SECONDS
from recovery.errors import LocalError
from recovery.s3.sealing import Identities
from tests.unit import factories as make
from tests.unit.copies.stored import put


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def refuse(number: int) -> Callable[..., None]:
    def refusing(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return refusing


def test_it_is_its_owner_s_alone_and_gone_afterwards(root: Path) -> None:
    with workspace.workspace() as folder:
        (folder / "copy.tar.zst").write_bytes(b"a key")
        assert folder.parent == root
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not list(root.iterdir())


@pytest.mark.parametrize(
    ("pid", "age", "kept"),
    [
        ("dead", STALE_SECONDS + 60, False),
        ("dead", STALE_SECONDS - 60, True),
        ("ours", STALE_SECONDS + 60, True),
        ("1", STALE_SECONDS + 60, True),
        ("none", STALE_SECONDS + 60, False),
    ],
)
def test_what_a_killed_process_left_is_removed_after_a_day(root: Path, pid: str, age: float, kept: bool) -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    named = {"dead": str(ended.pid), "ours": str(os.getpid())}.get(pid, pid)
    for name in (f"{PREFIX}{named}-x", f"requorum-{named}-x"):
        (root / name).mkdir()
        (root / name / "copy.tar.zst").write_bytes(b"a key")
        os.utime(root / name, (time.time() - age,) * 2)
    with workspace.workspace():
        pass
    assert (root / f"{PREFIX}{named}-x").exists() is kept
    assert (root / f"requorum-{named}-x").exists(), "another's"


def test_a_full_disk_is_told_of_and_any_other_fault_is_not_taken_for_one(root: Path) -> None:
    with pytest.raises(LocalError, match=rf"{root} on this machine: No space(?s:.*)code: disk-failed"):  # noqa: SIM117
        with workspace.workspace():
            refuse(ENOSPC)()
    with pytest.raises(PermissionError), workspace.workspace():
        refuse(EACCES)()
    assert not list(root.iterdir())


def test_a_folder_that_is_not_there_is_told_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(LocalError, match=r"No such file or directory(?s:.*)code: disk-failed"), workspace.workspace():
        pass


def test_a_machine_without_any_folder_for_temporary_files_is_told_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "gone"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "gone")])
    told = rf"using {tmp_path}/gone on this machine: No usable temporary directory(?s:.*)code: disk-failed"
    with pytest.raises(LocalError, match=told), workspace.workspace():
        pass


def test_a_command_on_a_full_disk_ends_with_its_next_command(
    root: Path, bucket: Any, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    of = make.settings()
    put(of, tmp_path_factory.mktemp("put"), "manager-a", 1)
    monkeypatch.setattr(cli.console, "_settings", lambda *_: of)
    monkeypatch.setattr(Identities, "unseal_file", refuse(ENOSPC))
    done = CliRunner().invoke(cli.app, ["verify"])
    assert done.exit_code == 1
    assert "No space left on device\n  next: " in done.stderr
    assert "code: disk-failed" in done.stderr
