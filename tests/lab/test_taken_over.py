"""Swarms that docker alone made, whose managers run all services: taken in and copied, and nothing in them changes."""

import json
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from lab import cluster, nodes, workload
from lab.instance import Instance
from lab.stack import Stack
from recovery.swarm.address import with_port
from tests.lab.place import OCTET, address
from tests.lab.swarm import Swarm
from tests.lab.test_first_hour import LISTS, Person

pytestmark = pytest.mark.whole

NAMES = ("manager-a", "manager-b", "manager-c")
IPV4 = dict(zip(NAMES, (address(1, 11), address(2, 12), address(3, 13)), strict=True))
IPV6 = dict(zip(NAMES, (f"fd00:{OCTET}::1:11", f"fd00:{OCTET}::2:12", f"fd00:{OCTET}::3:13"), strict=True))
TABLES = ("filter", "nat", "mangle")


def hand_made(lab: Instance, places: Mapping[str, str]) -> Swarm:
    """Managers alone, all active, and a service of which each runs a task."""
    swarm, (first, *others) = Swarm(Stack(lab, "none")), places
    swarm.on(first, "docker", "swarm", "init", "--advertise-addr", places[first])
    for name in others:
        token = swarm.on(first, "docker", "swarm", "join-token", "-q", "manager")
        swarm.on(name, "docker", "swarm", "join", "--token", token, with_port(ip_address(places[first]), 2377))
    for at in places.values():
        workload.load_workload(lab, at)
    swarm.on(first, "docker", "network", "create", "--driver", "overlay", "backend")
    create = [
        "docker",
        "service",
        "create",
        "--detach",
        "--no-resolve-image",
        "--mode",
        "global",
        "--network",
        "backend",
    ]
    swarm.on(first, *create, "--name", "web", workload.REFERENCE, "sleep", "1000000")
    swarm.until(lambda: all(len(swarm.containers(name)) == 1 for name in places), "a task runs on each manager")
    return swarm


def picture(swarm: Swarm, names: Mapping[str, str]) -> Mapping[str, Any]:
    """What must not change, as docker and the machines tell it."""
    first = next(iter(names))
    ids = [entry["ID"] for entry in swarm.json(first, "node", "ls")]
    return {
        "nodes": {
            one["ID"]: (one["Spec"], one["Status"]["State"], one["ManagerStatus"]["Addr"])
            for one in swarm.json(first, "node", "inspect", *ids)
        },
        "services": {one["ID"]: (one["Name"], one["Replicas"]) for one in swarm.json(first, "service", "ls")},
        "options": swarm.json(first, "info")[0]["Swarm"]["Cluster"]["Spec"],
        "containers": {name: swarm.containers(name) for name in names},
        "rules": {
            name: [swarm.on(name, tool, "-t", table, "-S") for tool in LISTS for table in TABLES] for name in names
        },
    }


@pytest.mark.parametrize(
    ("places", "tolerates"),
    [
        ({name: IPV4[name] for name in NAMES[:2]}, "2 managers tolerate no loss"),
        (IPV4, ""),
        ({name: IPV6[name] for name in NAMES[:2]}, "2 managers tolerate no loss"),
    ],
    ids=["two", "three", "two with IPv6 addresses"],
)
def test_managers_that_run_all_services_are_taken_in_as_they_are(
    lab: Instance, tmp_path: Path, places: Mapping[str, str], tolerates: str
) -> None:
    nodes.remove_all(lab)
    cluster.link_plugins(lab)
    nodes.make(lab, places)
    swarm, person = hand_made(lab, places), Person(lab, tmp_path / "home")
    at, before = places["manager-a"], picture(swarm, places)
    name = f"taken-{len(places)}{'-ipv6' if ':' in at else ''}"
    person.types(f"export PULUMI_STACK={name}")
    url = f"ssh://root@[{at}]" if ":" in at else f"ssh://root@{at}"
    zones = ",".join("abc"[: len(places)])
    told = person.types(
        f"requorum init --from {url} --bucket {lab.bucket} --endpoint {lab.s3_endpoint} --zones {zones} --accept-host-keys"
    )
    assert tolerates in told
    assert ("tolerate" in told) is bool(tolerates), told
    assert picture(swarm, places) == before
    person.types("requorum copies take")
    copies = json.loads(person.types("requorum copies list --json"))["copies"]
    assert {copy["manager"]: copy["proof"]["verdict"] for copy in copies} == dict.fromkeys(places, "proven")
    assert picture(swarm, places) == before
    person.types(f"pulumi stack init {name}")
    person.types("pulumi up --yes")
    swarm.await_standing(*places, manager="manager-a")
    assert picture(swarm, places) == before
    assert json.loads(person.types("requorum status --json"))["diagnosis"] == "healthy"
    nodes.remove_all(lab)
