"""Which tasks are of a service's present definition, by what an engine answers about both."""

from typing import Any

import pytest

from recovery.node import answers

TASK: dict[str, Any] = {
    "ContainerSpec": {"Image": "web:1", "StopGracePeriod": 10_000_000_000},
    "Resources": {"Limits": {}, "Reservations": {}},
    "Placement": {"Constraints": ["node.role==worker"]},
    "ForceUpdate": 0,
}
SERVICE: dict[str, Any] = {
    "ID": "s1",
    "Spec": {
        "Name": "web",
        "TaskTemplate": {**TASK, "Runtime": "container"},
        "Mode": {"Replicated": {"Replicas": 2}},
        "UpdateConfig": {"Delay": 10_000_000_000, "Monitor": 5_000_000_000},
    },
    "UpdateStatus": {"State": "completed", "StartedAt": "2026-01-02T03:04:05Z"},
}


def task(**changes: Any) -> Any:
    return answers.task({"ServiceID": "s1", "Spec": {**TASK, **changes}, "Status": {"State": "running"}})


def test_a_task_of_the_definition_is_known_by_it() -> None:
    (service,) = answers.services([SERVICE])
    assert task().definition == service.definition
    assert task(Placement={}).definition == service.definition, "a task stays where it may be"
    assert (service.begun, service.longest_wait) == ("2026-01-02T03:04:05Z", 25)


@pytest.mark.parametrize("changes", [{"ForceUpdate": 1}, {"ContainerSpec": {"Image": "web:2"}}, {"Resources": {}}])
def test_another_task_is_not(changes: dict[str, Any]) -> None:
    (service,) = answers.services([SERVICE])
    assert task(**changes).definition != service.definition


def test_the_last_fault_is_of_the_newest_task_that_failed() -> None:
    tasks = [
        {"CreatedAt": "2026-01-02T03:04:05Z", "Status": {"Err": "old"}},
        {"CreatedAt": "2026-01-02T03:04:07Z", "Status": {"Err": "no such file"}},
        {"CreatedAt": "2026-01-02T03:04:09Z", "Status": {}},
    ]
    assert answers.last_fault(tasks) == "no such file"
    assert answers.last_fault([]) == ""


def test_a_stack_is_as_it_was_after_its_tasks_were_replaced_on_request() -> None:
    again = {**SERVICE["Spec"], "TaskTemplate": {**SERVICE["Spec"]["TaskTemplate"], "ForceUpdate": 3}}
    scaled = {**SERVICE["Spec"], "Mode": {"Replicated": {"Replicas": 3}}}
    known = answers.stack([SERVICE])
    assert answers.stack([{**SERVICE, "Spec": again}]) == known
    assert answers.stack([{**SERVICE, "Spec": scaled}]) != known
