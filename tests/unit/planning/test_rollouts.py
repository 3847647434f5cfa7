"""How far a service is with its definition, and when the swarm goes no further."""

import pytest

from recovery.planning.rollouts import others, rollout, unsettled
from recovery.swarm.workload import Service, Task

WEB = Service("s1", "web", 3, update="updating", begun="t1", definition="new", longest_wait=15)


def task(number: int, definition: str = "new", *, running: bool = True, of: str = "s1") -> Task:
    return Task(of, f"n{number}", running, number, definition=definition)


def of(state: str = "completed", *, replicas: int | None = 3) -> Service:
    return Service("s1", "web", replicas, update=state, begun="t1", definition="new")


def test_a_task_of_an_earlier_definition_is_not_done() -> None:
    found = rollout(WEB, [task(1), task(2, "old"), task(3, running=False), task(1, of="s2")])
    assert found.line == "web: 1 of 3 tasks run as defined"
    assert not found.settled
    assert found.longest_wait == 15


@pytest.mark.parametrize(
    ("state", "tasks", "settled"),
    [
        ("completed", [task(1), task(2), task(3)], True),
        ("", [task(1), task(2), task(3)], True),
        ("rollback_completed", [task(1), task(2), task(3)], True),
        ("updating", [task(1), task(2), task(3)], False),
        ("rollback_started", [task(1), task(2), task(3)], False),
        ("completed", [task(1), task(2)], False),
        ("completed", [task(1), task(2), task(3, "old")], False),
        ("paused", [task(1), task(2), task(3)], False),
    ],
)
def test_a_service_is_settled_if_every_task_runs_as_defined(state: str, tasks: list[Task], settled: bool) -> None:
    assert rollout(of(state), tasks).settled is settled


def test_a_global_service_wants_the_tasks_that_the_swarm_made() -> None:
    assert rollout(of(replicas=None), [task(1), task(2)]).settled
    assert rollout(of(replicas=None), []).settled, "no node suits it"
    assert not rollout(of(replicas=None), [task(1), task(2, running=False)]).settled


@pytest.mark.parametrize(
    ("state", "known", "words"),
    [
        ("paused", "t1", "paused its update with 1 of 3 tasks updated"),
        ("rollback_paused", None, "paused the rollback"),
        ("rollback_completed", "t0", "rolled its update back"),
        ("rollback_completed", None, "rolled its update back"),
        ("rollback_completed", "t1", ""),
        ("rollback_started", None, ""),
        ("updating", None, ""),
        ("completed", None, ""),
    ],
)
def test_the_swarm_goes_no_further(state: str, known: str | None, words: str) -> None:
    why = rollout(of(state), [task(1)]).failure(known)
    assert words in why
    assert bool(why) is bool(words)


def test_what_is_gone_or_paused_is_unsettled() -> None:
    services = [of("paused"), Service("s2", "agent", None), Service("s9", "other", 1)]
    assert unsettled(services, {"web": "s1", "agent": "s2", "db": "s3"}) == (
        "db is not in the swarm",
        "the update of web is paused",
    )
    assert others(services, {"web": "s1", "agent": "s2"}) == ("other",)
