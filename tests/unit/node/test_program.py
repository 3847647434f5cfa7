"""The program that is sent to the nodes: whole, and of nothing but the standard library."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mypy import api as mypy

from recovery.node import program
from recovery.node.reported import FORMS
from recovery.onnode import __main__ as onnode
from recovery.onnode import api, confined, copying, sandbox
from recovery.onnode.archive import Unfit
from recovery.swarm import records
from tests.layers import ROOT


def run(*arguments: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    """The program as a node runs it, without any package that is installed."""
    packed = program.packed()
    argv = [sys.executable, *program.PYTHON[1:], str(len(packed)), *arguments]
    return subprocess.run(argv, input=packed + stdin, capture_output=True)


def test_it_starts_without_any_package() -> None:
    done = run("nothing like a verb")
    assert b"ValueError: nothing like a verb" in done.stderr


def test_it_is_typed_for_the_oldest_python_of_a_node() -> None:
    """docs/limits.md promises Python 3.10. What the standard library got later fails when a module is imported."""
    files = [str(ROOT / "recovery" / f"{name}.py") for name in program.MODULES]
    told, faults, status = mypy.run(["--python-version", "3.10", "--config-file", str(ROOT / "pyproject.toml"), *files])
    assert status == 0, told + faults


def test_it_looks_without_any_package() -> None:
    done = run("look", json.dumps({"node": "manager-a", "peers": [], "port": 4789, "token": "t1"}))
    assert records.typed(FORMS["look"], json.loads(done.stdout)).machine, done.stderr


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (
            ["nothing-like-it"],
            "nothing-like-it is missing on the node (requorum check --setup tells how to install it)",
        ),
        (["cat", "/nothing/like/it"], "Command '['cat', '/nothing/like/it']' returned non-zero exit status 1."),
    ],
    ids=["missing", "failed"],
)
def test_a_program_that_is_missing_is_named(
    argv: list[str], why: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(onnode, "_run", lambda *_: subprocess.run(argv, check=True, capture_output=True))
    assert onnode.main("x", ["seal"]) == onnode.BROKEN
    assert capsys.readouterr().err == f"{why}\n"


def test_it_is_the_same_each_time() -> None:
    before = program.packed()
    program.packed.cache_clear()
    assert program.packed() == before


def test_a_fault_of_the_copy_is_told_apart_from_any_other(tmp_path: Path) -> None:
    torn = run("seal", str(tmp_path), "age1")
    assert torn.returncode == 1, "there is no copy to seal"


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sandbox, "LOCK", tmp_path / "lock")
    monkeypatch.setattr(sandbox, "LOCK_SECONDS", 0.2)
    return tmp_path / "lock"


@pytest.mark.usefixtures("lock")
def test_without_memory_nothing_is_proven_and_nothing_blamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_available", lambda: 100 << 20)
    with pytest.raises(sandbox.Unable, match="the node has 100 MiB of memory to spare, and 4"):
        sandbox.prove("x", tmp_path / "copy", "10.0.0.1", 64_000_000, b"")


@pytest.mark.parametrize(
    ("connection", "who"), [("", "the agent"), ("10.0.0.9 4 10.0.0.1 22", "somebody from 10.0.0.9")]
)
def test_of_two_proofs_on_a_node_the_second_waits_and_says_for_whom(
    lock: Path, monkeypatch: pytest.MonkeyPatch, connection: str, who: str
) -> None:
    monkeypatch.setattr(sandbox, "_available", lambda: pytest.fail("its memory is the other one's"))
    monkeypatch.setenv("SSH_CONNECTION", connection)
    with sandbox._alone(), pytest.raises(sandbox.Unable, match=rf"^{who} \(process \d+\) still proves a copy here"):
        sandbox.prove("/dev/null", lock, "10.0.0.1", 1, b"")
    monkeypatch.setattr(sandbox, "_available", lambda: 0)
    with pytest.raises(sandbox.Unable, match="the node has 0 MiB"):
        sandbox.prove("/dev/null", lock, "10.0.0.1", 1, b"")


def test_a_sandbox_keeps_others_away_also_when_whoever_asked_for_it_is_gone(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[subprocess.Popen[bytes]] = []

    def begun(_: object, **given: Any) -> "subprocess.CompletedProcess[bytes]":
        left.append(subprocess.Popen(["sleep", "60"], pass_fds=given["pass_fds"]))
        raise KeyboardInterrupt

    monkeypatch.setattr(sandbox, "_available", lambda: 1 << 40)
    monkeypatch.setattr(subprocess, "run", begun)
    with pytest.raises(KeyboardInterrupt):
        sandbox.prove("/dev/null", lock, "10.0.0.1", 1, b"")
    with pytest.raises(sandbox.Unable, match="still proves"):
        sandbox.prove("/dev/null", lock, "10.0.0.1", 1, b"")
    left[0].kill()
    left[0].wait()
    with sandbox._alone():
        pass


def _without_namespaces(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """The program of a sandbox, without one."""
    for name in ("_run", "_until_up", "_unpack"):
        monkeypatch.setattr(sandbox, name, lambda *_: None)
    monkeypatch.setattr(confined, "enter", lambda *_: None)
    monkeypatch.setattr(confined, "engine", lambda *argv: list(argv))
    monkeypatch.setattr(sandbox, "LOG", folder / "log")
    monkeypatch.setattr(sandbox, "CONFIG", folder / "daemon.json")


@pytest.mark.parametrize(
    ("engine", "error", "why"),
    [
        ("kill -KILL $$", sandbox.Unable, "killed, for want of memory: 301 MiB were allowed"),
        ("echo 'panic: torn'; exit 2", sandbox.Failed, "the engine broke down over it: panic: torn"),
        (
            """echo 'time="x" level=panic msg="tocommit(9) is out of range" module=raft'; echo 'panic: (*logrus.Entry) 0x1'; exit 2""",
            sandbox.Failed,
            r"the engine broke down over it: tocommit\(9\) is out of range$",
        ),
        ("exec sleep 60", sandbox.Unable, "did not answer: gone"),
    ],
)
def test_an_engine_that_the_kernel_kills_says_nothing_about_the_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str, error: type[Exception], why: str
) -> None:
    def unanswered(*_: object, **__: object) -> None:
        raise ConnectionResetError("gone")

    _without_namespaces(monkeypatch, tmp_path)
    monkeypatch.setattr(sandbox, "_ask", unanswered)
    monkeypatch.setattr(sandbox, "DOCKERD", ("sh", "-c", engine))
    with pytest.raises(error, match=why):
        sandbox.inside(tmp_path / "copy", "10.0.0.1", 1 << 20, b"")


def test_the_election_in_a_sandbox_may_take_as_long_as_the_proof(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: dict[str, float] = {}

    def ask(_: Path, __: str, what: str, ___: object = None, *, seconds: float) -> Any:
        waits[what] = seconds
        return {"ID": "x", "Version": {"Index": 1}, "Swarm": {"NodeID": "y"}, "ServerVersion": "z"} if what else []

    _without_namespaces(monkeypatch, tmp_path)
    monkeypatch.setattr(api, "ask", ask)
    monkeypatch.setattr(api, "KINDS", {"nodes": ""})
    monkeypatch.setattr(sandbox, "DOCKERD", ("sleep", "60"))
    assert sandbox.inside(tmp_path / "copy", "10.0.0.1", 1, b"")["node_id"] == "y"
    assert waits.pop("/swarm/init") == sandbox.SECONDS
    assert set(waits.values()) == {api.REQUEST_SECONDS}


@pytest.mark.parametrize("content", [b"", b"half of it"])
def test_a_torn_archive_is_unfit_on_the_node_too(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "copy").write_bytes(content)
    with pytest.raises(Unfit):
        copying.read(tmp_path / "copy")
