"""Workers that no stack file names, as an autoscaling group lets them join by token: left alone through everything. In order.

The host names of the nodes are not their names in the stack file, and a worker that is not named has the host name of one that is.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lab import cluster, nodes, workload
from lab.instance import Instance
from lab.stack import Stack, settings
from tests.lab.here import requorum
from tests.lab.place import address
from tests.lab.swarm import MANAGERS, Picture, Swarm

pytestmark = pytest.mark.whole

NAMED = {
    **dict(zip(MANAGERS, (address(1, 11), address(2, 12), address(3, 13)), strict=True)),
    "worker-1": address(1, 21),
}
NAMES = dict(zip(NAMED, ("alpha", "beta", "gamma", "delta"), strict=True))
"""What the stack file calls each machine."""
FIRST, SECOND = "auto-1", "auto-2"
AUTOSCALED = {FIRST: address(2, 41), SECOND: address(3, 42)}
SAME_NAME = "worker-1"
LISTED = (*NAMED, SAME_NAME)
"""The host names that the swarm lists, once the first of the two has joined."""
KNOWN: dict[str, Any] = {}


def join(swarm: Swarm, machine: str, role: str = "worker") -> None:
    """Let a machine join by token, as its first boot does. It tells no address."""
    token = swarm.on("manager-a", "docker", "swarm", "join-token", "-q", role)
    swarm.on(machine, "docker", "swarm", "join", "--token", token, f"{NAMED['manager-a']}:2377")


@pytest.fixture(scope="module")
def stack(lab: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = Stack(lab, "notnamed", tmp_path_factory.mktemp("notnamed") / "Pulumi.notnamed.yaml")
    values = settings(lab)
    named = [{"name": NAMES[machine], "address": at} for machine, at in NAMED.items()]
    made.write(
        {
            **values,
            "managers": named[:3],
            "workers": named[3:],
            "hosts": {"driver": "existing"},
            "backup": {**values["backup"], "prefix": "notnamed"},
        }
    )
    nodes.remove_all(lab)
    nodes.make(lab, {**NAMED, **AUTOSCALED})
    cluster.link_plugins(lab)  # not `prepare`, which would make keys for the names of the stack file
    made.select()
    yield made
    nodes.remove_all(lab)


@pytest.fixture(scope="module")
def swarm(stack: Stack) -> Swarm:
    """The swarm as docker alone made it: a global service on every worker, and the first of the autoscaled ones."""
    made = Swarm(stack)
    made.on(FIRST, "sh", "-c", f"hostname {SAME_NAME} && systemctl restart docker")
    made.on("manager-a", "docker", "swarm", "init", "--advertise-addr", NAMED["manager-a"])
    for machine in MANAGERS[1:]:
        join(made, machine, "manager")
    for machine in ("worker-1", FIRST):
        join(made, machine)
    for machine in ("worker-1", *AUTOSCALED):
        workload.load_workload(made.lab, {**NAMED, **AUTOSCALED}[machine])
    create = ["docker", "service", "create", "--detach", "--no-resolve-image", "--mode", "global"]
    made.on(
        "manager-a",
        *(*create, "--constraint", "node.role==worker", "--name", "web", workload.REFERENCE, "sleep", "1000000"),
    )
    made.until(lambda: all(len(made.containers(name)) == 1 for name in ("worker-1", FIRST)), "a task on each worker")
    stack.write({**stack.settings(), "clusterId": made.cluster_id()})
    KNOWN["pictures"] = picture(made)
    KNOWN["containers"] = {name: made.containers(name) for name in ("worker-1", FIRST)}
    return made


def picture(swarm: Swarm) -> Picture:
    """What must stay, without the containers: those of this module's workers are compared by themselves."""
    ids = [entry["ID"] for entry in swarm.json("manager-a", "node", "ls")]
    inspected = swarm.json("manager-a", "node", "inspect", *ids)
    return Picture(
        swarm.cluster_id(),
        {one["ID"]: (one["Description"]["Hostname"], one["Spec"]) for one in inspected},
        {"services": {one["ID"]: one["Name"] for one in swarm.json("manager-a", "service", "ls")}},
        {},
    )


