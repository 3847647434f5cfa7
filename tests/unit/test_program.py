"""The program that is sent to the nodes: whole, and of nothing but the standard library."""

import subprocess
import sys
from pathlib import Path

import pytest

from recovery import program
from recovery.onnode import copying, sandbox
from recovery.onnode.archive import Unfit


def run(*arguments: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    """The program as a node runs it, without any package that is installed."""
    packed = program.packed()
    argv = [sys.executable, "-I", "-S", "-c", program.LOADER, str(len(packed)), *arguments]
    return subprocess.run(argv, input=packed + stdin, capture_output=True)


def test_it_starts_without_any_package() -> None:
    done = run("nothing like a verb")
    assert b"ValueError: nothing like a verb" in done.stderr


def test_it_is_the_same_each_time() -> None:
    before = program.packed()
    program.packed.cache_clear()
    assert program.packed() == before


def test_a_fault_of_the_copy_is_told_apart_from_any_other(tmp_path: Path) -> None:
    torn = run("seal", str(tmp_path), "age1")
    assert torn.returncode == 1, "there is no copy to seal"


def test_without_memory_nothing_is_proven_and_nothing_blamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_available", lambda: 100 << 20)
    with pytest.raises(sandbox.Unable, match="the node has 100 MiB of memory to spare, and 4"):
        sandbox.prove("x", tmp_path / "copy", "10.0.0.1", 64_000_000, b"")


@pytest.mark.parametrize("content", [b"", b"half of it"])
def test_a_torn_archive_is_unfit_on_the_node_too(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "copy").write_bytes(content)
    with pytest.raises(Unfit):
        copying.read(tmp_path / "copy")
