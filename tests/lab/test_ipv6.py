"""Nodes with IPv6 addresses and no others, the whole way; and machines of both families, closed on both for strangers."""

import json
import socket
from collections.abc import Iterable, Iterator

import pytest

from lab import cluster, node_container, nodes
from lab.instance import Instance
from lab.stack import Stack, settings, with_agents
from tests.lab.here import requorum
from tests.lab.place import OCTET, address
from tests.lab.swarm import MANAGERS, WORKERS, Picture, Swarm

pytestmark = pytest.mark.whole

PLACES = ((1, 11), (2, 12), (3, 13), (1, 21), (2, 22))
ADDRESSES = {
    name: f"fd00:{OCTET}::{zone}:{last}" for name, (zone, last) in zip(MANAGERS + WORKERS, PLACES, strict=True)
}
SWARM_PORTS = (2377, 7946)
KNOCK = 'timeout 3 bash -c \': > "/dev/tcp/$1/$2"\' knock "$1" "$2" 2>/dev/null && echo open || echo closed'
KNOWN: dict[str, Picture] = {}


def without_ipv4(machines: Swarm, names: Iterable[str]) -> None:
    """Take the machines' IPv4 addresses away."""
    for name in names:
        machines.on(name, "ip", "-4", "address", "flush", "dev", "eth0")
        assert not machines.on(name, "ip", "-4", "address", "show", "dev", "eth0")


def ssh_answers(at: str) -> bool:
    try:
        socket.create_connection((at, 22), 5).close()
    except OSError:
        return False
    return True


def is_open_to_strangers(at: str, port: int) -> bool:
    """Whether this machine, which is in no network of the nodes, reaches the port."""
    try:
        socket.create_connection((at, port), 2).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def stack(lab: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = Stack(lab, "ipv6", tmp_path_factory.mktemp("ipv6") / "Pulumi.ipv6.yaml")
    values = with_agents(lab, settings(lab))
    made.write(
        {
            **values,
            "subnet": str(lab.subnet6),
            "managers": [{"address": ADDRESSES[name]} for name in MANAGERS],
            "workers": [{"name": name, "address": ADDRESSES[name]} for name in WORKERS],
            "hosts": {"driver": "existing"},
            "backup": {**values["backup"], "endpoint": lab.s3_endpoint6, "prefix": "ipv6"},
        }
    )
    cluster.prepare(lab, made)
    cluster.admit(lab, made)
    nodes.make(lab, ADDRESSES)
    yield made
    nodes.remove_all(lab)


@pytest.fixture(scope="module")
def machines(stack: Stack) -> Swarm:
    found = Swarm(stack)
    found.load_workload()
    without_ipv4(found, ADDRESSES)
    return found


def test_it_is_built_and_copied(machines: Swarm) -> None:
    machines.stack.up("--skip-preview")
    machines.await_standing(*ADDRESSES, manager="manager-c")
    for entry in machines.json("manager-a", "node", "inspect", *ADDRESSES):
        assert entry["Status"]["Addr"] == ADDRESSES[entry["Description"]["Hostname"]]
    machines.create_workload()
    assert requorum(machines.stack, "copies", "take").status == 0
    agents = json.loads(requorum(machines.stack, "agents", "--json").text)
    assert [agent["fault"] for agent in agents["agents"]] == [""] * 3
    assert "unchanged" in machines.stack.up("--skip-preview", "--expect-no-changes").text
    KNOWN["before"] = machines.picture("manager-c")


def test_services_reach_each_other_over_ipv6(machines: Swarm) -> None:
    """A container on one worker reaches a container on the other, by the overlay network that joins them."""
    (first, *_), (second, *_) = (machines.containers(name) for name in WORKERS)
    inside = machines.on(
        WORKERS[1], "docker", "inspect", second, "--format", "{{.NetworkSettings.Networks.backend.IPAddress}}"
    )
    assert "0% packet loss" in machines.on(WORKERS[0], "docker", "exec", first, "ping", "-c", "2", "-W", "5", inside)


def test_it_comes_back_from_a_total_loss(machines: Swarm) -> None:
    nodes.lose(machines.lab, MANAGERS)
    nodes.make(machines.lab, {name: ADDRESSES[name] for name in MANAGERS})
    without_ipv4(machines, MANAGERS)
    told = machines.stack.recover().text
    assert "the report is saved" in told
    machines.await_standing(*ADDRESSES, manager="manager-c")
    after = machines.picture("manager-c")
    assert not KNOWN["before"].differences(after)


def test_one_lost_manager_comes_back_under_its_identity(machines: Swarm) -> None:
    before = machines.nodes("manager-c")["manager-a"]["ID"]
    nodes.lose(machines.lab, ["manager-a"])
    nodes.make(machines.lab, {"manager-a": ADDRESSES["manager-a"]})
    without_ipv4(machines, ["manager-a"])
    machines.stack.up("--skip-preview")
    machines.await_standing(*ADDRESSES, manager="manager-c")
    assert machines.nodes("manager-c")["manager-a"]["ID"] == before


def test_a_drill_and_the_end(machines: Swarm) -> None:
    drilled = requorum(machines.stack, "copies", "drill", "--json")
    assert drilled.status == 0, drilled.errors
    machines.stack.destroy()
    assert {machines.state(name) for name in MANAGERS} == {"inactive"}
    nodes.remove_all(machines.lab)


def test_machines_of_both_families_are_closed_on_both_for_strangers(
    lab: Instance, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The nodes come by IPv4; their networks of both families are in the stack file."""
    both = {"manager-a": ADDRESSES["manager-a"], "worker-1": ADDRESSES["worker-1"]}
    ipv4 = {name: node_container.beside(lab, at) for name, at in both.items()}
    nodes.remove_all(lab)
    nodes.make(lab, both)
    stack = Stack(lab, "dual", tmp_path_factory.mktemp("dual") / "Pulumi.dual.yaml")
    values = settings(lab)
    stack.write(
        {
            **values,
            "subnet": f"{lab.subnet}, {lab.subnet6}",
            "managers": [{"address": address(1, 11)}],
            "workers": [{"name": "worker-1", "address": address(1, 21)}],
            "hosts": {"driver": "existing"},
            "backup": {**values["backup"], "prefix": "dual"},
        }
    )
    cluster.prepare(lab, stack)
    stack.up("--skip-preview")
    swarm = Swarm(stack)
    swarm.await_standing(*both, manager="manager-a")
    for places in (both, ipv4):
        for port in SWARM_PORTS:
            knock = ["sh", "-c", KNOCK, "knock", places["manager-a"], str(port)]
            assert swarm.on("worker-1", *knock) == "open", "a node of the swarm is let in by either family"
            assert not is_open_to_strangers(places["manager-a"], port)
        assert not is_open_to_strangers(places["worker-1"], 7946)
        assert all(ssh_answers(at) for at in places.values()), "the stranger reaches the machines themselves"
    assert "unchanged" in stack.up("--skip-preview", "--expect-no-changes").text
    swarm.on("manager-a", "ip6tables", "-F", "REQUORUM")
    assert is_open_to_strangers(both["manager-a"], 2377), "it is the rules of IPv6 that keep strangers out"
    assert "drift: manager-a: the firewall's rules are changed (IPv6)" in stack.preview().text
    stack.up("--skip-preview")
    assert not is_open_to_strangers(both["manager-a"], 2377)
    stack.destroy()
    nodes.remove_all(lab)
