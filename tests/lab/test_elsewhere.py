"""All managers are lost, and their machines come back at other addresses. The tests run in order."""

import json
import re
from functools import partial

import pytest

from lab import cluster, nodes, workload
from lab.stack import Stack
from recovery.steps.redirect import CHAIN, UNIT
from tests.lab.here import requorum
from tests.lab.place import address
from tests.lab.swarm import MANAGERS, WORKERS, Picture, Swarm

pytestmark = pytest.mark.whole

BEFORE = dict(zip(MANAGERS, (address(1, 11), address(2, 12), address(3, 13)), strict=True))
NOW = dict(zip(MANAGERS, (address(1, 111), address(2, 112), address(3, 113)), strict=True))
KNOWN: dict[str, Picture] = {}
"""The picture that the tests of this module hand on."""


@pytest.fixture(scope="module")
def moved(swarm: Swarm) -> Stack:
    """The stack, which has its managers elsewhere once they are lost; their containers run on on the workers."""
    swarm.run_workload()
    swarm.on("manager-a", "docker", "node", "update", "--label-add", "rack=7", "manager-b")
    assert requorum(swarm.stack, "backup").status == 0
    KNOWN["before"] = swarm.picture()
    nodes.lose(swarm.lab, MANAGERS)
    values = swarm.stack.settings()
    swarm.stack.write({**values, "managers": [{"address": place} for place in NOW.values()]})
    cluster.prepare(swarm.lab, swarm.stack)
    return swarm.stack


def plan_id(stack: Stack) -> str:
    return str(json.loads(stack.requorum("plan", "--json").text)["id"])


@pytest.mark.parametrize("flags", [(), ("--config", "recover=true")], ids=["without a word", "recover=true"])
def test_without_the_plans_id_nothing_is_restored_elsewhere(swarm: Swarm, moved: Stack, flags: tuple[str, ...]) -> None:
    refused = moved.preview(*flags, check=False)
    assert refused.status != 0
    assert f"manager-a from {BEFORE['manager-a']} to {NOW['manager-a']}" in refused.text
    assert "give the managers their old addresses in requorum:managers" in refused.text
    assert f"pulumi up --config recover={plan_id(moved)}" in refused.text
    assert "two swarms will exist" in refused.text, "the refusal shows what follows"
    assert [node.name for node in nodes.existing(swarm.lab)] == list(WORKERS)


def test_yes_is_not_the_word_that_is_missing(moved: Stack) -> None:
    refused = moved.requorum("recover", "--yes")
    assert refused.status == 1
    assert "code: consent-needed" in refused.errors


def test_the_preview_shows_every_step(moved: Stack) -> None:
    shown = moved.preview("--config", f"recover={plan_id(moved)}").text
    assert re.search(
        rf"manager-[abc]: restore the swarm from .* and force a new cluster at {address(1, 1)[:-3]}", shown
    )
    assert re.search(r"manager-[abc]: take its vote", shown)
    assert all(f"{worker}: direct it to the managers' new addresses" in shown for worker in WORKERS)


def test_the_swarm_is_back_elsewhere_with_all_it_had(swarm: Swarm, moved: Stack) -> None:
    moved.up("--skip-preview", "--config", f"recover={plan_id(moved)}")
    assert not KNOWN["before"].differences(swarm.picture())
    listed = {name: swarm.json("manager-b", "node", "inspect", name)[0] for name in MANAGERS}
    assert {name: entry["Status"]["Addr"] for name, entry in listed.items()} == NOW
    assert {name: entry["ManagerStatus"]["Addr"] for name, entry in listed.items()} == {
        name: f"{place}:2377" for name, place in NOW.items()
    }
    swarm.await_standing(*MANAGERS, *WORKERS, manager="manager-c")
    assert moved.outputs()["clusterId"] == KNOWN["before"].cluster_id


def test_the_report_tells_of_it(moved: Stack) -> None:
    report = json.loads(requorum(moved, "report", "--json").text)
    assert {step["outcome"] for step in report["steps"]} == {"done"}
    done = [(step["action"], step["node"]) for step in report["steps"]]
    assert [action for action, _ in done if action in ("restore", "readdress")] == ["restore", "readdress"]
    assert {node for action, node in done if action == "redirect"} == {*WORKERS, "manager-b"}
    assert any(BEFORE["manager-c"] in loss and NOW["manager-c"] in loss for loss in report["losses"])
    assert {check["result"] for check in report["proof"]} == {"ok"}


def test_names_are_heard_of_across_managers_and_workers(swarm: Swarm) -> None:
    """A container on a manager finds the tasks on the workers: their gossip is one again."""
    swarm.on("manager-a", "docker", "node", "update", "--availability", "active", "manager-b")
    workload.load_workload(swarm.lab, NOW["manager-b"])
    run = ["docker", "run", "--detach", "--name", "probe", "--network", "backend", workload.REFERENCE, "sleep", "1000"]
    swarm.on("manager-b", *run)
    look = ["docker", "exec", "probe", "nslookup", "tasks.web"]
    swarm.until(lambda: swarm.on("manager-b", *look, check=False).count("Address") > 3, "its three tasks are known")
    swarm.on("manager-b", "docker", "rm", "--force", "probe")
    swarm.on("manager-a", "docker", "node", "update", "--availability", "drain", "manager-b")


def has_no_detour(swarm: Swarm, worker: str) -> bool:
    return CHAIN not in swarm.on(worker, "iptables", "-t", "nat", "-S")


def test_workers_know_the_managers_of_now_and_their_detour_is_taken_away_by_a_timer(swarm: Swarm) -> None:
    for worker in WORKERS:
        assert UNIT in swarm.on(worker, "systemctl", "list-timers", "--no-legend", f"{UNIT}.timer")
        assert BEFORE["manager-c"] in swarm.on(worker, "iptables", "-t", "nat", "-S", CHAIN)
        swarm.on(worker, "systemctl", "start", f"{UNIT}.service")  # what the timer does
        swarm.until(partial(has_no_detour, swarm, worker), "the timer's program has ended")
        known = json.loads(swarm.on(worker, "docker", "info", "--format", "{{json .Swarm.RemoteManagers}}"))
        assert {entry["Addr"] for entry in known} == {f"{place}:2377" for place in NOW.values()}


def test_an_update_afterwards_changes_nothing(swarm: Swarm, moved: Stack) -> None:
    assert "unchanged" in moved.up("--skip-preview", "--expect-no-changes").text
    assert not KNOWN["before"].differences(swarm.picture())
