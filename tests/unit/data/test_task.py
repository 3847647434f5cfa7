"""Which task of a service is asked for its data."""

from dataclasses import replace

import pytest

from recovery.data import task
from recovery.errors import Refused
from recovery.swarm.workload import Service, Task
from tests.unit import factories as make
from tests.unit.data.stored import S

MEMBERS = make.members(S.nodes, leader="manager-a")
DB = Service("s1", "db", 3)


def one(node: str, slot: int = 0, *, service: str = "s1", running: bool = True, container: str = "c") -> Task:
    return Task(service, f"id-{node}", running, slot, container)


CHOICES: list[tuple[str, list[Task], tuple[str, int, int]]] = [
    ("the lowest slot", [one("worker-1", 2), one("worker-2", 1)], ("worker-2", 1, 1)),
    ("the lowest that runs", [one("worker-2", 1, running=False), one("worker-1", 2)], ("worker-1", 2, 0)),
    ("one that has its container", [one("worker-2", 1, container=""), one("worker-1", 2)], ("worker-1", 2, 0)),
    ("of its own service", [one("worker-2", 1, service="s2"), one("worker-1", 2)], ("worker-1", 2, 0)),
    ("of a global one, the first node of the settings", [one("worker-2"), one("worker-1")], ("worker-1", 0, 1)),
    ("on a node that we know", [one("stranger", 1), one("worker-1", 2)], ("worker-1", 2, 1)),
]


@pytest.mark.parametrize(("tasks", "chosen"), [row[1:] for row in CHOICES], ids=[row[0] for row in CHOICES])
def test_whose_task_is_asked(tasks: list[Task], chosen: tuple[str, int, int]) -> None:
    place = task.choose(S.data["rows"], [DB], tasks, MEMBERS, S.nodes)
    assert (place.node.name, place.task.slot, place.others) == chosen
    assert place.node.name in place.text


@pytest.mark.parametrize(
    ("services", "tasks", "code"),
    [
        ([replace(DB, name="other")], [one("worker-1", 1)], "no-such-service"),
        ([], [], "no-such-service"),
        ([DB], [one("worker-1", 1, running=False)], "service-not-running"),
        ([DB], [one("stranger", 1)], "service-not-running"),
    ],
)
def test_where_no_task_can_be_asked_it_is_refused(services: list[Service], tasks: list[Task], code: str) -> None:
    with pytest.raises(Refused, match=f"code: {code}$"):
        task.choose(S.data["rows"], services, tasks, MEMBERS, S.nodes)
