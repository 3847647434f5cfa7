"""Whatever one node of six answers: the others are seen as before, every command ends as documented, and the node is named."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from copy import deepcopy
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from recovery import cli
from recovery.cluster import Cluster
from recovery.node.shell import Output
from recovery.survey.nodes import stable_survey
from recovery.swarm.model import Reach
from tests.adversary.hostile import BYTES, CODES, JSON
from tests.fake.cases import Case, Scene, Theatre
from tests.fake.engine import FakeApi
from tests.fake.shell import FakeShell
from tests.fake.wires import wired

DOCTOR = import_module("recovery.cli.doctor")
WHOLE = 1 << 16
ANSWERS = ("info", "nodes", "services", "tasks", "secrets", "networks", "configs", "inspect_swarm", "inspect_node")
COMMANDS = (
    ["status"], ["status", "--json"], ["plan"], ["doctor"], ["check"], ["metrics"], ["agents", "list"],
    ["copies", "take", "manager-b"], ["copies", "drill"], ["recover", "--yes"],
)  # fmt: skip


@pytest.fixture(scope="module")
def theatre() -> Iterator[Theatre]:
    with wired() as wires:
        yield Theatre(wires)


def spoilt(data: st.DataObject, answer: Any) -> Any:
    """The answer with another value somewhere in it, or in its place."""
    if isinstance(answer, Mapping | list) and answer and data.draw(st.integers(0, 5)):
        made: Any = deepcopy(answer)
        keys = sorted(answer, key=str) if isinstance(answer, Mapping) else range(len(answer))
        key = data.draw(st.sampled_from(keys))
        made[key] = spoilt(data, answer[key])
        return made
    return data.draw(JSON)


def cut(data: st.DataObject, said: bytes) -> bytes:
    """The output with other bytes somewhere in it. What is drawn does not depend on its length: it may hold the time of day."""
    parts = data.draw(st.tuples(st.integers(0, WHOLE), st.integers(0, WHOLE)))
    start, end = sorted(part * len(said) // WHOLE for part in parts)
    return said[:start] + data.draw(BYTES) + said[end:]


def lying(patch: pytest.MonkeyPatch, data: st.DataObject, address: str) -> None:
    """Let the machine at the address answer anything: its engine to some questions, its commands to some others."""
    asked = data.draw(st.sets(st.sampled_from(ANSWERS), min_size=1, max_size=3))
    for verb in asked:
        real = getattr(FakeApi, verb)

        def answer(api: FakeApi, *given: Any, real: Any = real, **named: Any) -> Any:
            found = real(api, *given, **named)
            return spoilt(data, found) if api._address == address else found

        patch.setattr(FakeApi, verb, answer)
    if data.draw(st.booleans()):
        run = FakeShell.run

        def say(shell: FakeShell, machine: Any, *given: Any) -> Output:
            told = run(shell, machine, *given)
            return Output(cut(data, told.stdout), told.stderr, told.status) if machine.address == address else told

        patch.setattr(FakeShell, "run", say)


class AtOnce:
    """Runs what is submitted at once, so that a node is asked in the same order each time: its answers are drawn as it is asked."""

    def __init__(self, max_workers: int) -> None:
        self.workers = max_workers

    def __enter__(self) -> "AtOnce":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, act: Callable[..., Any], *given: Any) -> "Future[Any]":
        done: Future[Any] = Future()
        try:
            done.set_result(act(*given))
        except Exception as error:
            done.set_exception(error)
        return done


def ends_as_documented(theatre: Theatre, data: st.DataObject, words: list[str]) -> None:
    scene: Scene = theatre.stage(Case(5, frozenset()))
    node = data.draw(st.sampled_from(scene.settings.nodes))
    with pytest.MonkeyPatch.context() as patch:
        lying(patch, data, str(node.address))
        seen = stable_survey(Cluster(scene.settings))
        assert all(report.reach is Reach.ANSWERS for report in seen.reports if report.node != node)
        patch.setattr(cli.console, "_settings", lambda *_: scene.settings)
        patch.setattr(DOCTOR, "ThreadPoolExecutor", AtOnce)
        done = CliRunner().invoke(cli.app, words)
        again = stable_survey(Cluster(scene.settings)) if words == ["status"] else seen
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code in CODES
    if words == ["status"] and Reach.GARBLED in (seen.of(node.name).reach, again.of(node.name).reach):
        assert node.name in done.output


@settings(max_examples=25)
@given(data=st.data())
def test_every_command_ends_as_documented(theatre: Theatre, data: st.DataObject) -> None:
    ends_as_documented(theatre, data, data.draw(st.sampled_from(COMMANDS)))


@pytest.mark.whole
@settings(max_examples=400)
@given(data=st.data())
def test_so_it_does_for_many_answers(theatre: Theatre, data: st.DataObject) -> None:
    ends_as_documented(theatre, data, data.draw(st.sampled_from(COMMANDS)))


@pytest.mark.parametrize(
    "swarm",
    [
        {"LocalNodeState": "owned"},
        {"LocalNodeState": "active", "NodeAddr": "$(reboot)"},
        {"LocalNodeState": 7},
        {"LocalNodeState": "active", "RemoteManagers": 5},
        None,
        [],
    ],
    ids=str,
)
def test_an_engine_that_answers_what_no_engine_answers_is_named(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch, swarm: Any
) -> None:
    scene = theatre.stage(Case(5, frozenset()))
    worker, real = str(scene.settings.node("worker-1").address), FakeApi.info
    monkeypatch.setattr(
        FakeApi, "info", lambda api: {**real(api), "Swarm": swarm} if api._address == worker else real(api)
    )
    report = stable_survey(Cluster(scene.settings)).of("worker-1")
    if swarm is None:
        assert report.reach is Reach.ANSWERS
        return
    assert report.reach is Reach.GARBLED
    monkeypatch.setattr(cli.console, "_settings", lambda *_: scene.settings)
    done = CliRunner().invoke(cli.app, ["status"])
    assert done.exit_code == 3
    assert "worker-1" in done.output
    assert "garbled answer" in done.output
