"""Existing machines that are switched off and declared lost, and what can be done about ailing ones. The tests run in order."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab import cluster, faults, nodes, workload
from lab.instance import Instance
from lab.stack import Stack, settings
from recovery.cluster import Cluster
from recovery.errors import Refused
from recovery.operations import fence
from recovery.settings import load
from tests.lab.conftest import Variant
from tests.lab.here import requorum
from tests.lab.swarm import MANAGERS, WORKERS, Swarm

pytestmark = pytest.mark.whole


@pytest.fixture(scope="module")
def stack(lab: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("fence")
    made = Stack(lab, "fence", folder / "Pulumi.fence.yaml")
    values = settings(lab)
    power = folder / "power-off"
    power.write_text(f'#!/bin/sh\nexec docker --host {lab.docker_host} kill "$1"\n')
    power.chmod(0o755)
    hosts = {"driver": "existing", "fence": [str(power), "{name}"]}
    made.write({**values, "hosts": hosts, "backup": {**values["backup"], "prefix": "fence"}})
    cluster.prepare(lab, made)
    nodes.make(lab, addresses(made))
    yield made
    nodes.remove_all(lab)


def addresses(stack: Stack) -> dict[str, str]:
    return {node.name: str(node.address) for node in load(stack.file).nodes}


def words(swarm: Swarm) -> list[str]:
    """Names of the nodes that a word lies in S3 for, looked up in the server's own files."""
    return sorted(path.stem for path in swarm.lab.s3_root.rglob("fence/*/lost/*.json"))


def votes(swarm: Swarm, manager: str) -> dict[str, str]:
    return {name: entry["ManagerStatus"] for name, entry in swarm.nodes(manager).items() if entry["ManagerStatus"]}


def leaderless(swarm: Swarm, manager: str) -> bool:
    return "does not have a leader" in swarm.on(manager, "sh", "-c", "docker node ls 2>&1", check=False)


def test_frozen_managers_accept_connections_and_nobody_is_told_to_fence_them(swarm: Swarm, variant: Variant) -> None:
    faults.pause(swarm.lab, MANAGERS[:2])
    swarm.until(lambda: leaderless(swarm, "manager-c"), "the survivor has noticed")
    shown = variant(recover=True).requorum("plan")
    assert shown.status == 1
    assert "code: slow-login" in shown.errors
    assert all(f"{name}: slow login" in shown.errors for name in MANAGERS[:2])
    assert "requorum fence" not in shown.text + shown.errors


