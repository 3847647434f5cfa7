"""A swarm that was there before is taken over: only what the stack file names changes. The tests run in order.

It is built by docker alone: services run on its managers, its data path port is another, and one worker is nobody's.
"""

import json
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lab import cluster, nodes, workload
from lab.instance import Instance
from lab.stack import Stack, settings, with_agents
from tests.lab.here import requorum
from tests.lab.place import address
from tests.lab.swarm import MANAGERS, Swarm

STRANGER = "worker-x"
ADDRESSES = dict(
    zip((*MANAGERS, "worker-1"), (address(1, 11), address(2, 12), address(3, 13), address(1, 21)), strict=True)
)
EVERYBODY = {**ADDRESSES, STRANGER: address(200, 9)}
PORT = "4790"
DROP_IN = "/etc/systemd/system/requorum-copy.service.d/theirs.conf"
LISTS = ("iptables", "ip6tables")


def own(lab: Instance, network: str) -> dict[str, Any]:
    """The stack file: three managers and one worker of the swarm, by name and address."""
    values = with_agents(lab, settings(lab))
    _, _, _, first, *_ = EVERYBODY.values()
    return {
        **values,
        "subnet": network,
        "managers": [{"name": name, "address": ADDRESSES[name]} for name in MANAGERS],
        "workers": [{"name": "worker-1", "address": first, "labels": {"disk": "ssd"}}],
        "hosts": {"driver": "existing"},
        "backup": {**values["backup"], "prefix": "adoption"},
    }


@pytest.fixture(scope="module")
def stack(lab: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Named nodes are in a network of a quarter of the lab's, and the stranger is outside."""
    made = Stack(lab, "adoption", tmp_path_factory.mktemp("adoption") / "Pulumi.adoption.yaml")
    made.write(own(lab, f"10.{lab.octet}.0.0/18"))
    cluster.prepare(lab, made)
    nodes.make(lab, EVERYBODY)
    yield made
    nodes.remove_all(lab)


@pytest.fixture(scope="module")
def found(stack: Stack) -> Swarm:
    """The swarm as somebody else built it, with its services."""
    swarm, first = Swarm(stack), "manager-a"
    init = ["docker", "swarm", "init", "--advertise-addr", ADDRESSES[first], "--data-path-port", PORT]
    swarm.on(first, *init, "--task-history-limit", "3")
    for name in (*MANAGERS[1:], "worker-1", STRANGER):
        role = "manager" if name in MANAGERS else "worker"
        token = swarm.on(first, "docker", "swarm", "join-token", "-q", role)
        path = ["--data-path-addr", ADDRESSES[name]] if name == "worker-1" else []
        swarm.on(name, "docker", "swarm", "join", *path, "--token", token, f"{ADDRESSES[first]}:2377")
    swarm.on(first, "docker", "node", "update", "--label-add", "theirs=1", "--availability", "pause", "manager-c")
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(lambda at: workload.load_workload(swarm.lab, at), EVERYBODY.values()))
    service = ["docker", "service", "create", "--detach", "--no-resolve-image"]
    for name, where in (("web", "node.role==manager"), ("far", f"node.hostname=={STRANGER}")):
        placed = ["--name", name, "--constraint", where, "--replicas", "2" if name == "web" else "1"]
        swarm.on(first, *service, *placed, workload.REFERENCE, "sleep", "1000000")
    swarm.until(lambda: len([c for name in EVERYBODY for c in swarm.containers(name)]) == 3, "three tasks run")
    stack.write({**stack.settings(), "clusterId": swarm.cluster_id()})
    cluster.admit(stack.instance, stack)
    return swarm


def entries(swarm: Swarm) -> Mapping[str, Any]:
    """Each node's entry as docker tells it, by its ID."""
    ids = [entry["ID"] for entry in swarm.json("manager-a", "node", "ls")]
    return {one["ID"]: one["Spec"] for one in swarm.json("manager-a", "node", "inspect", *ids)}


def chains(swarm: Swarm, name: str, *arguments: str) -> tuple[str, ...]:
    """The filter rules of a node in both families."""
    return tuple(swarm.on(name, family, "-S", *arguments) for family in LISTS)


def ours(swarm: Swarm, name: str) -> tuple[str, ...]:
    """What of a node's rules is in INPUT and in the chain; docker's own chains are docker's."""
    return (*chains(swarm, name, "INPUT"), *chains(swarm, name, "REQUORUM"))


