"""A swarm of one manager that docker alone made: taken over, copied, lost with its machine, and back by one command."""

import json
import shutil
from pathlib import Path

import pytest

from lab import keys, nodes, workload
from lab.instance import Instance
from lab.stack import Stack
from tests.lab.place import address
from tests.lab.swarm import WORKERS, Swarm
from tests.lab.test_first_hour import Person

pytestmark = pytest.mark.whole

MANAGER = "manager-a"
ADDRESSES = dict(zip((MANAGER, *WORKERS), (address(1, 11), address(1, 21), address(2, 22)), strict=True))


def hand_made(lab: Instance) -> Swarm:
    """A manager that runs a service, as the two workers do, with a secret and an overlay network."""
    swarm = Swarm(Stack(lab, "none"))
    swarm.on(MANAGER, "docker", "swarm", "init", "--advertise-addr", ADDRESSES[MANAGER])
    for name in WORKERS:
        token = swarm.on(MANAGER, "docker", "swarm", "join-token", "-q", "worker")
        swarm.on(name, "docker", "swarm", "join", "--token", token, f"{ADDRESSES[MANAGER]}:2377")
    for place in ADDRESSES.values():
        workload.load_workload(lab, place)
    swarm.on(MANAGER, "docker", "network", "create", "--driver", "overlay", "backend")
    swarm.on(MANAGER, "sh", "-c", "echo hidden | docker secret create hidden -")
    create = [
        "docker",
        "service",
        "create",
        "--detach",
        "--no-resolve-image",
        "--network",
        "backend",
        "--secret",
        "hidden",
    ]
    run = [workload.REFERENCE, "sleep", "1000000"]
    swarm.on(MANAGER, *create, "--name", "web", "--mode", "global", *run)
    swarm.until(lambda: all(len(swarm.containers(name)) == 1 for name in ADDRESSES), "a task runs on each node")
    return swarm


def test_one_manager_is_taken_over_copied_lost_and_back(lab: Instance, tmp_path: Path) -> None:
    nodes.remove_all(lab)
    nodes.make(lab, ADDRESSES)
    swarm, person = hand_made(lab), Person(lab, tmp_path / "home")
    person.types("export PULUMI_STACK=home")
    before = swarm.picture(MANAGER)
    rules = {name: swarm.on(name, "iptables", "-S") for name in ADDRESSES}
    told = person.types(
        f"requorum init --from ssh://root@{ADDRESSES[MANAGER]} --bucket {lab.bucket} --endpoint {lab.s3_endpoint} "
        "--zones a --accept-host-keys"
    )
    assert "1 manager tolerates no loss" in told
    person.types("requorum copies take")
    (copy,) = json.loads(person.types("requorum copies list --json"))["copies"]
    assert copy["proof"]["verdict"] == "proven"
    assert not before.differences(swarm.picture(MANAGER))
    assert {name: swarm.on(name, "iptables", "-S") for name in ADDRESSES} == rules, "nothing on the nodes changed"

    nodes.lose(lab, [MANAGER])
    shutil.rmtree(lab.identity(MANAGER))  # the new machine has another host key
    keys.ensure(lab, {MANAGER: ADDRESSES[MANAGER]})
    nodes.make(lab, {MANAGER: ADDRESSES[MANAGER]})
    shutil.copy(lab.known_hosts, person.home / ".config/requorum/home.known_hosts")
    person.types("requorum recover --yes")
    swarm.await_standing(*ADDRESSES, manager=MANAGER)
    after = swarm.picture(MANAGER)
    assert (after.cluster_id, after.objects, after.nodes) == (before.cluster_id, before.objects, before.nodes)
    assert after.containers == before.containers, "containers on workers run on"
    workload.load_workload(lab, ADDRESSES[MANAGER])
    swarm.until(lambda: len(swarm.containers(MANAGER)) == 1, "the manager's own task runs again")
    nodes.remove_all(lab)
