"""The watch: after which change it starts a round, and when."""

import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recovery.agent import watch
from recovery.agent.diary import Diary

SOON = 30
"""Seconds, also on a machine that is slow or busy."""


class Ended(Exception):
    """The watch would wait for another change."""


def watched(monkeypatch: pytest.MonkeyPatch, managers_before: int, state: str) -> tuple[list[float], list[str]]:
    """The seconds that a watch waits after a change, and what it runs then; ``state`` is the one of the round's unit."""
    waited, ran = list[float](), list[str]()

    def events(_: Path) -> Iterator[bytes]:
        yield b""
        threading.Event().wait()

    def pause(seconds: float) -> None:
        if threading.current_thread() is not threading.main_thread():
            threading.Event().wait()
        if waited:
            raise Ended
        waited.append(seconds)

    def run(argv: tuple[str, ...], **_: Any) -> subprocess.CompletedProcess[str]:
        ran.append(argv[1])
        looking._changed.set()  # for another round, before which it ends
        return subprocess.CompletedProcess(argv, 0, f"{state}\n")

    looking = watch.Watch(Path("/socket"), Quiet())
    monkeypatch.setattr(watch.api, "events", events)
    monkeypatch.setattr(watch.api, "ask", lambda *_: {"Swarm": {"NodeID": "b"}, "Version": {"Index": 7}})
    monkeypatch.setattr(watch.order, "rank", lambda nodes, node_id: managers_before)
    monkeypatch.setattr(watch, "sleep", pause)
    monkeypatch.setattr(watch.subprocess, "run", run)
    with pytest.raises(Ended):
        looking.run()
    return waited, ran


@pytest.mark.parametrize("managers_before", [0, 1, 2])
def test_after_a_change_each_manager_gives_those_before_it_time(
    managers_before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited, _ = watched(monkeypatch, managers_before, "inactive")
    assert waited == [watch.DEBOUNCE_SECONDS + managers_before * watch.PATIENCE_SECONDS]


@pytest.mark.parametrize(("state", "starts"), [("inactive", 1), ("failed", 1), ("activating", 2)])
def test_a_round_that_may_have_looked_before_the_change_is_followed_by_another(
    state: str, starts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, ran = watched(monkeypatch, 0, state)
    assert ran == ["show", *["start"] * starts]


class Quiet(Diary):
    """A diary that only knows what it was told."""

    def __init__(self) -> None:
        self.noted: list[bool] = []

    def note(self, *, quorum: bool, now: float | None = None) -> None:
        self.noted.append(quorum)


SILENT = watch.api.Refused("GET /swarm: the swarm does not have a leader")
ASKS, RESTS = watch.ASK_SECONDS, watch.SILENT_SECONDS


@pytest.mark.parametrize(
    ("answers", "up", "told"),
    [
        ([7, 7, 8, SILENT, 8], "abc", [(ASKS, True), (ASKS, False), (ASKS, True), (RESTS, False), (ASKS, True)]),
        ([7, 7, 8], "ac", [(ASKS, True), (ASKS, False), (ASKS, True)]),
        ([7, "not asked", 7], "c", [(ASKS, True), (RESTS, False), (ASKS, True)]),
    ],
    ids=["of three", "of two", "of a survivor"],
)
def test_a_change_of_the_swarm_itself_of_which_no_event_tells_starts_a_round(
    answers: list[Any], up: str, told: list[tuple[float, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as another unlock key. Who sees no quorum, or has no answer, rests: an engine that looks for its leader is held by it."""
    heard, diary = list[tuple[float, bool]](), Quiet()
    asking, done = watch.Watch(Path("/socket"), diary), threading.Event()

    def ask(_: Path, __: str, what: str) -> Any:
        if what == "/nodes":
            managers = [{"ID": name, "ManagerStatus": {"Addr": f"{name}:2377"}} for name in "abc"]
            return [*managers, {"ID": "worker"}]
        if what != "/swarm":
            return {"Swarm": {"NodeID": "b"}}
        answer = answers[len(heard)]
        if isinstance(answer, Exception):
            raise answer
        assert answer != "not asked"
        return {"Version": {"Index": answer}}

    def pause(seconds: float) -> None:
        heard.append((seconds, asking._changed.is_set()))
        asking._changed.clear()
        if len(heard) == len(answers):
            done.set()
            threading.Event().wait()

    def never(_: Path) -> Iterator[bytes]:
        threading.Event().wait()
        yield b""

    monkeypatch.setattr(watch.api, "events", never)
    monkeypatch.setattr(watch.api, "ask", ask)
    monkeypatch.setattr(watch, "_accepts", lambda address: address.removesuffix(":2377") in up)
    monkeypatch.setattr(watch, "sleep", pause)
    monkeypatch.setattr(asking._changed, "wait", threading.Event().wait)  # its round is for the other tests
    threading.Thread(target=asking.run, daemon=True).start()
    assert done.wait(SOON), "it does not ask"
    assert heard == told
    assert diary.noted == [seconds == ASKS for seconds, _ in told]


def test_a_port_that_is_open_is_told_from_one_that_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert watch._accepts(address)
    assert not watch._accepts(address)