def picture(swarm: Swarm) -> Mapping[str, Any]:
    """What must not change: services, options, containers and firewall rules, as docker and the nodes tell them."""
    return {
        "services": sorted((s["ID"], s["Name"], s["Replicas"]) for s in swarm.json("manager-a", "service", "ls")),
        "options": swarm.json("manager-a", "info")[0]["Swarm"]["Cluster"]["Spec"],
        "containers": {name: swarm.containers(name) for name in EVERYBODY},
        "rules": {name: list(chains(swarm, name, "INPUT")) for name in EVERYBODY},
    }


def prepared(swarm: Swarm, name: str) -> bool:
    return bool(swarm.on(name, "sh", "-c", "cat /etc/requorum/cluster 2>/dev/null || true"))


def data_path(swarm: Swarm, name: str) -> str:
    """The data path address that a node's engine remembers."""
    remembered = json.loads(swarm.on(name, "cat", "/var/lib/docker/swarm/docker-state.json"))
    return str(remembered["DataPathAddr"])


def with_firewall(stack: Stack, network: str) -> None:
    stack.write({**stack.settings(), "subnet": network, "hosts": {"driver": "existing", "firewall": True}})


def test_a_swarm_is_taken_over_and_only_what_the_stack_file_names_is_changed(found: Swarm) -> None:
    before, listed = picture(found), entries(found)
    shown = found.stack.preview().text
    assert "change: worker-1: label disk=ssd is added" in shown
    assert "availability" not in shown
    assert f"data path port is {PORT}" in shown
    paths = set(re.findall(r"(\S+) has the data path address (\S+)[.] ", shown))
    assert paths == {("worker-1", ADDRESSES["worker-1"])}
    assert (picture(found), entries(found)) == (before, listed), "preview changes nothing"
    found.stack.up("--skip-preview")
    assert picture(found) == before
    after = entries(found)
    changed = [key for key, spec in listed.items() if after[key] != spec]
    assert set(after) == set(listed)
    assert [after[key]["Labels"] for key in changed] == [{"disk": "ssd"}]
    assert not prepared(found, STRANGER)
    told = requorum(found.stack, "status")
    assert (told.status, f"not named: {STRANGER} at {EVERYBODY[STRANGER]}" in told.text) == (0, True), told.text
    assert "drift" not in told.text


@pytest.mark.whole
def test_the_update_after_changes_nothing(found: Swarm) -> None:
    assert "unchanged" in found.stack.up("--skip-preview", "--expect-no-changes").text


def test_a_firewall_that_would_cut_off_a_node_of_the_swarm_is_refused(found: Swarm) -> None:
    before = picture(found)
    with_firewall(found.stack, found.stack.settings()["subnet"])
    shown = found.stack.preview(check=False)
    assert shown.status != 0
    assert "code: firewall-cuts-off" in shown.text
    assert f"{STRANGER} ({EVERYBODY[STRANGER]})" in shown.text
    assert picture(found) == before


def test_a_firewall_that_is_asked_for_is_switched_on_in_both_families_and_nobody_is_cut_off(found: Swarm) -> None:
    before = picture(found)
    with_firewall(found.stack, str(found.lab.subnet))
    assert "drift: worker-1: " in found.stack.preview().text
    found.stack.up("--skip-preview")
    for name in ADDRESSES:
        for rules in chains(found, name):
            assert f"--dports 7946,{PORT} -j DROP" in rules
            assert "--dports 2375,2376,2377,7946 -j DROP" in rules
        assert [text.splitlines()[1] for text in chains(found, name, "INPUT")] == ["-A INPUT -j REQUORUM"] * 2
    assert chains(found, STRANGER, "INPUT") == tuple(before["rules"][STRANGER])
    found.await_standing(*EVERYBODY)
    after = picture(found)
    assert {**after, "rules": None} == {**before, "rules": None}


