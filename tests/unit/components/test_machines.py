"""Which resources the machines of a cluster are: what drivers declare, and what a driver of another program gets."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks

from components import hooks, identity
from components.cluster import Cluster as Declared
from components.hosts.docker import Docker
from components.hosts.driver import Driver, Machine, called, presence
from components.hosts.existing import Existing
from components.hosts.machines import Machines
from components.update import Update
from recovery.cluster import Cluster
from recovery.settings import Settings
from recovery.swarm.presence import Presence
from tests.unit import cluster
from tests.unit import factories as make
from tests.unit.cluster import Made, Monitor

PROJECT = Path(__file__).resolve().parents[3]
IN_CONTAINERS = make.settings()
PROGRAM = make.settings(hosts={"driver": "program"})
A, B, C, W1, W2 = (str(node.address) for node in IN_CONTAINERS.nodes)


class Platform(Driver):
    """Notes what it is asked for."""

    def __init__(self, cluster: str) -> None:
        super().__init__(cluster)
        self.asked: list[Machine] = []
        self.off: list[str] = []

    def machine(self, machine: Machine) -> pulumi.Input[str]:
        self.asked.append(machine)
        return f"id-{machine.name}"

    def known(self) -> dict[str, Presence]:
        return {"lab-10-77-1-11": Presence.PRESENT, "lab-10-77-2-12": Presence.STOPPED}

    def fence(self, name: str) -> None:
        self.off.append(name)


def registered(declare: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    found: list[Any] = []
    monkeypatch.setattr(hooks, "around_host", lambda *_, **__: None)
    mocks.set_mocks(Made(), monitor=Monitor(found.append))
    pulumi.runtime.test(declare)()
    return found


def urns(requests: list[Any]) -> set[str]:
    """What the state calls them: the type of the parent below the stack, the type and the name."""

    def parent(urn: str) -> str:
        return urn.split("::")[2].rpartition("$")[2] if urn else ""

    return {f"{parent(one.parent)}${one.type}::{one.name}" for one in requests if one.parent}


def test_containers_are_called_in_the_state_as_they_always_were(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {node.name: node.name for node in IN_CONTAINERS.nodes}
    driver = Docker(IN_CONTAINERS, identity.of(IN_CONTAINERS, (), names), names)
    found = urns(registered(lambda: Machines(Cluster(IN_CONTAINERS), driver, {}, ()), monkeypatch))
    parent = "requorum:hosts:Docker"
    assert found == {
        "pulumi:pulumi:Stack$requorum:hosts:Docker::hosts",
        f"{parent}$pulumi:providers:docker::engine-0",
        f"{parent}$docker:index/network:Network::network-0",
        *(f"{parent}$docker:index/volume:Volume::{address}-volume" for address in (A, B, C, W1, W2)),
        *(f"{parent}$docker:index/container:Container::{address}-container" for address in (A, B, C, W1, W2)),
    }


def test_existing_machines_are_one_component_and_known_by_what_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    of = make.settings(hosts={"driver": "existing"})
    made: list[Machines] = []
    driver = Existing(of.cluster, make.healthy(of))
    found = registered(lambda: made.append(Machines(Cluster(of), driver, {}, ())), monkeypatch)
    assert urns(found) == {"pulumi:pulumi:Stack$requorum:hosts:Existing::hosts"}
    assert made[0].identities["manager-a"] == "machine-manager-a"


def test_a_program_s_driver_is_asked_for_each_machine_and_gets_secret_user_data(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    driver, secret, data = Platform("lab"), [], []

    def declare() -> pulumi.Output[Any]:
        Machines(Cluster(PROGRAM), driver, {A: "of a"}, ())
        first = driver.asked[0].user_data
        return pulumi.Output.all(pulumi.Output.from_input(first.is_secret()), first).apply(
            lambda both: (secret.append(both[0]), data.append(both[1]))
        )

    found = registered(declare, monkeypatch)
    assert urns(found) == {"pulumi:pulumi:Stack$requorum:hosts:Program::hosts"}
    assert [(one.name, one.node.zone) for one in driver.asked[:3]] == [
        ("lab-10-77-1-11", "a"),
        ("lab-10-77-2-12", "b"),
        ("lab-10-77-3-13", "c"),
    ]
    assert driver.asked[0].resource("server") == f"{A}-server"
    assert all(one.options.delete_before_replace for one in driver.asked)
    assert not any(one.kept.delete_before_replace for one in driver.asked)
    assert (secret, data) == ([True], ["of a"])


def test_the_identity_that_a_driver_returns_is_the_machine_s_of_its_member(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts: dict[str, str] = {}

    def seen(request: Any) -> None:
        if request.type.endswith(":Member"):
            hosts[request.name] = request.object["host"]

    cluster.build(PROGRAM, monkeypatch, seen, driver=Platform("lab"))
    assert hosts[f"{B}-member"] == "id-lab-10-77-2-12"


@pytest.mark.parametrize(
    ("of", "driver", "why"),
    [
        (PROGRAM, None, "gives Cluster no driver"),
        (IN_CONTAINERS, Platform("lab"), "is docker, and this program gives Cluster a driver"),
    ],
    ids=["no driver", "a driver that no setting names"],
)
def test_settings_and_program_agree_on_who_makes_the_machines(
    of: Settings, driver: Driver | None, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "error", said.append)
    monkeypatch.setattr("components.cluster.container_names", lambda _: {})
    mocks.set_mocks(Made(), monitor=Monitor(lambda _: None))

    def declare() -> None:
        with pytest.raises(SystemExit):
            Declared(driver=driver, update=Update(Cluster(of), cluster.assessment(of)))

    pulumi.runtime.test(declare)()
    assert why in said[0]
    assert "code: setting-invalid" in said[0]


@pytest.mark.parametrize(
    ("cluster_", "address", "name"),
    [
        ("lab", "10.77.1.11", "lab-10-77-1-11"),
        ("x" * 63, "10.77.1.11", f"{'x' * 22}-10-77-1-11"),
        ("lab", "fd00::1", "lab-fd00--1"),
        ("lab", "fd00::", "lab-fd00"),
    ],
)
def test_a_machine_is_called_by_its_address(cluster_: str, address: str, name: str) -> None:
    assert called(cluster_, address) == name
    assert len(called("x" * 63, "fd00:1111:2222:3333:4444:5555:6666:7777")) <= 63


def test_a_driver_answers_what_is_asked_of_it_outside_pulumi(tmp_path: Path) -> None:
    command = tmp_path / "driver.py"
    command.write_text(
        "from components.hosts.driver import main\nfrom tests.unit.components.test_machines import Platform\n"
        "class Told(Platform):\n    def fence(self, name): print(name)\n\nmain(Told)\n"
    )

    def asked(*arguments: str) -> "subprocess.CompletedProcess[str]":
        argv = [sys.executable, str(command), *arguments]
        environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
        return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)

    lines = [f"{address} {word}" for address, word in ((A, "running"), (B, "stopped"), (C, "gone"))]
    assert asked("lab", "presence", A, B, C).stdout.splitlines() == lines
    assert asked("lab", "fence", B).stdout.strip() == "lab-10-77-2-12"
    assert asked("lab", "fence", A, B).stderr.startswith("usage: ")


def test_a_driver_that_knows_nothing_says_so() -> None:
    class Mute(Driver):
        def machine(self, machine: Machine) -> pulumi.Input[str]:
            return machine.name

    with pytest.raises(NotImplementedError):
        presence(Mute("lab"), [A])
    with pytest.raises(NotImplementedError):
        Mute("lab").fence("lab-10-77-1-11")
