"""A swarm whose managers listen at another port than 2377, and manager-b at its own address only: it is built, loses a manager,
then all, and is as it was. In order."""

import json
from typing import Any

import pytest

from lab import nodes
from lab.stack import Stack
from tests.lab.here import fresh, requorum
from tests.lab.swarm import MANAGERS, WORKERS, Swarm

pytestmark = pytest.mark.whole

PORT = 4377
POOL = "10.66.0.0/16"
NARROW = 1
"""The place in the list of the manager that listens at its own address only."""


@pytest.fixture(scope="module")
def swarm(stack: Stack) -> Swarm:
    """The cluster of the module's stack, with this port and address, built by one `pulumi up`."""
    options = {"listenPort": PORT, "defaultAddressPools": [POOL], "taskHistoryLimit": 3}
    values = stack.settings()
    managers = [
        {**manager, **({"listenAddress": manager["address"]} if place == NARROW else {})}
        for place, manager in enumerate(values["managers"])
    ]
    stack.write({**values, "managers": managers, "swarm": options})
    stack.up("--skip-preview")
    return Swarm(stack)


def of_swarm(swarm: Swarm, manager: str = "manager-a") -> dict[str, Any]:
    """The options of the swarm, from docker."""
    found = swarm.json(manager, "info")[0]["Swarm"]["Cluster"]
    keys = ("DefaultAddrPool", "SubnetSize", "DataPathPort")
    return {**{key: found[key] for key in keys}, "history": found["Spec"]["Orchestration"]["TaskHistoryRetentionLimit"]}


def require_port(swarm: Swarm) -> None:
    """Every manager listens at the port and at its address, tells others so, and its firewall has it."""
    for place, name in enumerate(MANAGERS):
        at = swarm.stack.settings()["managers"][place]["address"] if place == NARROW else "*"
        listening = {line.split()[3] for line in swarm.on(name, "ss", "-Hltn").splitlines()}
        assert f"{at}:{PORT}" in listening
        assert place != NARROW or f"*:{PORT}" not in listening
        assert not [one for one in listening if one.endswith(":2377")]
        assert f"--dports {PORT},7946 -j ACCEPT" in swarm.on(name, "iptables", "-S", "REQUORUM")
        told = swarm.json(name, "node", "inspect", name)[0]["ManagerStatus"]["Addr"]
        assert told.endswith(f":{PORT}")


def update(swarm: Swarm) -> None:
    plan = json.loads(requorum(swarm.stack, "plan", "--json").text)["id"]
    with fresh(swarm.stack):
        swarm.stack.up("--skip-preview", *(("--config", f"recover={plan}") if plan else ()))


def test_every_manager_listens_at_the_port(swarm: Swarm) -> None:
    swarm.await_standing(*MANAGERS, *WORKERS)
    require_port(swarm)
    assert of_swarm(swarm)["DefaultAddrPool"] == [POOL]
    assert of_swarm(swarm)["history"] == 3


def test_another_port_is_refused_on_the_running_swarm(swarm: Swarm) -> None:
    values = swarm.stack.settings()
    for options, line in (
        ({**values["swarm"], "listenPort": 2377}, f"requorum:swarm.listenPort: {PORT}"),
        ({**values["swarm"], "defaultAddressPools": ["10.67.0.0/16"]}, "requorum:swarm.defaultAddressPools"),
        ({**values["swarm"], "dataPathPort": 4790}, "requorum:swarm.dataPathPort: 4789"),
    ):
        swarm.stack.write({**values, "swarm": options})
        refused = swarm.stack.preview(check=False)
        assert refused.status != 0
        assert "code: founding-option" in refused.text
        assert line in " ".join(refused.text.split())
    swarm.stack.write(values)
    require_port(swarm)


def test_a_manager_and_then_all_are_lost_and_the_swarm_is_as_it_was(swarm: Swarm) -> None:
    swarm.run_workload()
    assert requorum(swarm.stack, "backup").status == 0
    before, options = swarm.picture(), of_swarm(swarm)
    for lost in (("manager-c",), MANAGERS):
        nodes.lose(swarm.lab, lost)
        update(swarm)
        swarm.await_standing(*MANAGERS, *WORKERS)
        assert not before.differences(swarm.picture())
        assert of_swarm(swarm) == options
        require_port(swarm)