@pytest.mark.whole
def test_what_became_of_the_machines_is_shown_and_put_back(found: Swarm) -> None:
    before = {name: ours(found, name) for name in ADDRESSES}
    found.on("worker-1", "sh", "-c", "iptables -F INPUT && iptables -F REQUORUM")
    found.on("manager-a", "ip6tables", "-D", "REQUORUM", "1")
    found.on("manager-b", "iptables", "-I", "INPUT", "-p", "tcp", "--dport", "2377", "-j", "ACCEPT")
    found.on("manager-b", "sh", "-c", f"mkdir -p $(dirname {DROP_IN}) && printf '[Service]\\nNice=5\\n' > {DROP_IN}")
    found.on("manager-c", "rm", "/etc/systemd/system/requorum-due.service")
    found.on("manager-c", "systemctl", "stop", "requorum-copy.timer")
    told = requorum(found.stack, "status").text
    shown = found.stack.preview().text
    for line in (
        "drift: worker-1: the firewall's rules are changed (IPv4)",
        "drift: manager-a: the firewall's rules are changed (IPv6)",
        "drift: manager-b: the firewall's rules are not the first in INPUT (IPv4)",
        "drift: manager-c: requorum-due.service of its agent is not as installed; requorum-copy.timer of its agent does not run",
    ):
        assert line in " ".join(told.split())
        assert line in shown
    found.stack.up("--skip-preview")
    found.on("manager-b", "iptables", "-D", "INPUT", "-p", "tcp", "--dport", "2377", "-j", "ACCEPT")
    assert {name: ours(found, name) for name in ADDRESSES} == before
    assert found.on("manager-c", "systemctl", "is-active", "requorum-copy.timer") == "active"
    assert found.on("manager-c", "ls", "/etc/systemd/system/requorum-due.service")
    assert "unchanged" in found.stack.up("--skip-preview", "--expect-no-changes").text


@pytest.mark.whole
def test_an_agent_is_installed_anew_beside_what_others_put_under_its_units(found: Swarm) -> None:
    found.on("manager-b", "rm", "/etc/systemd/system/requorum-copy.timer")
    found.stack.up("--skip-preview")
    assert "Nice=5" in found.on("manager-b", "cat", DROP_IN)
    assert found.on("manager-b", "systemctl", "show", "requorum-copy.service", "-p", "Nice", "--value") == "5"
    assert found.on("manager-b", "systemctl", "is-active", "requorum-copy.timer") == "active"


EARLIER = """rm -f /etc/requorum/prepared /etc/requorum/firewall.*
ip6tables -D INPUT -j REQUORUM; ip6tables -F REQUORUM; ip6tables -X REQUORUM
"""
"""Makes a machine look as a release left it that knew only IPv4: no version, no digest, no rules of IPv6."""


@pytest.mark.whole
def test_a_firewall_of_an_earlier_release_stays_as_it_is_until_it_is_asked_for(found: Swarm) -> None:
    before = {name: ours(found, name) for name in ADDRESSES}
    for name in ADDRESSES:
        found.on(name, "sh", "-c", EARLIER)
    found.stack.write({**found.stack.settings(), "hosts": {"driver": "existing"}})
    shown = found.stack.preview().text
    assert [line for line in shown.splitlines() if "-prepared" in line and " update" in line] == []
    assert "is of an earlier release, and leaves the ports open by IPv6" in shown
    assert "drift" not in requorum(found.stack, "status").text
    with_firewall(found.stack, str(found.lab.subnet))
    found.stack.up("--skip-preview")
    assert {name: ours(found, name) for name in ADDRESSES} == before


@pytest.mark.whole
def test_a_machine_that_was_installed_anew_under_its_machine_id_is_prepared_again(found: Swarm) -> None:
    machine, before = found.on("worker-1", "cat", "/etc/machine-id"), ours(found, "worker-1")
    path = data_path(found, "worker-1")
    values = found.stack.settings()
    (worker,) = values["workers"]
    found.stack.write({**values, "workers": [{**worker, "dataPathAddress": ADDRESSES["worker-1"]}]})
    nodes.lose(found.lab, ["worker-1"])
    nodes.make(found.lab, {"worker-1": ADDRESSES["worker-1"]})
    found.on("worker-1", "sh", "-c", f"echo {machine} > /etc/machine-id")
    assert "drift: worker-1: it is not prepared for this cluster" in found.stack.preview().text
    found.stack.up("--skip-preview")
    assert prepared(found, "worker-1")
    assert data_path(found, "worker-1") == path != ""
    assert ours(found, "worker-1") == before
    found.await_standing(*EVERYBODY)
    assert [spec["Labels"] for spec in entries(found).values()].count({"disk": "ssd"}) == 1
    assert "unchanged" in found.stack.up("--skip-preview", "--expect-no-changes").text
