"""A worker in maintenance: it is drained through an update, a total loss and a new machine, and gets back what it had. In order."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lab import nodes, workload
from tests.lab.here import fresh, requorum
from tests.lab.swarm import MANAGERS, WORKERS, Picture, Swarm

pytestmark = pytest.mark.whole

NOTE = "requorum.maintenance"
KNOWN: dict[str, Picture] = {}
"""The picture of the drained swarm, which a test hands on."""


def entry(swarm: Swarm, node: str, manager: str = "manager-a") -> dict[str, Any]:
    """A node's labels, role and availability, from docker."""
    found: dict[str, Any] = swarm.json(manager, "node", "inspect", node)[0]["Spec"]
    return found


def services(swarm: Swarm, node: str) -> list[str]:
    """The names of the services whose containers run on a node."""
    names = swarm.on(node, "docker", "ps", "--format", '{{.Label "com.docker.swarm.service.name"}}')
    return sorted(names.splitlines())


def replicas(swarm: Swarm, manager: str = "manager-a") -> dict[str, str]:
    return {service["Name"]: service["Replicas"] for service in swarm.json(manager, "service", "ls")}


def update(swarm: Swarm) -> None:
    """An update, with consent to the plan where it needs one."""
    plan = json.loads(requorum(swarm.stack, "plan", "--json").text)["id"]
    swarm.stack.up("--skip-preview", *(("--config", f"recover={plan}") if plan else ()))


def test_a_drain_that_leaves_a_service_without_a_place_is_refused(swarm: Swarm) -> None:
    swarm.run_workload()
    swarm.on("manager-a", "docker", "node", "update", "--label-add", "disk=ssd", "worker-1")
    create = ["docker", "service", "create", "--detach", "--no-resolve-image", "--name", "db"]
    swarm.on("manager-a", *create, "--constraint", "node.labels.disk==ssd", workload.REFERENCE, "sleep", "1000000")
    swarm.until(lambda: "db" in services(swarm, "worker-1"), "the service runs")
    before = swarm.picture()
    done = requorum(swarm.stack, "drain", "worker-1", "--yes")
    assert done.status == 1
    assert "code: no-place-for-tasks" in done.errors
    assert "db (no other node meets node.labels.disk==ssd)" in done.errors
    assert not before.differences(swarm.picture())
    swarm.on("manager-a", "docker", "node", "update", "--label-add", "disk=ssd", "worker-2")


def test_a_drained_worker_runs_no_task_and_is_named_once_its_time_is_past(swarm: Swarm) -> None:
    swarm.on("manager-a", "docker", "node", "update", "--availability", "active", "worker-1")
    end = datetime.now(UTC) + timedelta(seconds=90)
    done = requorum(swarm.stack, "drain", "worker-1", "--until", end.isoformat(), "--yes")
    assert done.status == 0, done.errors
    assert services(swarm, "worker-1") == []
    swarm.until(lambda: replicas(swarm) == {"web": "3/3", "agent": "1/1", "db": "1/1"}, "all tasks run elsewhere")
    assert entry(swarm, "worker-1")["Availability"] == "drain"
    assert entry(swarm, "worker-1")["Labels"][NOTE].startswith("active ")

    def is_told() -> bool:
        status = json.loads(requorum(swarm.stack, "status", "--json").text)
        [node] = [node for node in status["nodes"] if node["name"] == "worker-1"]
        assert node["maintenance"]["before"] == "active"
        return node["maintenance"]["over"] and any("requorum undrain worker-1" in line for line in status["warnings"])

    swarm.until(is_told, "the end of the maintenance is told")
    assert f'requorum_node_maintenance{{cluster="{swarm.stack.settings()["cluster"]}",node="worker-1"}} 1.0' in (
        requorum(swarm.stack, "metrics").text
    )


def test_a_second_drain_and_an_update_change_nothing(swarm: Swarm) -> None:
    before, noted = swarm.picture(), entry(swarm, "worker-1")
    assert requorum(swarm.stack, "drain", "worker-1", "--yes").status == 0
    values = swarm.stack.settings()
    workers = [
        {**worker, **({"availability": "active"} if place == 0 else {})}
        for place, worker in enumerate(values["workers"])
    ]
    swarm.stack.write({**values, "workers": workers})
    assert "worker-1 is in maintenance" in swarm.stack.preview().text
    swarm.stack.up("--skip-preview")
    assert entry(swarm, "worker-1") == noted
    assert not before.differences(swarm.picture())


def test_after_a_total_loss_it_is_still_in_maintenance(swarm: Swarm) -> None:
    assert requorum(swarm.stack, "backup").status == 0
    KNOWN["drained"] = swarm.picture()
    nodes.lose(swarm.lab, MANAGERS)
    with fresh(swarm.stack):
        update(swarm)
    swarm.await_standing(*MANAGERS, *WORKERS)
    assert not KNOWN["drained"].differences(swarm.picture())
    assert entry(swarm, "worker-1")["Availability"] == "drain"
    assert services(swarm, "worker-1") == []


def test_undrained_it_has_its_availability_back(swarm: Swarm) -> None:
    others = {worker: swarm.containers(worker) for worker in WORKERS[1:]}
    assert requorum(swarm.stack, "undrain", "worker-1", "--yes").status == 0
    found = entry(swarm, "worker-1")
    assert (found["Availability"], NOTE in found["Labels"]) == ("active", False)
    swarm.until(lambda: services(swarm, "worker-1") == ["agent"], "the global service runs there again")
    assert {worker: swarm.containers(worker) for worker in WORKERS[1:]} == others
    again = requorum(swarm.stack, "undrain", "worker-1", "--yes")
    assert (again.status, "in no maintenance" in again.text) == (0, True)


def test_a_paused_worker_is_paused_again(swarm: Swarm) -> None:
    swarm.on("manager-a", "docker", "node", "update", "--availability", "pause", "worker-2")
    before = entry(swarm, "worker-2")
    assert requorum(swarm.stack, "drain", "worker-2", "--yes").status == 0
    assert services(swarm, "worker-2") == []
    assert entry(swarm, "worker-2")["Labels"][NOTE] == "pause"
    assert requorum(swarm.stack, "undrain", "worker-2", "--yes").status == 0
    assert entry(swarm, "worker-2") == before


def test_tasks_are_spread_again_on_request(swarm: Swarm) -> None:
    swarm.on("manager-a", "docker", "node", "update", "--availability", "active", "worker-2")
    assert [services(swarm, worker).count("web") for worker in WORKERS] == [3, 0]
    before = swarm.picture()
    done = requorum(swarm.stack, "rebalance", "web", "--yes")
    assert done.status == 0, done.errors
    assert sorted(services(swarm, worker).count("web") for worker in WORKERS) == [1, 2]
    assert replicas(swarm)["web"] == "3/3"
    assert swarm.picture().objects == before.objects