def runs_on(swarm: Swarm) -> bool:
    """Whether every container runs on, and the node of each is Ready."""
    return {name: swarm.containers(name) for name in KNOWN["containers"]} == KNOWN["containers"]


def shown(stack: Stack) -> list[tuple[str, str]]:
    """The nodes that status shows as not named, with their addresses."""
    told = json.loads(requorum(stack, "status", "--json").text)
    return sorted((other["address"], other["state"]) for other in told["others"])


def counted(stack: Stack) -> str:
    """What the proof of the newest report says of nodes that are not named."""
    report = json.loads(requorum(stack, "reports", "--newest", "--json").text)
    (check,) = [check for check in report["proof"] if check["check"] == "nodes not named"]
    return str(check["detail"])


def test_it_is_taken_over_and_no_node_changes(swarm: Swarm) -> None:
    swarm.stack.up("--skip-preview")
    assert not KNOWN["pictures"].differences(picture(swarm))
    assert runs_on(swarm)
    assert shown(swarm.stack) == [(AUTOSCALED[FIRST], "ready")]
    assert requorum(swarm.stack, "copies", "take").status == 0
    assert requorum(swarm.stack, "status").status == 0
    names = {
        node["name"]: node["state"] for node in json.loads(requorum(swarm.stack, "status", "--json").text)["nodes"]
    }
    assert names == dict.fromkeys(NAMES.values(), "ready")


def test_an_update_leaves_them_alone_also_one_that_joined_meanwhile(swarm: Swarm) -> None:
    join(swarm, SECOND)
    swarm.until(lambda: len(swarm.containers(SECOND)) == 1, "the service runs on the new worker")
    KNOWN["containers"][SECOND] = swarm.containers(SECOND)
    values = swarm.stack.settings()
    (worker,) = values["workers"]
    swarm.stack.write({**values, "workers": [{**worker, "labels": {"disk": "ssd"}}]})
    told = swarm.stack.up("--skip-preview").text
    assert "is no longer in the stack file" not in told
    labelled = {key: one[1]["Labels"] for key, one in picture(swarm).nodes.items() if one[1]["Labels"]}
    assert list(labelled.values()) == [{"disk": "ssd"}]
    assert runs_on(swarm)
    assert shown(swarm.stack) == sorted((at, "ready") for at in AUTOSCALED.values())
    assert "unchanged" in swarm.stack.up("--skip-preview", "--expect-no-changes").text
    assert requorum(swarm.stack, "copies", "take").status == 0
    KNOWN["pictures"] = picture(swarm)


def test_after_a_total_loss_their_containers_run_on_and_they_are_ready(swarm: Swarm) -> None:
    nodes.lose(swarm.lab, MANAGERS)
    nodes.make(swarm.lab, {name: NAMED[name] for name in MANAGERS})
    swarm.stack.recover()
    swarm.await_standing(*LISTED, SECOND, manager="manager-a")
    assert not KNOWN["pictures"].differences(picture(swarm)), "also the node IDs are the same"
    assert runs_on(swarm)
    assert shown(swarm.stack) == sorted((at, "ready") for at in AUTOSCALED.values())
    assert "left alone" in counted(swarm.stack)
    assert sum(int(word) for word in counted(swarm.stack).split() if word.isdecimal()) == len(AUTOSCALED)


def test_one_that_the_group_ended_stays_listed_as_down_and_hinders_nothing(swarm: Swarm) -> None:
    nodes.lose(swarm.lab, [SECOND])
    del KNOWN["containers"][SECOND]
    swarm.until(lambda: swarm.nodes()[SECOND]["Status"] == "Down", "the ended machine is listed as Down")
    assert "unchanged" in swarm.stack.up("--skip-preview").text
    assert (AUTOSCALED[SECOND], "down") in shown(swarm.stack)
    assert requorum(swarm.stack, "status").status == 0
    assert runs_on(swarm)
