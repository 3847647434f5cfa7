"""Engines as people have them: those that Requorum cannot use are refused by their kind, and one that a socket starts is used. In order."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lab import cluster, faults, nodes
from lab.instance import Instance
from lab.stack import Stack, settings
from recovery.errors import Refused
from tests.lab.here import gate, requorum
from tests.lab.place import address
from tests.lab.swarm import Swarm

pytestmark = pytest.mark.whole

ADDRESSES = {"manager-a": address(1, 11), "worker-1": address(1, 21), "worker-2": address(2, 22)}
DAEMON = "/etc/docker/daemon.json"
SNAPPED = "/var/snap/docker/common/var-lib-docker"


@pytest.fixture(scope="module")
def stack(lab: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = Stack(lab, "engines", tmp_path_factory.mktemp("engines") / "Pulumi.engines.yaml")
    values = settings(lab)
    workers = [{"name": name, "address": at} for name, at in ADDRESSES.items() if name != "manager-a"]
    made.write(
        {
            **values,
            "managers": [{"address": ADDRESSES["manager-a"]}],
            "workers": workers,
            "hosts": {"driver": "existing"},
            "backup": {**values["backup"], "prefix": "engines"},
        }
    )
    nodes.remove_all(lab)
    nodes.make(lab, ADDRESSES)
    cluster.prepare(lab, made)
    yield made
    nodes.remove_all(lab)


@pytest.fixture(scope="module")
def machines(stack: Stack) -> Swarm:
    return Swarm(stack)


def configured(machines: Swarm, name: str, **daemon: Any) -> None:
    """Restart a machine's engine with this configuration."""
    text = json.dumps(daemon)
    machines.on(name, "sh", "-c", f"mkdir -p /etc/docker && echo '{text}' > {DAEMON}")
    machines.on(name, "sh", "-c", "systemctl reset-failed docker; systemctl restart docker")


@pytest.mark.parametrize(
    ("daemon", "kind"),
    [({"userns-remap": "default"}, "userns-remap"), ({"data-root": SNAPPED}, "snap")],
    ids=["userns-remap", "where a snap has its data"],
)
def test_an_engine_that_cannot_be_used_is_refused_by_its_kind(
    machines: Swarm, daemon: dict[str, Any], kind: str
) -> None:
    beside = f"mkdir -p /var/lib/docker/beside {SNAPPED} && mount --bind /var/lib/docker/beside {SNAPPED}"
    machines.on("worker-1", "sh", "-c", beside)
    configured(machines, "worker-1", **daemon)
    with pytest.raises(Refused) as caught:
        gate(machines.stack)
    assert (caught.value.code, caught.value.node) == ("engine-unsupported", "worker-1")
    assert kind in caught.value.why
    configured(machines, "worker-1")
    gate(machines.stack)


def test_an_engine_that_only_its_socket_starts_is_used_and_comes_back_after_a_boot(machines: Swarm) -> None:
    for name in ADDRESSES:
        machines.on(name, "systemctl", "enable", "docker.socket")
        machines.on(name, "systemctl", "disable", "docker.service")
        machines.on(name, "systemctl", "stop", "docker.service")
    machines.stack.up("--skip-preview")
    machines.await_standing(*ADDRESSES, manager="manager-a")
    assert requorum(machines.stack, "copies", "take").status == 0
    faults.kill(machines.lab, ADDRESSES)
    faults.start(machines.lab, ADDRESSES)
    machines.until(
        lambda: all(machines.on(name, "systemctl", "is-active", "docker.socket") == "active" for name in ADDRESSES),
        "the machines are up",
    )
    for name in ADDRESSES:
        assert machines.on(name, "systemctl", "is-active", "docker.service", check=False) == "inactive"
    machines.until(lambda: requorum(machines.stack, "status").status == 0, "whoever asks an engine starts it")
    machines.await_standing(*ADDRESSES, manager="manager-a")
    assert "unchanged" in machines.stack.up("--skip-preview", "--expect-no-changes").text
