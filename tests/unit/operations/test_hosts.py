"""What a host driver asks of a Docker engine, and for how long it waits."""

from collections.abc import Callable
from typing import Any

import pytest

from recovery.operations.hosts import clear, remove, restart
from recovery.settings import Settings
from recovery.survey import hosts
from tests.unit import factories as make

OF = make.settings()
NODE = OF.managers[0]


class Docker:
    """An engine with the container of a node and its volume; `limits` are what it was given to answer, by what was asked."""

    def __init__(self) -> None:
        self.limits: dict[str, float] = {}

    def client(self, *, timeout: float, **_: object) -> "Docker":
        self._timeout = timeout
        return self

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        self.limits[verb] = self._timeout
        labels = {hosts.LABEL: OF.cluster}
        container = {"Id": "1", "Names": [f"/{NODE.name}"], "State": "running", "Labels": labels}
        volumes = {"Volumes": [{"Name": hosts.volume_name(NODE.name), "Labels": labels}]}
        found = {"containers": [container], "volumes": volumes}
        return lambda *_, **__: found.get(verb)


ACTS: list[tuple[Callable[[Settings, Any], object], set[str]]] = [
    (restart, {"restart"}),
    (remove, {"remove_container", "remove_volume"}),
    (clear, {"remove_container"}),
]


@pytest.mark.parametrize(("act", "done"), ACTS)
def test_what_acts_is_given_the_time_that_a_busy_host_takes(
    monkeypatch: pytest.MonkeyPatch, act: Callable[[Settings, Any], object], done: set[str]
) -> None:
    docker = Docker()
    monkeypatch.setattr("docker.APIClient", docker.client)
    act(OF, NODE)
    assert {docker.limits[verb] for verb in done} == {60}


def test_presence_is_a_question_that_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    docker = Docker()
    monkeypatch.setattr("docker.APIClient", docker.client)
    assert hosts.presence(OF, [NODE])[NODE.name] == "present"
    assert docker.limits["containers"] == 5
