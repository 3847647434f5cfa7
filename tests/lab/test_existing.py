"""The `existing` driver: machines that Pulumi did not make. The tests run in order."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab import nodes
from lab.stack import Stack
from tests.lab.here import requorum
from tests.lab.machines import ADDRESSES
from tests.lab.place import address
from tests.lab.swarm import MANAGERS, Swarm


@pytest.fixture(scope="module")
def machines(existing: Stack) -> Swarm:
    return Swarm(existing)


def test_a_machine_of_another_swarm_is_refused_before_anything_is_done(machines: Swarm) -> None:
    machines.on("manager-b", "docker", "swarm", "init", "--advertise-addr", ADDRESSES["manager-b"])
    shown = machines.stack.preview(check=False)
    assert shown.status != 0
    assert f"manager-b ({address(2, 12)}) belongs to swarm" in shown.text
    assert "was not prepared for this cluster" in shown.text
    machines.on("manager-b", "docker", "swarm", "leave", "--force")


def test_a_machine_that_is_not_there_is_refused(machines: Swarm) -> None:
    nodes.lose(machines.lab, ["worker-2"])
    shown = machines.stack.preview(check=False)
    assert shown.status != 0
    assert "worker-2" in shown.text
    assert "code: node-unreachable" in shown.text
    nodes.make(machines.lab, {"worker-2": ADDRESSES["worker-2"]})


def test_the_cluster_is_built_on_them(machines: Swarm) -> None:
    machines.stack.up("--skip-preview")
    machines.await_standing(*ADDRESSES)


@pytest.mark.whole
def test_a_second_update_changes_nothing(machines: Swarm) -> None:
    assert "unchanged" in machines.stack.up("--skip-preview", "--expect-no-changes").text


def test_strangers_do_not_reach_the_swarm_ports(machines: Swarm) -> None:
    """From this machine, which is no node, gossip and the managers' API are closed; SSH is not."""

    def reach(port: int, seconds: int) -> list[str]:
        return ["timeout", str(seconds), "bash", "-c", f"exec 3<>/dev/tcp/{address(1, 11)}/{port}"]

    machines.on("worker-1", *reach(2377, 20))
    rules = machines.on("manager-a", "iptables", "-S", "REQUORUM")
    assert "--dports 2375,2376,2377,7946 -j DROP" in rules
    for port, open_ in ((22, True), (2377, False), (7946, False)):
        done = subprocess.run(reach(port, 20 if open_ else 2), capture_output=True, check=False)
        assert (done.returncode == 0) is open_, port


def test_machines_reinstalled_after_total_loss_are_brought_back(machines: Swarm) -> None:
    machines.run_workload()
    assert requorum(machines.stack, "backup").status == 0
    before = machines.picture()
    nodes.lose(machines.lab, MANAGERS)
    shown = machines.stack.preview(check=False)
    assert shown.status != 0, "dead machines are silent here: nobody can say that they are lost"
    assert "not known to be lost" in shown.text
    nodes.make(machines.lab, {name: ADDRESSES[name] for name in MANAGERS})
    machines.stack.up("--skip-preview", "--config", "recover=true")
    assert not before.differences(machines.picture())


@pytest.mark.whole
def test_the_update_after_changes_nothing(machines: Swarm) -> None:
    assert "unchanged" in machines.stack.up("--skip-preview", "--expect-no-changes").text


def recovered(stack: Stack, *, again: bool = False) -> str:
    """What an operator is told who waits for another, and comes again where that took longer than one is kept waiting."""
    done = stack.requorum("recover", "--yes")
    if "code: lease-held" in done.errors:
        return done.errors + recovered(stack, again=True)
    assert done.status == 0, done.errors
    assert "is proven" in done.text or (again and "nothing to do" in done.text)
    return done.errors


@pytest.mark.whole
def test_two_operators_without_pulumi_make_one_swarm_and_pulumi_agrees_afterwards(machines: Swarm) -> None:
    before = machines.picture()
    nodes.lose(machines.lab, MANAGERS)
    nodes.make(machines.lab, {name: ADDRESSES[name] for name in MANAGERS})
    with ThreadPoolExecutor(max_workers=2) as both:
        told = list(both.map(lambda _: recovered(machines.stack), range(2)))
    forced = [errors for errors in told if "forcing a new cluster" in errors]
    waited = [errors for errors in told if "waiting for" in errors]
    assert len(forced) == len(waited) == 1
    assert forced != waited
    report = json.loads(requorum(machines.stack, "report", "--json").text)
    assert (report["how"], report["diagnosis"], report["lost"]) == ("command line", "all lost", list(MANAGERS))
    assert not before.differences(machines.picture())
    machines.stack.up("--skip-preview")
    assert not before.differences(machines.picture())
    assert "unchanged" in machines.stack.up("--skip-preview", "--expect-no-changes").text
    assert "nothing to do" in machines.stack.requorum("recover", "--yes").text


@pytest.mark.whole
def test_a_machine_can_be_taken_out_and_the_swarm_shrinks_safely(machines: Swarm) -> None:
    values = machines.stack.settings()
    machines.stack.write({**values, "workers": values["workers"][:1]})
    machines.stack.up("--skip-preview")
    assert set(machines.nodes()) == {*MANAGERS, "worker-1"}
    assert machines.state("worker-2") == "inactive"


def test_a_quorum_that_is_replaced_is_looked_at_and_nobody_leaves(machines: Swarm) -> None:
    before = machines.picture()
    machines.stack.up("--skip-preview", "--replace", machines.stack.urn("quorum"))
    assert not before.differences(machines.picture())


def test_destroy_says_what_ends_dissolves_the_swarm_and_leaves_the_machines(machines: Swarm) -> None:
    services = [service["Name"] for service in machines.json("manager-a", "service", "ls")]
    copies = len(json.loads(machines.stack.requorum("backups", "--json").text)["copies"])
    shown = machines.stack.destroy()
    assert services
    assert all(name in shown.text for name in services)
    assert len(json.loads(machines.stack.requorum("backups", "--json").text)["copies"]) == copies + len(MANAGERS)
    assert [machines.state(name) for name in ADDRESSES] == ["inactive"] * len(ADDRESSES)
