"""What sets a fresh machine up: a step that failed is never taken for done, and what only needs another try gets one."""

import io
import os
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

from toolchain import progress
from toolchain.progress import ERASE, Screen, State, line, remaining, shown

PROJECT = Path(__file__).parents[2]
TOOLCHAIN = PROJECT / "toolchain"
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
def loaded(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Loads a script of the toolchain as a module."""
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(TOOLCHAIN))

    def load(name: str) -> ModuleType:
        loader = SourceFileLoader(f"toolchain_{name}", str(TOOLCHAIN / name))
        spec = spec_from_loader(loader.name, loader)
        assert spec
        made = module_from_spec(spec)
        monkeypatch.setitem(sys.modules, loader.name, made)  # for its dataclasses
        loader.exec_module(made)
        return made

    return load


@pytest.fixture
def toolchain(loaded: Callable[[str], ModuleType]) -> ModuleType:
    return loaded("install")


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


# How far it is


@pytest.mark.parametrize(
    ("done", "seconds", "left"),
    [(10, 5, None), (11, 5, None), (19, 9, 81), (55, 60, 60), (100, 90, 0)],
    ids=["nothing done", "too little to go by", "a tenth", "a half", "all"],
)
def test_the_time_left_goes_by_what_was_done_since_it_is_known(done: float, seconds: float, left: float | None) -> None:
    assert remaining(State("", 10, 100), State("", done, 100), seconds) == left


@pytest.mark.parametrize(
    ("state", "left", "text"),
    [
        (State("fetching"), None, "fetching"),
        (State("compiling", 1, 4), None, "25%: compiling"),
        (State("compiling", 1, 4), 400, "25%, about 7 min left: compiling"),
        (State("compiling", 1, 4), 44, "25%, about 40 s left: compiling"),
        (State("compiling", 4, 4), 0, "100%, about 10 s left: compiling"),
    ],
)
def test_a_line_says_what_is_known(state: State, left: float | None, text: str) -> None:
    assert line(state, left) == text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def written(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    """What becomes of two states, one after the other."""
    for pause in ("IN_PLACE_SECONDS", "SPARSE_SECONDS"):
        monkeypatch.setattr(progress, pause, 0.01)
    states, looked_on = iter([State("first"), State("second")]), threading.Event()

    def look() -> State:
        if state := next(states, None):
            return state
        looked_on.set()
        return State("last")

    with shown(Screen("lab", stream), look):
        assert looked_on.wait(60)
    return stream.getvalue()


def test_in_a_file_each_state_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = written(io.StringIO(), monkeypatch).splitlines()
    assert lines[:2] == ["lab [   0s] first", "lab [   0s] second"]


def test_on_a_terminal_the_next_state_takes_the_place_of_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    shown_there = written(Terminal(), monkeypatch)
    assert shown_there.startswith(f"lab [   0s] first{ERASE}lab [   0s] second{ERASE}")
    assert shown_there.endswith(ERASE)
    assert "\n" not in shown_there


def test_a_line_that_stays_takes_the_place_of_a_state() -> None:
    screen = Screen("lab", terminal := Terminal())
    screen.say_for_now("at it")
    screen.say("done")
    assert terminal.getvalue() == f"lab [   0s] at it{ERASE}lab [   0s] done\n"


def listed(*packages: str, stale: bool = True) -> str:
    """What `go list` tells of packages with one file each; a name that has a version lies in a folder of that version."""
    return "\n".join(f"{str(stale).lower()}\t{name.split('@')[0]}\t/{name}\tfile.go" for name in packages)


@pytest.fixture
def estimate(loaded: Callable[[str], ModuleType]) -> ModuleType:
    return loaded("estimate.py")


def test_what_the_cache_has_is_not_ahead_but_is_linked(estimate: ModuleType) -> None:
    listing = "\n".join((listed("fmt", stale=False), listed("main")))
    sizes = estimate.ahead("cli", listing, size=lambda _: 100)
    assert sizes == {estimate.Work("main", "/main"): 100, estimate.Work("cli"): 200 * estimate.LINKED}


@pytest.mark.parametrize(
    ("logs", "built", "text", "share"),
    [
        ({}, [], "0 of 4 packages compiled, 0 of 2 programs linked", 0),
        ({"one": "fmt\n"}, [], "1 of 4 packages compiled, 0 of 2 programs linked", 100),
        ({"one": "fmt\nx\n"}, [], "2 of 4 packages compiled, 0 of 2 programs linked", 200),
        ({"two": "fmt\ngo: downloading x v1\n"}, [], "1 of 4 packages compiled, 0 of 2 programs linked", 100),
        ({"one": "fmt\n"}, ["one"], "3 of 4 packages compiled, 1 of 2 programs linked", 330),
        ({}, ["one", "two"], "4 of 4 packages compiled, 2 of 2 programs linked", 460),
    ],
)
def test_a_package_that_two_programs_need_counts_once_and_two_versions_count_twice(
    estimate: ModuleType, monkeypatch: pytest.MonkeyPatch, logs: dict[str, str], built: list[str], text: str, share: int
) -> None:
    monkeypatch.setattr(estimate, "LINKED", 0.1)
    lists = {"one": listed("fmt", "x@1", "main"), "two": listed("fmt", "x@2", "main")}
    work = {program: estimate.ahead(program, text, size=lambda _: 100) for program, text in lists.items()}
    found = estimate.state(["one", "two"], work, logs, built)
    assert (found.text, round(found.done), round(found.total)) == (text, share, 460)


def test_until_every_program_is_listed_nobody_knows_of_how_much(estimate: ModuleType) -> None:
    work = {"one": estimate.ahead("one", listed("fmt"), size=lambda _: 100)}
    logs = {"one": "fmt\n", "two-modules": "go: downloading x v1\ngo: downloading y v1\n"}
    found = estimate.state(["one", "two"], work, logs, [])
    assert (found.text, found.total) == ("fetching Go modules: 2 so far, and 1 packages compiled", 0)


def test_builds_know_how_far_they_are(toolchain: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a Go that lists two packages, of which it says that it compiles the one before a file is there that it waits for."""
    (tmp_path / "a.go").write_text("package a")
    waits = f"echo a >&2; until test -e {tmp_path}/go-on; do sleep 0.1; done; echo b >&2"
    lists = f'printf "true\\ta\\t{tmp_path}\\ta.go\\ntrue\\tb\\t{tmp_path}\\ta.go\\n"'
    (tools := tmp_path / "bin").mkdir()
    script(tools / "go", f'if test "$1" = list; then {lists}; else {waits}; fi')
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    (logs := tmp_path / "logs").mkdir()
    builds = toolchain.Builds([toolchain.S3], tmp_path, logs)
    with ThreadPoolExecutor() as pool:
        run = pool.submit(builds.run)
        while builds.state().text != "1 of 2 packages compiled, 0 of 1 programs linked":
            assert not run.done(), builds.state()
        (tmp_path / "go-on").touch()
        run.result()
    assert builds.state().text == "2 of 2 packages compiled, 1 of 1 programs linked"


def test_others_who_wait_for_a_build_are_told_how_far_it_is(toolchain: ModuleType, tmp_path: Path) -> None:
    assert toolchain.last_said(tmp_path / "progress") == "at work"
    (tmp_path / "progress").write_text("compiling, 25%")
    assert toolchain.last_said(tmp_path / "progress") == "compiling, 25%"


LOG = """Collecting asyncssh[bcrypt]==2.21.0 (from -r requirements-dev.txt (line 1))
  Downloading asyncssh-2.21.0-py3-none-any.whl (374 kB)
Collecting boto3==1.40.0 (from -r requirements-dev.txt (line 3))
"""


def test_python_packages_are_counted_as_pip_fetches_and_as_it_installs_them(
    loaded: Callable[[str], ModuleType],
) -> None:
    packages = loaded("python-packages")
    pinned = "asyncssh[bcrypt]==2.21.0 \\\n    --hash=sha256:00\nboto3==1.40.0\n    # via x==1\n"
    assert packages.wanted(pinned) == 2
    assert packages.state(2, LOG, 0) == packages.State("2 of 2 Python packages fetched", 2, 4)
    assert packages.state(2, LOG, 1) == packages.State("1 of 2 Python packages installed", 3, 4)


def test_the_project_s_python_packages_are_all_counted(loaded: Callable[[str], ModuleType]) -> None:
    text = (PROJECT / "requirements-dev.txt").read_text()
    assert loaded("python-packages").wanted(text) == text.count("==") > 50


# What is fetched


def test_the_toolchain_fetches_nothing_that_no_digest_pins() -> None:
    """Go compares modules with go.sum, pip packages with --require-hashes, and apt its packages with signed lists."""
    folders = [file.parent for file in TOOLCHAIN.rglob("go.mod")]
    assert len(folders) > 5
    assert all((folder / "go.sum").stat().st_size for folder in folders)
    scripts = {file.name: file.read_text() for file in TOOLCHAIN.iterdir() if file.is_file() and file.suffix != ".md"}
    assert {
        name
        for name, text in scripts.items()
        if re.search(r"https?://|urllib|requests|curl|wget|GOFLAGS|GONOSUM|-mod=mod", text)
    } == set()
    assert [
        line for line in scripts["install"].splitlines() if '"plugin", "install"' in line and "--file" not in line
    ] == []
    assert "--require-hashes" in scripts["python-packages"]
    assert "apt-get download" in scripts["promtool"]


def test_a_module_with_another_content_is_not_built(tmp_path: Path) -> None:
    """As somebody would have it who changes what a proxy gives out."""
    module = tmp_path / "proxy/example.org/it/@v"
    module.mkdir(parents=True)
    (module / "v1.0.0.info").write_text('{"Version": "v1.0.0"}')
    (module / "v1.0.0.mod").write_text("module example.org/it\n")
    with zipfile.ZipFile(module / "v1.0.0.zip", "w") as packed:
        packed.writestr("example.org/it@v1.0.0/go.mod", "module example.org/it\n")
        packed.writestr("example.org/it@v1.0.0/it.go", "package it\n")
    main = tmp_path / "main"
    main.mkdir()
    (main / "go.mod").write_text("module main\n\nrequire example.org/it v1.0.0\n")
    (main / "main.go").write_text('package main\n\nimport _ "example.org/it"\n\nfunc main() {}\n')
    (main / "go.sum").write_text(f"example.org/it v1.0.0 h1:{'A' * 43}=\nexample.org/it v1.0.0/go.mod h1:{'A' * 43}=\n")
    environment = {
        **os.environ,
        "GOPROXY": f"file://{tmp_path / 'proxy'}",
        "GOMODCACHE": str(tmp_path / "cache"),
        "GOFLAGS": "-modcacherw",
    }
    done = subprocess.run(
        ["go", "build", "-o", tmp_path / "made", "."], cwd=main, env=environment, capture_output=True, text=True
    )
    assert done.returncode
    assert "SECURITY ERROR" in done.stderr
    assert not (tmp_path / "made").exists()
