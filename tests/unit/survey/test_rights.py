"""What a survey tells of a node whose login is not root: what it can see, and that it is no loss."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from recovery.errors import EngineError, Garbled
from recovery.node import data_root
from recovery.node.shell import Output
from recovery.node.ssh import Shell
from recovery.survey import nodes
from recovery.swarm.model import LocalState, Reach
from tests.unit import factories as make

OF = make.settings()
A = OF.managers[0]
LED = make.manager(A, OF.nodes)
SWARM = {
    "LocalNodeState": "active",
    "ControlAvailable": True,
    "NodeID": LED.node_id,
    "Cluster": {"ID": make.CLUSTER},
}


def asked(monkeypatch: pytest.MonkeyPatch, folder: Path, user: str, engine: Any) -> Any:
    """The report of a machine whose `id` says this, and that reads its own disk."""
    command = folder / "id"
    command.write_text(f"#!/bin/sh\necho {user}\n")
    command.chmod(0o755)

    def run(argv: Sequence[str], **_: Any) -> Output:
        path = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
        done = subprocess.run(argv, capture_output=True, env=path)
        return Output(done.stdout, done.stderr.decode(), done.returncode)

    def connect(*_: Any, **__: Any) -> Any:
        if engine is None:
            raise EngineError("connecting to the engine", "permission denied", remedy="", node=A.name)
        return engine

    monkeypatch.setattr("recovery.node.engine.Engine", connect)
    monkeypatch.setattr(data_root, "of", lambda _: str(folder / "docker"))
    return nodes.ask(cast("Shell", SimpleNamespace(node=A, run=run)))


@pytest.fixture
def engine(tmp_path: Path) -> Any:
    info = {"DockerRootDir": str(tmp_path / "docker"), "Swarm": SWARM, "ServerVersion": "28.5.2"}
    return SimpleNamespace(info=lambda: info, members=lambda: LED.members)


def test_a_user_who_may_not_open_the_engines_socket_is_not_an_engine_that_is_down(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = asked(monkeypatch, tmp_path, "1000", None)
    assert (found.reach, found.detail) == (
        Reach.NO_RIGHTS,
        "the login is user 1000: not root, and without sudo that needs no password",
    )
    assert not found.known_lost
    assert asked(monkeypatch, tmp_path, "0", None).reach is Reach.NO_ENGINE


def test_a_user_who_may_ask_the_engine_tells_of_the_leader(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine: Any
) -> None:
    found = asked(monkeypatch, tmp_path, "1000", engine)
    assert (found.reach, found.state, found.cluster_id) == (Reach.NO_RIGHTS, LocalState.ACTIVE, make.CLUSTER)
    assert found.led
    assert asked(monkeypatch, tmp_path, "0", engine).reach is Reach.ANSWERS


def test_an_engine_that_says_nothing_to_a_user_without_rights_is_not_called_down(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail() -> Any:
        raise EngineError("asking the engine for its state", "Read timed out.", remedy="", node=A.name)

    assert asked(monkeypatch, tmp_path, "1000", SimpleNamespace(info=fail)).reach is Reach.NO_RIGHTS
    assert asked(monkeypatch, tmp_path, "0", SimpleNamespace(info=fail)).reach is Reach.NO_ENGINE


def test_an_answer_that_does_not_begin_with_the_user_is_garbled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine: Any
) -> None:
    with pytest.raises(Garbled, match=r"Welcome(?s:.*)code: answer-garbled"):
        asked(monkeypatch, tmp_path, "Welcome", engine)
