"""A status that stays: in place on a real terminal of any size, a line for each change elsewhere, and Ctrl-C ends it."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from typer.testing import CliRunner

from recovery import cli
from recovery.cli import console
from recovery.cli.show.changed import changes
from recovery.plain import ESCAPES
from tests.fake.cases import Case, Theatre
from tests.fake.wires import wired
from tests.unit import factories as make
from tests.unit.cli.watched import status

SECONDS = 120
WHOLE = pytest.mark.whole
PROJECT = Path(__file__).resolve().parents[3]
ENTER, LEAVE, SHOW = b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?25h"


def test_what_changed_is_told_with_before_and_now() -> None:
    found = [change.line for change in changes(status("healthy"), status("silent"))]
    assert found == [
        "03:04:05 cluster lab: healthy -> 2 of 3 managers",
        "03:04:05 next: none -> docker start manager-c (docker unpause, where one is paused), wait 60 s, then: requorum status",
        "03:04:05 manager-c: manager, ready, drain -> manager, down, silent, unreachable, drain",
    ]
    assert changes(status("silent"), status("silent")) == ()


class Terminal:
    """A real terminal in which a program watches a file."""

    def __init__(self, file: Path, rows: int, columns: int, term: str) -> None:
        self.ours, theirs = pty.openpty()
        self.resize(rows, columns)
        environment = {**os.environ, "TERM": term}
        environment.pop("COLUMNS", None)
        environment.pop("LINES", None)
        words = [sys.executable, "-m", "tests.unit.cli.watched", str(file)]
        self.running = subprocess.Popen(
            words, cwd=PROJECT, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        self.shown = b""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self) -> bytes:
        assert select.select([self.ours], [], [], SECONDS)[0], self.shown[-2000:]
        try:
            new = os.read(self.ours, 1 << 16)
        except OSError:  # the other end is closed
            new = b""
        self.shown += new
        return new

    def until(self, words: str) -> str:
        """What is drawn from here on until those words come."""
        start, late = len(self.shown), monotonic() + SECONDS
        while words not in plain(self.shown[start:]):
            assert self.read(), plain(self.shown[start:])
            assert monotonic() < late, plain(self.shown[-2000:])
        return plain(self.shown[start:])

    def end(self) -> int:
        """Press Ctrl-C; the exit status."""
        self.running.send_signal(signal.SIGINT)
        while self.read():
            pass
        return self.running.wait(SECONDS)


def plain(drawn: bytes) -> str:
    return ESCAPES.sub("", drawn.decode(errors="replace"))


def frames(drawn: bytes) -> list[list[str]]:
    """The lines of each drawing between the beginning and the end of the screen."""
    within = drawn.partition(ENTER)[2].partition(LEAVE)[0]
    return [plain(one).split("\r\n") for one in re.split(rb"\x1b\[H", within)[1:-1]]


@contextmanager
def watching(file: Path, rows: int, columns: int, term: str = "xterm") -> Iterator[Terminal]:
    terminal = Terminal(file, rows, columns, term)
    try:
        yield terminal
    finally:
        if terminal.running.poll() is None:
            terminal.running.kill()
        terminal.running.wait()
        os.close(terminal.ours)


def test_a_terminal_shows_it_in_place_marks_what_changed_and_gets_its_screen_back(tmp_path: Path) -> None:
    (file := tmp_path / "state").write_text("healthy")
    with watching(file, 40, 120) as terminal:
        terminal.until("worker-20")
        file.write_text("silent")
        marked = terminal.until("* manager-c")
        assert "manager-c: manager, ready, drain -> manager, down, silent, unreachable, drain" in marked
        assert "looked 0 s ago, every 0.2 s. Ctrl-C ends this" in marked
        assert terminal.end() == 3
        after = terminal.shown.partition(LEAVE)[2]
        assert SHOW in terminal.shown
        assert "2 of 3 managers" in plain(after), "what was seen last stays"
        assert "*" not in plain(after)
        assert "Traceback" not in plain(terminal.shown)
        assert "interrupted" not in plain(terminal.shown)


def test_a_terminal_that_cannot_be_drawn_on_gets_a_line_for_each_change(tmp_path: Path) -> None:
    (file := tmp_path / "state").write_text("healthy")
    with watching(file, 40, 120, term="dumb") as terminal:
        terminal.until("worker-20")
        file.write_text("silent")
        terminal.until("03:04:05 cluster lab: healthy -> 2 of 3 managers")
        assert terminal.end() == 3
        assert b"\x1b" not in terminal.shown


@pytest.mark.parametrize(
    ("rows", "columns"), [(6, 60), pytest.param(12, 80, marks=WHOLE), pytest.param(24, 160, marks=WHOLE)]
)
def test_it_fits_into_any_window_and_keeps_the_state_and_the_next_command(
    rows: int, columns: int, tmp_path: Path
) -> None:
    (file := tmp_path / "state").write_text("lost")
    with watching(file, 50, 120) as terminal:
        terminal.until("worker-20")
        terminal.resize(rows, columns)
        for _ in range(4):
            terminal.until("next: ")
        first = len(terminal.shown)
        for _ in range(4):
            terminal.until("next: ")
        assert terminal.end() == 4
        drawn = frames(ENTER + terminal.shown[first:])
    assert len(drawn) >= 2
    for lines in drawn:
        assert len(lines) <= rows
        assert max(map(len, lines)) <= columns
        assert lines[0].startswith("cluster lab")
        assert "next: " in "".join(lines)


def run(file: Path, *options: str) -> Generator[str, None, None]:
    """The lines of a program whose output is piped, until somebody ends it."""
    words = [sys.executable, "-m", "tests.unit.cli.watched", str(file), *options]
    with subprocess.Popen(words, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        clock = threading.Timer(SECONDS, running.kill)
        clock.start()
        assert running.stdout
        assert running.stderr
        try:
            while line := running.stdout.readline():
                yield line
        finally:
            clock.cancel()
            running.send_signal(signal.SIGINT)
            rest, said = running.stdout.read(), running.stderr.read()
            assert running.wait(SECONDS) in {0, 3, 4}
            assert (rest + said).count("Traceback") == 0


def test_piped_it_prints_the_first_look_and_then_a_line_for_each_change(tmp_path: Path) -> None:
    (file := tmp_path / "state").write_text("healthy")
    lines = run(file)
    first = [next(lines) for _ in range(len(make.healthy(make.settings()).managers) + 22)]
    assert first[0].startswith("cluster lab")
    file.write_text("silent")
    found = [next(lines) for _ in range(3)]
    assert [line.split(" ")[1] for line in found] == ["cluster", "next:", "manager-c:"]
    assert "\x1b" not in "".join((*first, *found))
    lines.close()


def test_as_json_each_look_is_a_line(tmp_path: Path) -> None:
    (file := tmp_path / "state").write_text("healthy")
    lines = run(file, "--json")
    assert [json.loads(next(lines))["exitCode"] for _ in range(2)] == [0, 0]
    lines.close()


def test_a_page_is_of_one_look(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(console, "_settings", lambda *_: make.settings())
    done: Any = CliRunner().invoke(cli.app, ["status", "--watch", "--html", str(tmp_path / "x.html")])
    assert done.exit_code == 2
    assert "code: bad-argument" in done.stderr


def test_the_command_looks_until_ctrl_c_and_ends_with_the_status_of_the_last_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses = iter(range(3))

    def pause(_: float) -> None:
        if next(pauses, None) is None:
            raise KeyboardInterrupt

    with wired() as wires:
        scene = Theatre(wires).stage(Case(3, frozenset({"manager-b"})))
        monkeypatch.setattr(console, "_settings", lambda *_: scene.settings)
        monkeypatch.setattr("recovery.cli.interrupt.time.sleep", pause)
        done = CliRunner().invoke(cli.app, ["status", "--watch", "--every", "1"])
    assert done.exit_code == 3, done.output
    assert done.stdout.startswith("cluster ")
    assert "interrupted" not in done.output
