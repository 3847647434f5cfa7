"""A look at every node: one call each, all at the same time, and a node that does not answer costs no other."""

import json
from threading import Barrier
from typing import Any, Self

import pytest

from recovery.cluster import Cluster
from recovery.errors import Silent
from recovery.node import looked
from recovery.node.shell import Output
from recovery.onnode import look
from recovery.survey import evidence
from tests.unit import factories as make

LIMIT_SECONDS = 10.0
"""For all nodes, also where some are dead."""
WORKERS = [{"name": f"worker-{n}", "address": f"10.77.{n // 20 + 1}.{100 + n}"} for n in range(24)]
SETTINGS = make.settings(5, workers=WORKERS)
DEAD = frozenset({"manager-b", "worker-3", "worker-7"})


class Shell:
    """A machine that is dead, or that tells of itself once all others are asked too."""

    calls: list[tuple[str, Any]]

    def __init__(self, node: Any, meet: Barrier, calls: list[tuple[str, Any]]) -> None:
        self.node, self._meet, self.calls = node, meet, calls

    def __enter__(self) -> Self:
        self._meet.wait()
        if self.node.name in DEAD:
            raise Silent("connecting", "nothing answers", remedy="look", node=self.node.name, code="ssh-failed")
        return self

    def __exit__(self, *_: object) -> None: ...

    def run(self, argv: Any, **given: Any) -> Output:
        self.calls.append((self.node.name, json.loads(argv[-1])))
        return Output(json.dumps({"began": 1.0, "ended": 2.0, "root": f"/{self.node.name}"}).encode(), "", 0)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """The calls of a look at 29 nodes, which begin together or never."""
    meet, found = Barrier(len(SETTINGS.nodes), timeout=60), list[tuple[str, Any]]()
    monkeypatch.setattr(Cluster, "shell", lambda _, node, **__: Shell(node, meet, found))
    return found


def test_29_nodes_are_asked_at_the_same_time_once_each(calls: list[tuple[str, Any]]) -> None:
    found = evidence.gather(Cluster(SETTINGS))
    assert len(found) == 29
    assert sorted(name for name, _ in calls) == sorted({node.name for node in SETTINGS.nodes} - DEAD)
    assert {one.node: one.fault for one in found if one.fault} == dict.fromkeys(DEAD, "nothing answers")
    assert all(one.looked.root == f"/{one.node}" for one in found if one.looked)


def test_a_node_is_told_of_its_peers_and_not_of_itself(calls: list[tuple[str, Any]]) -> None:
    evidence.gather(Cluster(SETTINGS))
    asked = dict(calls)["manager-a"]
    assert asked["node"] == "manager-a"
    assert len(asked["peers"]) == 28
    assert {peer["name"] for peer in asked["peers"] if peer["manager"]} == {node.name for node in SETTINGS.managers} - {
        "manager-a"
    }
    assert len({one["token"] for _, one in calls}) == 1
    assert (asked["managers_port"], asked["port"]) == (2377, 4789)


def test_managers_are_tried_at_the_ports_that_the_settings_name() -> None:
    of = make.settings(swarm={"listenPort": 4377, "dataPathPort": 7789})
    asked = json.loads(evidence.request(of, of.node("worker-1"), "t"))
    assert (asked["managers_port"], asked["port"]) == (4377, 7789)


def test_peers_of_another_family_of_addresses_are_not_tried() -> None:
    of = make.settings(
        subnet="10.77.0.0/16, fd00:77::/64",
        workers=[{"name": "w6", "address": "fd00:77::1", "dataPathAddress": "10.77.1.9"}],
    )
    assert json.loads(evidence.request(of, of.node("w6"), "t"))["peers"] == []


def test_the_limits_of_a_look_end_before_the_limit_of_all() -> None:
    """A dead node is given up before; the parts on a node end before the call."""
    assert evidence.CONNECT_SECONDS < evidence.LOGIN_SECONDS
    assert look.SECONDS < looked.SECONDS
    assert evidence.LOGIN_SECONDS + look.SECONDS < LIMIT_SECONDS
