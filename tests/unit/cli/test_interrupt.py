"""Ctrl-C, and questions that nobody answers: one sentence, no traceback, and nothing that was not consented to."""

import fcntl
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from recovery import cli
from recovery.cli import console, rescue
from recovery.cli.interrupt import Ending
from tests.fake.cases import Case, Theatre
from tests.fake.wires import wired
from tests.unit import factories as make

NOBODY, TWO = frozenset[str](), frozenset({"manager-b", "manager-c"})
SECONDS = 60
"""Without a word, a program hangs."""
PROJECT = Path(__file__).resolve().parents[3]
STACK = """
config:
  requorum:cluster: lab
  requorum:subnet: 127.9.0.0/16
  requorum:managers: [{{address: 127.9.1.11}}, {{address: 127.9.2.11}}, {{address: 127.9.3.11}}]
  requorum:hosts: {{driver: existing}}
  requorum:ssh: {{privateKeyFile: {key}, knownHostsFile: {key}.pub, port: {port}}}
  requorum:backup: {{bucket: copies, endpoint: "http://127.0.0.1:9", recipients: [{recipient}]}}
"""


@contextmanager
def silent(tmp_path: Path) -> Iterator[Path]:
    """A stack file whose first node accepts connections and never says a word."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    with socket.create_server(("127.9.1.11", 0)) as server:
        file = tmp_path / "Pulumi.lab.yaml"
        given = {"key": key, "port": server.getsockname()[1], "recipient": make.IDENTITY.to_public()}
        file.write_text(STACK.format(**given))
        yield file


def read_until(terminal: int, words: bytes) -> bytes:
    """What a program shows until those words, which must come."""
    found = b""
    while words not in found:
        assert select.select([terminal], [], [], SECONDS)[0], found
        found += os.read(terminal, 1 << 16)
    return found


def test_a_terminal_counts_the_seconds_and_ctrl_c_ends_with_one_sentence(tmp_path: Path) -> None:
    environment = {**os.environ, "TERM": "xterm", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}
    ours, theirs = pty.openpty()
    with silent(tmp_path) as file:
        words = [sys.executable, "-m", "recovery", "--config-file", str(file), "status"]
        with subprocess.Popen(words, cwd=PROJECT, env=environment, stdout=theirs, stderr=theirs) as running:
            read_until(ours, b"asking the nodes and S3")
            running.send_signal(signal.SIGINT)
            shown = read_until(ours, b"run the same command again").decode()
            assert running.wait(SECONDS) == 130
    os.write(theirs, b"end")
    rest = read_until(ours, b"end").decode()
    os.close(ours)
    os.close(theirs)
    assert "interrupted: nothing was changed. next: run the same command again" in shown
    assert "Traceback" not in shown + rest
    assert (shown + rest).count("interrupted") == 1


INIT = (("init", "--stack", "new"), b"Addresses of the managers", "no node was changed. next: ")
ESCROW = (("escrow",), b"unlock key", "nothing was changed. next: ")


@pytest.mark.parametrize(
    ("words", "question", "stands", "typed", "status", "told"),
    [
        (*INIT, b"\x03", 130, "interrupted: "),
        (*INIT, b"\x04", 1, "nobody answers, so "),
        (*ESCROW, b"\x03", 130, "interrupted: "),
    ],
    ids=["init, Ctrl-C", "init, Ctrl-D", "escrow, Ctrl-C"],
)
def test_a_question_is_left_by_ctrl_c_and_ctrl_d(
    tmp_path: Path, words: tuple[str, ...], question: bytes, stands: str, typed: bytes, status: int, told: str
) -> None:
    ours, theirs = pty.openpty()
    with silent(tmp_path) as file:
        named = () if words[0] == "init" else ("--config-file", str(file))
        environment = {**os.environ, "TERM": "xterm", "HOME": str(tmp_path), "REQUORUM_PROJECT": str(tmp_path)}
        argv = [sys.executable, "-m", "recovery", *words, *named]
        with subprocess.Popen(
            argv, cwd=PROJECT, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=own_terminal
        ) as running:
            try:
                read_until(ours, question)
                await_asleep(running.pid)
                os.write(ours, typed)
                shown = read_until(ours, b"next: ").decode()
                assert running.wait(SECONDS) == status
            finally:
                running.kill()
    os.close(ours)
    os.close(theirs)
    assert told + stands in shown
    assert "Aborted" not in shown


def await_asleep(process: int) -> None:
    """Wait until a process waits for its input. Python sees a signal that comes just before it reads only after the next line."""
    end = time.monotonic() + SECONDS
    while Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "S":
        assert time.monotonic() < end
        time.sleep(0.01)


def own_terminal() -> None:
    """Make the standard input of this process its terminal, so that Ctrl-C reaches it."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.mark.parametrize(("told", "status"), [(True, 130), (False, 1)], ids=["C", "D"])
