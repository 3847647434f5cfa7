"""What a host driver asks of a Docker engine, and for how long it waits."""

from collections.abc import Callable
from typing import Any

import pytest

from recovery.errors import Refused
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


def container(name: str, address: str = "", *, cluster: str = OF.cluster) -> dict[str, Any]:
    """A container that does not run, as its engine lists it."""
    place = {OF.hosts.network: {"IPAMConfig": {"IPv4Address": address}, "IPAddress": ""}} if address else {}
    return {
        "Id": f"id-{name}",
        "Names": [f"/{name}"],
        "State": "exited",
        "Labels": {hosts.LABEL: cluster},
        "NetworkSettings": {"Networks": place},
        "Mounts": [{"Name": f"{name}-docker", "Destination": "/var/lib/docker"}],
    }


class Engine:
    """One that lists these containers; `done` is what it was told to do."""

    def __init__(self, *containers: dict[str, Any]) -> None:
        self._containers, self.done = containers, list[tuple[str, str]]()

    def client(self, **_: object) -> "Engine":
        return self

    def containers(self, **_: object) -> tuple[dict[str, Any], ...]:
        return self._containers

    def volumes(self, **_: object) -> dict[str, Any]:
        mounts = [mount["Name"] for one in self._containers for mount in one["Mounts"]]
        return {"Volumes": [{"Name": name, "Labels": {hosts.LABEL: OF.cluster}} for name in mounts]}

    def close(self) -> None:
        pass

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        return lambda what, **_: self.done.append((verb, what))


A, B = OF.managers[:2]


@pytest.mark.parametrize(
    ("listed", "present", "name"),
    [
        ([container(A.name, str(A.address))], "stopped", A.name),
        ([container("before", str(A.address))], "stopped", "before"),
        ([container("before", str(A.address)), container(A.name, str(B.address))], "stopped", "before"),
        ([container(A.name)], "stopped", A.name),
        ([], "gone", A.name),
        ([container(A.name, str(B.address))], "gone", "manager-a-10-77-1-11"),
    ],
    ids=["its own", "renamed", "renamed, and another has its name", "without an address", "gone", "gone, and another"],
)
def test_the_container_of_a_node_is_the_one_at_its_address(
    listed: list[dict[str, Any]], present: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("docker.APIClient", Engine(*listed).client)
    assert hosts.presence(OF, [A])[A.name] == present
    assert hosts.container_names(OF)[A.name] == name


def test_what_is_removed_or_restarted_is_at_the_address_whatever_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(container("before", str(A.address)), container(A.name, str(B.address)))
    monkeypatch.setattr("docker.APIClient", engine.client)
    restart(OF, A)
    assert clear(OF, A)
    remove(OF, A)
    assert engine.done == [
        ("restart", "id-before"),
        ("remove_container", "id-before"),
        ("remove_container", "id-before"),
        ("remove_volume", "before-docker"),
    ]


def test_a_node_whose_container_runs_on_another_zones_engine_is_not_made_again_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As when unnamed managers are reordered: they are named and placed by their position."""
    of = make.settings(hosts={**make.RAW["hosts"], "endpoints": {"b": "unix:///other.sock"}})
    engines = {"unix:///engine.sock": Engine(), "unix:///other.sock": Engine(container("x", str(A.address)))}
    monkeypatch.setattr("docker.APIClient", lambda *, base_url, **_: engines[base_url])
    with pytest.raises(Refused, match=r"zone: b(?s:.*)code: zone-moved$"):
        hosts.container_names(of)
