"""The bars of commands that take a while: on a terminal, and nowhere else."""

import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
import typer
from rich.console import Console

from recovery.cli import console, copies
from recovery.cli import progress as module
from recovery.cli.backup import backup
from recovery.cli.metrics import metrics
from recovery.cli.progress import progress
from recovery.cli.prune import prune
from recovery.errors import NoUsableCopy
from recovery.waiting import until
from tests.fake.cases import Case, Theatre
from tests.fake.wires import wired
from tests.unit.copies.candidates import DAY
from tests.unit.operations.pruning.stored import put, ruled

ERASED = "\x1b[2K"
CURSOR = "\x1b[?25h"
"""What rich writes to empty the line that the cursor is on, and to show the cursor again."""


class Terminal(io.StringIO):
    """What is written to it, bars and all."""

    def isatty(self) -> bool:
        return True


@contextmanager
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """Standard error as a terminal, as it is when the command line starts."""
    monkeypatch.setenv("TERM", "xterm")
    with redirect_stderr(Terminal()) as terminal:
        monkeypatch.setattr(console, "err", Console(stderr=True, width=100))
        yield terminal


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with wired() as wires:
        of = Theatre(wires).stage(Case(3, frozenset())).settings
        monkeypatch.setattr(console, "_settings", lambda *_: of)
        yield


def test_a_bar_moves_on_and_is_gone_in_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with watched(monkeypatch) as terminal, progress("removing [two]", 2) as done:
        done()
        console.say("a line")
        print("the output proper")
        done()
    shown = terminal.getvalue()
    assert all(part in shown for part in ("removing [two]", "a line", "2/2"))
    assert shown.endswith(ERASED)
    assert CURSOR in shown
    assert capsys.readouterr().out == "the output proper\n"


def test_what_cannot_be_counted_counts_its_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SOON", 0.01)
    with watched(monkeypatch) as terminal, progress("reading"):
        assert until(lambda: "reading 0 s" in terminal.getvalue(), 20, pause=0.01)
    assert terminal.getvalue().endswith(ERASED)


def test_what_ends_soon_has_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SOON", 3600)
    with watched(monkeypatch) as terminal, progress("reading"):
        pass
    assert terminal.getvalue() == ""


def test_an_error_ends_the_bar_and_is_shown_after_it(cluster: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        watched(monkeypatch) as terminal,
        pytest.raises(typer.Exit),
        console.opened("lab", None),
        progress("reading", 1),
    ):
        raise NoUsableCopy("reading", "there is none", remedy="look")
    assert terminal.getvalue().rindex("there is none") > terminal.getvalue().rindex(ERASED)


@pytest.mark.parametrize(
    ("terminal", "asked", "there"),
    [(True, {}, True), (True, {"TERM": "dumb"}, False), (False, {"FORCE_COLOR": "1"}, False)],
    ids=["terminal", "terminal that cannot", "file in colours"],
)
def test_it_is_there_on_a_terminal_and_only_there(terminal: bool, asked: dict[str, str], there: bool) -> None:
    """As a program of its own: rich looks at the streams when it starts."""
    program = "from recovery.cli.progress import progress\nwith progress('removing', 2) as done:\n    done()\n    print('out')"
    ours, theirs = pty.openpty() if terminal else os.pipe()
    environment = {**os.environ, "TERM": "xterm", **asked}
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=theirs, env=environment)
    os.write(theirs, b"end")
    shown = os.read(ours, 1 << 16)
    os.close(ours)
    os.close(theirs)
    assert (done.returncode, done.stdout) == (0, b"out\n")
    assert (b"1/2" in shown) is there
    assert there or shown == b"end"


def shown_by(monkeypatch: pytest.MonkeyPatch, command: Callable[..., None], **given: Any) -> str:
    """What a command that ends well shows on a terminal."""
    with watched(monkeypatch) as terminal:
        try:
            command(**given)
        except typer.Exit as end:
            if end.exit_code:
                raise
    return terminal.getvalue()


class AtOnce(Timer):
    """A timer that does not wait."""

    def start(self) -> None:
        self.function()

    def join(self, timeout: float | None = None) -> None:
        del timeout


@pytest.mark.parametrize(
    ("command", "bar"),
    [
        (backup, "copying"),
        (copies.drill, "restoring"),
        (copies.verify, "reading swarm-"),
        (metrics, "asking the nodes and S3 0 s"),
    ],
    ids=["backup", "drill", "verify", "metrics"],
)
def test_commands_that_take_a_while_show_one(
    cluster: None, monkeypatch: pytest.MonkeyPatch, command: Callable[..., None], bar: str
) -> None:
    monkeypatch.setattr(module, "Timer", AtOnce)
    shown = shown_by(monkeypatch, command)
    assert ERASED in shown
    assert bar in shown
    assert ("3/3" in shown) is (command in (backup, copies.drill))


@pytest.mark.parametrize("command", [backup, copies.drill, copies.verify], ids=["backup", "drill", "verify"])
def test_in_json_there_is_none(
    cluster: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: Callable[..., None],
) -> None:
    assert ERASED not in shown_by(monkeypatch, command, as_json=True)
    assert json.loads(capsys.readouterr().out)["version"] == 1


@pytest.mark.parametrize("as_json", [False, True], ids=["for eyes", "json"])
def test_prune_counts_what_it_removes(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    of = ruled(last=1)
    for days in (1, 2, 3):
        put(of, tmp_path, days * DAY)
    monkeypatch.setattr(console, "_settings", lambda *_: of)
    assert ("2/2" in shown_by(monkeypatch, prune, yes=True, as_json=as_json)) is not as_json