@pytest.mark.parametrize("lost", [False, True], ids=["a command that does nothing", "a wrong word"])
def test_a_machine_that_still_answers_is_not_fenced(
    swarm: Swarm, variant: Variant, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    for key, value in swarm.stack.environment().items():
        monkeypatch.setenv(key, value)
    ssh = {**swarm.stack.settings()["ssh"], "loginSeconds": 4}
    lying = load(variant(hosts={"driver": "existing", "fence": ["true"]}, ssh=ssh).file)
    with pytest.raises(Refused, match="code: not-lost"):
        fence.fence(Cluster(lying), lying.node("manager-a"), lost=lost, say=print, seconds=1)
    assert words(swarm) == []


def test_a_living_member_and_an_unknown_node_are_not_fenced(swarm: Swarm) -> None:
    refused = requorum(swarm.stack, "fence", "manager-c", "--yes", "--force")
    assert refused.status == 1
    assert "code: may-hold-swarm" in refused.errors
    assert requorum(swarm.stack, "fence", "manager-z", "--yes").status == 2


def test_silent_managers_are_refused_and_the_command_is_named(swarm: Swarm, variant: Variant) -> None:
    faults.isolate(swarm.lab, MANAGERS[:2])
    shown = variant(recover=True).requorum("plan")
    assert shown.status == 1
    assert "not known to be lost: manager-a, manager-b" in shown.errors
    assert "requorum fence manager-a; requorum fence manager-b" in shown.errors


def test_once_they_are_fenced_the_recovery_goes_on(swarm: Swarm, variant: Variant) -> None:
    with ThreadPoolExecutor() as pool:
        for done in pool.map(lambda name: swarm.stack.requorum("fence", name, "--yes"), MANAGERS[:2]):
            assert done.status == 0, done.errors
    assert words(swarm) == list(MANAGERS[:2])
    assert re.search(r"manager-a \S+ declared lost \d+ min ago by ", requorum(swarm.stack, "status").text)
    shown = variant(recover=True).requorum("plan").text
    assert "manager-c: force a new cluster from its own log" in shown
    assert re.search(r"manager-b \S+ declared lost \d+ min ago by ", shown)
    done = swarm.stack.requorum("recover", "--yes")
    assert done.status == 0, done.errors
    assert votes(swarm, "manager-c") == {"manager-c": "Leader"}
    ready = ["Ready"] * len(WORKERS)
    swarm.until(
        lambda: [swarm.nodes("manager-c")[name]["Status"] for name in WORKERS] == ready, "every worker is there"
    )


def test_an_old_manager_at_its_own_address_gives_its_old_log_up(swarm: Swarm) -> None:
    """One comes back as it was before the forced new cluster, one as a fresh machine."""
    before = {name: entry["ID"] for name, entry in swarm.nodes("manager-c").items()}
    of = addresses(swarm.stack)
    nodes.lose(swarm.lab, ["manager-b"])
    faults.start(swarm.lab, ["manager-a"])
    nodes.make(swarm.lab, {name: of[name] for name in MANAGERS[:2]})
    assert "raft" in swarm.on("manager-a", "ls", "/var/lib/docker/swarm")
    swarm.stack.up("--skip-preview")
    assert {name: entry["ID"] for name, entry in swarm.nodes("manager-c").items()} == before
    swarm.await_standing(*MANAGERS, *WORKERS, manager="manager-c")
    assert swarm.leader("manager-c") == "manager-c"
    assert words(swarm) == []
    swarm.until(lambda: requorum(swarm.stack, "status").status == 0, "nothing is wrong")


def ailing(swarm: Swarm) -> dict[str, list[str]]:
    """The nodes that need something, and the remedies for it."""
    cases = json.loads(swarm.stack.requorum("doctor", "--json").text)["cases"]
    return {case["node"]: [proposal["remedy"] for proposal in case["proposals"]] for case in cases}


def test_a_dead_engine_is_found_and_restarted(swarm: Swarm) -> None:
    swarm.until(lambda: ailing(swarm) == {}, "nothing ails")
    swarm.on("manager-b", "systemctl", "stop", "docker.socket", "docker.service")
    swarm.until(lambda: votes(swarm, "manager-c")["manager-b"] == "Unreachable", "its end is noticed")
    alone = {"manager-b": ["restart", "reboot", "replace", "promote"]}
    swarm.until(lambda: ailing(swarm) == alone, "it alone ails, and what mends it is told")
    refused = swarm.stack.requorum("restart", "manager-c", "--yes")
    assert refused.status == 1
    assert "code: quorum-at-risk" in refused.errors
    done = requorum(swarm.stack, "restart", "manager-b", "--yes")
    assert done.status == 0, done.errors
    swarm.await_standing(*MANAGERS, *WORKERS, manager="manager-c")


def test_a_worker_stands_in_until_the_manager_is_back(swarm: Swarm) -> None:
    nobody = requorum(swarm.stack, "promote", "worker-1", "--yes")
    assert nobody.status == 1
    assert "code: not-promotable" in nobody.errors
    nodes.lose(swarm.lab, ["manager-b"])
    swarm.until(lambda: votes(swarm, "manager-c")["manager-b"] == "Unreachable", "the loss is noticed")
    done = swarm.stack.requorum("promote", "worker-2", "--yes")
    assert done.status == 0, done.errors
    swarm.until(lambda: votes(swarm, "manager-c")["worker-2"] == "Reachable", "it votes")
    nodes.make(swarm.lab, {"manager-b": addresses(swarm.stack)["manager-b"]})
    swarm.stack.up("--skip-preview")
    swarm.await_standing(*MANAGERS, *WORKERS, manager="manager-c")
    assert sorted(votes(swarm, "manager-c")) == list(MANAGERS)


def test_the_update_after_changes_nothing(swarm: Swarm) -> None:
    assert "unchanged" in swarm.stack.up("--skip-preview", "--expect-no-changes").text


def test_services_are_spread_again_on_request_only(swarm: Swarm) -> None:
    """Of two services the replicated one; a global one has nothing to be spread."""
    workload.load_workload(swarm.lab, addresses(swarm.stack)["worker-1"])
    swarm.on("manager-c", "docker", "node", "update", "--availability", "drain", "worker-2")
    for name, mode in (("web", ["--replicas", "2"]), ("agent", ["--mode", "global"])):
        service = ["--detach", "--no-resolve-image", "--stop-grace-period", "1s", "--name", name, *mode]
        swarm.on("manager-c", "docker", "service", "create", *service, workload.REFERENCE, "sleep", "1000000")
    swarm.until(lambda: len(swarm.containers("worker-1")) == 3, "three tasks run")
    running = {"web": tasks(swarm, "web"), "agent": tasks(swarm, "agent")}
    assert swarm.stack.requorum("rebalance", "agent", "--yes").status == 1
    done = requorum(swarm.stack, "rebalance", "--yes")
    assert done.status == 0, done.errors
    assert "rebalanced: web" in done.text
    assert not tasks(swarm, "web") & running["web"]
    assert tasks(swarm, "agent") == running["agent"]


def tasks(swarm: Swarm, service: str) -> set[str]:
    listed = swarm.json("manager-c", "service", "ps", "--filter", "desired-state=running", service)
    return {entry["ID"] for entry in listed}
