"""What sets a fresh machine up: a step that failed is never taken for done, and what only needs another try gets one."""

import os
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

PROJECT = Path(__file__).parents[2]
LOCKED = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 1 (apt-get)"


def script(file: Path, text: str) -> Path:
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


def installed(folder: Path, says: str) -> tuple[int, list[str]]:
    """The exit status of the packages' installation and how apt-get was called, which says this once and fails."""
    once = (
        f'echo "$2" >> {folder}/calls; test -e {folder}/said || {{ touch {folder}/said; echo "{says}" >&2; exit 100; }}'
    )
    script(folder / "apt-get", once)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    done = subprocess.run([PROJECT / "lab/packages-installed", "anything"], env=environment, capture_output=True)
    return done.returncode, (folder / "calls").read_text().split()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root installs packages")
def test_packages_wait_for_another_apt(tmp_path: Path) -> None:
    assert installed(tmp_path, LOCKED) == (0, ["update", "update", "install"])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root installs packages")
def test_packages_that_cannot_be_had_are_not_waited_for(tmp_path: Path) -> None:
    assert installed(tmp_path, "E: Unable to locate package anything") == (1, ["update"])


def test_an_environment_that_was_not_made_whole_is_not_ready(tmp_path: Path) -> None:
    python = script(tmp_path / "python", 'test "$2" != venv || { mkdir -p "$3/bin"; exit 1; }')
    (tmp_path / "requirements-dev.txt").touch()
    make = ["make", "-f", PROJECT / "Makefile", "-C", tmp_path, f"PYTHON={python}", ".venv/bin/.ready"]
    environment = {**os.environ, "REQUORUM_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(make, env=environment, capture_output=True, text=True)
    assert done.returncode != 0
    assert list((tmp_path / "cache/venv").glob("*/bin")), done.stderr
    assert not list((tmp_path / "cache/venv").glob("*/bin/.ready"))


@pytest.fixture
def toolchain(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    loader = SourceFileLoader("toolchain_install", str(PROJECT / "toolchain/install"))
    spec = spec_from_loader(loader.name, loader)
    assert spec
    made = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, loader.name, made)  # for its dataclasses
    loader.exec_module(made)
    return made


@pytest.mark.parametrize(("failures", "built"), [(1, True), (2, False)])
def test_a_program_whose_download_broke_off_is_built_once_more(
    toolchain: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failures: int, built: bool
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    script(tools / "go", f'echo x >> {tmp_path}/tries; test $(wc -l < {tmp_path}/tries) -gt {failures} && touch "$8"')
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    try:
        toolchain.compile_go(toolchain.S3, tmp_path, tmp_path)
    except toolchain.Problem:
        assert not built
    assert (tmp_path / toolchain.S3.name).exists() is built
