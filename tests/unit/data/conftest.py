"""Settings with data, a node in the nodes' place, and the command line."""

from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from recovery import cli
from recovery.cluster import Cluster
from recovery.data import task
from recovery.errors import Refused
from recovery.node import program
from recovery.settings import Data, Settings
from recovery.swarm.workload import Task
from tests.unit import factories as make
from tests.unit.data.stored import DATA, W1, Node


@pytest.fixture
def of() -> Settings:
    return make.settings(data=DATA)


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Node:
    played = Node()
    monkeypatch.setattr(Cluster, "shell", lambda _, node: played(node))
    monkeypatch.setattr(program, "fetch", played.fetch)
    monkeypatch.setattr(program, "feed", played.feed)

    def find(_: Cluster, data: Data) -> task.TaskLocation:
        if data.service == "web" and played.fails == "no task":
            raise Refused("looking for service web", "none of its tasks is running", remedy="")
        return task.TaskLocation(data.service, Task("s1", "n1", True, 1, "c1", "db:1"), W1, 2, make.CLUSTER)

    monkeypatch.setattr(task, "find", find)
    return played


@pytest.fixture
def run(of: Settings, bucket: Any, node: Node, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setattr(cli.console, "_settings", lambda *_: of)

    def run(*words: str, answer: str | None = None) -> Any:
        return CliRunner().invoke(cli.app, ["data", *words], input=answer)

    return run