def test_the_question_of_a_rescue_is_left_so_too(monkeypatch: pytest.MonkeyPatch, told: bool, status: int) -> None:
    monkeypatch.setattr(console, "ending", Ending(told=told))
    monkeypatch.setattr(rescue, "at_terminal", lambda: True)

    def left(*_: Any, **__: Any) -> Any:
        raise typer.Abort

    monkeypatch.setattr(typer, "prompt", left)
    with pytest.raises(typer.Exit) as ended:
        rescue._key_reader("")()
    assert ended.value.exit_code == status


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    with wired() as wires:
        scene = Theatre(wires).stage(Case(3, frozenset()))
        monkeypatch.setattr(console, "_settings", lambda *_: scene.settings)
        for place in ("recovery.cli.console.ending", "recovery.cli.interrupt.ending"):
            monkeypatch.setattr(place, Ending())
        yield lambda *words, **given: CliRunner().invoke(cli.app, words, **given)


INTERRUPTED = [
    ("recovery.cli.status.status_of", ("status",), "nothing was changed"),
    ("recovery.cli.backup.take_copies", ("copies", "take"), "requorum copies list shows them"),
    ("recovery.operations.restart.restart", ("restart", "manager-a", "--yes"), "the engine may be restarting"),
    ("recovery.operations.drill.drill", ("copies", "drill"), "no node is changed"),
]


@pytest.mark.parametrize(("place", "words", "told"), INTERRUPTED, ids=[" ".join(row[1]) for row in INTERRUPTED])
def test_a_command_says_where_things_stand(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, place: str, words: tuple[str, ...], told: str
) -> None:
    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(place, interrupted)
    done = run(*words)
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("interrupted: "))
    assert told in line
    assert "next: " in line
    assert done.exit_code == 130


def test_a_question_without_an_answer_changes_nothing_and_says_how_to_go_on(run: Callable[..., Any]) -> None:
    done = run("restart", "manager-a", input="")
    assert done.exit_code == 1
    assert "nothing was changed. next: give --yes" in done.stderr


@pytest.mark.parametrize(
    ("words", "lost", "code"),
    [
        (("promote", "manager-a"), NOBODY, "not-promotable"),
        (("restart", "manager-a"), TWO, "recover-first"),
        (("reboot", "manager-a"), TWO, "recover-first"),
        (("fence", "manager-a"), NOBODY, "not-lost"),
    ],
    ids=["promote", "restart", "reboot", "fence"],
)
def test_what_would_be_refused_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], lost: frozenset[str], code: str
) -> None:
    with wired() as wires:
        scene = Theatre(wires).stage(Case(3, lost))
        monkeypatch.setattr(console, "_settings", lambda *_: scene.settings)
        done = CliRunner().invoke(cli.app, words, input="y")
        assert "Continue?" not in done.output
        assert f"code: {code}" in done.stderr
        assert done.exit_code == 1


@pytest.mark.parametrize("words", [(), ("--yes",)], ids=["asked", "agreed"])
def test_what_nobody_can_switch_off_is_refused_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    with wired() as wires:
        scene = Theatre(wires).stage(Case(3, NOBODY))
        hosts = make.settings(hosts={"driver": "existing"}).hosts
        monkeypatch.setattr(console, "_settings", lambda *_: scene.settings.model_copy(update={"hosts": hosts}))
        done = CliRunner().invoke(cli.app, ["fence", "manager-b", *words])
    assert "code: no-fence-command" in done.stderr
    assert "requorum fence manager-b --lost" in " ".join(done.stderr.split())
    assert done.exit_code == 1


def test_before_the_consent_nothing_was_changed(run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> Any:
        console.ending.tell()
        raise typer.Abort

    monkeypatch.setattr(typer, "confirm", interrupted)
    done = run("restart", "manager-a")
    assert done.exit_code == 130
    assert "interrupted: nothing was changed" in done.stderr
