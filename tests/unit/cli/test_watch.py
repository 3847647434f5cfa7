"""`requorum watch` as a command: it goes on until a signal, runs outside the swarm only, and never takes a saved consent."""

import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from recovery import cli
from recovery.cli import interrupt, watch
from recovery.errors import Refused
from recovery.pipeline.watching import Act, Decision, Rules
from recovery.settings import Settings
from tests.unit import factories as make

ID = "r0123456789abcdef"


@pytest.fixture
def rounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Rules]:
    """Runs in a project with a pulumi; one entry for each look, and SIGTERM comes in the pause after the third."""
    made: list[Rules] = []

    class Watcher:
        def __init__(self, stack: str, rules: Rules, means: Any) -> None:
            self.rules = rules

        def round(self) -> Decision:
            made.append(self.rules)
            return Decision(Act.NOTHING, "all is well")

    def pause(_: float) -> None:
        if len(made) == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    (tmp_path / "pulumi").write_text("#!/bin/sh\n")
    (tmp_path / "pulumi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(interrupt.ending, "told", False)  # as in a new process
    monkeypatch.setattr(watch, "Watcher", Watcher)
    monkeypatch.setattr(watch, "load", lambda _: make.settings())
    monkeypatch.setattr(interrupt, "time", SimpleNamespace(sleep=pause))
    return made


@pytest.mark.parametrize(("words", "rules"), [((), Rules()), (("--heal", "--at-most", "7"), Rules(True, 7))])
def test_it_looks_until_it_is_stopped(rounds: list[Rules], words: tuple[str, ...], rules: Rules) -> None:
    before = signal.getsignal(signal.SIGTERM)
    done = CliRunner().invoke(cli.app, ["watch", "-s", "lab", *words])
    signal.signal(signal.SIGTERM, before)
    assert done.exit_code == 130
    assert rounds == [rules] * 3


def test_it_ends_although_the_exception_of_the_signal_is_lost(
    rounds: list[Rules], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that is raised in a callback of the garbage collector is."""

    def lost(_: float) -> None:
        with suppress(KeyboardInterrupt):
            interrupt.interrupted()

    monkeypatch.setattr(interrupt, "time", SimpleNamespace(sleep=lost))
    before = signal.getsignal(signal.SIGTERM)
    done = CliRunner().invoke(cli.app, ["watch", "-s", "lab"])
    signal.signal(signal.SIGTERM, before)
    assert (done.exit_code, len(rounds)) == (130, 1)


def test_without_pulumi_it_does_not_begin(rounds: list[Rules], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    done = CliRunner().invoke(cli.app, ["watch", "-s", "lab"])
    assert (done.exit_code, "code: no-program" in done.stderr, rounds) == (1, True, [])


@pytest.mark.parametrize(("here", "code"), [("10.77.2.12", "watch-inside"), ("10.77.9.9", "")])
def test_it_does_not_watch_from_a_node(monkeypatch: pytest.MonkeyPatch, here: str, code: str) -> None:
    address = SimpleNamespace(address=here, family=socket.AF_INET)
    monkeypatch.setattr(watch.psutil, "net_if_addrs", lambda: {"eth0": [address]})
    found = ""
    try:
        watch.require_outside(make.settings())
    except Refused as error:
        found = error.code
    assert found == code


@pytest.mark.parametrize("saved", ["true", ID])
@pytest.mark.parametrize("given", ["", ID])
def test_only_the_consent_in_s3_counts_and_not_what_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saved: str, given: str
) -> None:
    file = tmp_path / "Pulumi.lab.yaml"
    text = f"config:\n  requorum:cluster: lab\n  requorum:recover: {saved}\n"
    file.write_text(text)

    def load(read: Path) -> Settings:
        found[:] = [read.read_text()]
        return make.settings()

    found: list[str] = []
    reader: Callable[[Path], Settings] = load
    monkeypatch.setattr(watch, "load", reader)
    with watch.opened(file, given):
        pass
    assert ("requorum:recover" in found[0], f"recover: {ID}" in found[0]) == (bool(given), bool(given))
    assert file.read_text() == text
