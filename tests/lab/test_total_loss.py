"""The whole way: build, back up, lose every manager, get it all back by one `pulumi up`. The tests run in order."""

import json
import re
from pathlib import Path

import pytest

from lab import nodes, workload
from lab.stack import Stack
from recovery.cluster import Cluster
from recovery.planning.checks import Before
from recovery.settings import load
from recovery.steps import prove
from recovery.survey import workload as survey_workload
from tests.lab.here import requorum
from tests.lab.place import address
from tests.lab.swarm import MANAGERS, WORKERS, Picture, Swarm

PORT_TAKEN = """systemctl stop docker.socket docker
python3 -c 'import socket, time; s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.bind(("::", 7946)); time.sleep(600)' &
until [ -n "$(ss -Hlnu 'sport = :7946')" ]; do sleep 0.1; done
begun=$(date +%s); systemctl reset-failed docker; systemctl start docker; until docker node ls; do sleep 0.1; done
until journalctl -u docker --since "@$begun" -o cat | grep -q '7946.*address already in use'; do sleep 0.1; done; kill $!
"""
"""A manager's engine starts while its gossip port is taken, and does not try again."""
UNCHANGED = "33 unchanged"
KNOWN: dict[str, Picture] = {}
TOOK: dict[str, float] = {}
"""The picture, and the seconds of an update, that the tests of this module hand on."""


def test_one_update_builds_the_cluster_of_the_stack_file(swarm: Swarm) -> None:
    swarm.await_standing(*MANAGERS, *WORKERS)
    seen = swarm.nodes()
    assert [seen[name]["ManagerStatus"] for name in MANAGERS] == ["Leader", "Reachable", "Reachable"]
    assert [seen[name]["Availability"] for name in MANAGERS + WORKERS] == ["Drain"] * 3 + ["Active"] * 2
    addresses = [entry["address"] for key in ("managers", "workers") for entry in swarm.stack.settings()[key]]
    assert [
        swarm.json("manager-a", "node", "inspect", name)[0]["Status"]["Addr"] for name in MANAGERS + WORKERS
    ] == addresses


def test_the_outputs_say_what_was_built(swarm: Swarm) -> None:
    outputs = swarm.stack.outputs()
    assert outputs["clusterId"] == swarm.cluster_id()
    assert outputs["health"] == "healthy"
    assert outputs["leader"] == "manager-a"
    assert set(outputs["managers"]) == set(MANAGERS)
    assert set(outputs["workers"]) == set(WORKERS)


def test_building_took_a_first_copy_of_every_manager(swarm: Swarm) -> None:
    listed = json.loads(swarm.stack.requorum("backups", "--json").text)
    assert {copy["manager"] for copy in listed["copies"]} == set(MANAGERS)
    assert {copy["clusterId"] for copy in listed["copies"]} == {swarm.cluster_id()}


@pytest.mark.whole
def test_a_second_update_changes_nothing(swarm: Swarm) -> None:
    assert UNCHANGED in swarm.stack.up("--expect-no-changes").text


def test_recover_changes_nothing_while_nothing_is_lost(swarm: Swarm) -> None:
    before = swarm.picture()
    assert UNCHANGED in swarm.stack.up("--skip-preview", "--config", "recover=true", "--expect-no-changes").text
    assert not before.differences(swarm.picture())
    values = swarm.stack.settings()
    del values["recover"]
    swarm.stack.write(values)


def test_nothing_secret_is_plain_in_the_state(swarm: Swarm) -> None:
    state = swarm.stack.pulumi("stack", "export").text
    tokens = [swarm.on("manager-a", "docker", "swarm", "join-token", "--quiet", role) for role in ("manager", "worker")]
    key = swarm.lab.operator_key.read_text().splitlines()[1]
    assert not [secret for secret in (*tokens, key) if secret in state]


def test_a_backup_is_small_and_stops_no_engine(swarm: Swarm) -> None:
    swarm.run_workload()
    started = [
        swarm.on(name, "systemctl", "show", "docker", "--property", "MainPID,ActiveEnterTimestamp") for name in MANAGERS
    ]
    made = json.loads(swarm.stack.requorum("backup", "--json").text)["copies"]
    assert [copy["manager"] for copy in made][-1] == "manager-a", "the leader is copied last"
    assert {copy["manager"] for copy in made} == set(MANAGERS)
    for copy in made:
        taken = int(swarm.on(copy["manager"], "du", "-s", "--block-size=1", "/var/lib/docker/swarm").split()[0])
        assert copy["size"] * 500 < taken
    assert started == [
        swarm.on(name, "systemctl", "show", "docker", "--property", "MainPID,ActiveEnterTimestamp") for name in MANAGERS
    ]
    assert swarm.stack.requorum("verify", made[-1]["name"]).status == 0
    swarm.on("manager-a", "docker", "node", "update", "--label-add", "rack=7", "manager-b")
    swarm.on("manager-a", "docker", "node", "update", "--availability", "pause", "worker-2")
    assert requorum(swarm.stack, "backup").status == 0
    KNOWN["before"] = swarm.picture()
    nodes.lose(swarm.lab, MANAGERS)


def test_status_says_all_lost_and_exits_with_4(swarm: Swarm) -> None:
    wanted = {**dict.fromkeys(MANAGERS, "gone"), **dict.fromkeys(WORKERS, "answers")}

    def is_told() -> bool:
        shown = swarm.stack.requorum("status", "--json")
        assert shown.status == 4
        status = json.loads(shown.text)
        assert status["diagnosis"] == "all lost"
        assert all(node["lastCopyAge"] is not None for node in status["nodes"] if node["role"] == "manager")
        return {node["name"]: node["reach"] for node in status["nodes"]} == wanted

    swarm.until(is_told, "every worker answers in time")


def test_refresh_finds_the_destroyed_nodes(swarm: Swarm) -> None:
    shown = swarm.stack.pulumi("refresh", "--preview-only", config_file=True).text
    for manager in swarm.stack.settings()["managers"]:
        assert f"Container {manager['address']}-container delete" in shown
        assert f"Member {manager['address']}-member delete" in shown


def test_a_plain_update_refuses_before_any_effect(swarm: Swarm) -> None:
    refused = swarm.stack.up(check=False)
    assert refused.status != 0
    assert re.search(r"pulumi up --config recover=r[0-9a-f]{16}", refused.text), (
        "the saved flag was used, and only the ID counts"
    )
    skipping = swarm.stack.up("--skip-preview", check=False)
    assert skipping.status != 0
    assert [node.name for node in nodes.existing(swarm.lab)] == list(WORKERS)


def test_the_preview_shows_the_plan(swarm: Swarm) -> None:
    shown = swarm.stack.preview("--config", "recover=true").text
    assert "restore the swarm from swarm-" in shown
    assert f"force a new cluster at {address(1, 11)}" in shown
    assert "manager-c: rejoin under its own identity" in shown
    assert "are lost" in shown
    assert [node.name for node in nodes.existing(swarm.lab)] == list(WORKERS)


def test_one_update_brings_everything_back(swarm: Swarm) -> None:
    TOOK["recovery"] = swarm.stack.up("--config", "recover=true").seconds
    swarm.await_standing(*MANAGERS, *WORKERS, manager="manager-c")
    assert not KNOWN["before"].differences(swarm.picture())
    assert swarm.stack.outputs()["clusterId"] == KNOWN["before"].cluster_id


def test_the_recovery_left_a_report(swarm: Swarm) -> None:
    listed = json.loads(swarm.stack.requorum("reports", "--json").text)["reports"]
    assert [(report["diagnosis"], report["lost"]) for report in listed] == [
        ("all lost", list(MANAGERS)),
        ("absent", []),
    ]
    shown = swarm.stack.requorum("report", "--json").text
    report = json.loads(shown)
    assert {step["outcome"] for step in report["steps"]} == {"done"}
    assert sorted(step["node"] for step in report["steps"] if step["action"] == "rebuild") == list(MANAGERS)
    done = [(step["action"], step["node"]) for step in report["steps"] if step["action"] not in ("rebuild", "restart")]
    seed = [("restore", "manager-a"), ("compare", "manager-a")]
    joined = [("join", "manager-b"), ("join", "manager-c")]
    assert done == [*seed, *joined, ("save", "managers"), ("prove", "swarm")]
    assert 0 < report["rto"]["quorumSeconds"] < report["rto"]["provenSeconds"] < TOOK["recovery"]
    assert 0 < report["rpo"]["seconds"] < 3600
    assert report["how"] == "pulumi"
    found = {(check["check"], check["subject"].split()[0]): check["result"] for check in report["proof"]}
    assert {result for (check, _), result in found.items() if check != "names"} == {"ok"}, found
    assert {result for (check, _), result in found.items() if check == "names"} <= {"ok", "not checked"}, found
    wanted = {("gossip", name) for name in MANAGERS + WORKERS} | {("containers", name) for name in WORKERS}
    assert wanted | {("tasks", "web"), ("tasks", "agent"), ("inventory", "swarm")} <= found.keys()
    assert {check for check, _ in found} >= {"names", "virtual IPs", "cluster ID"}
    page = requorum(swarm.stack, "report", report["name"]).text
    assert f"restored from {report['copy']}" in page
    tokens = [swarm.on("manager-a", "docker", "swarm", "join-token", "--quiet", role) for role in ("manager", "worker")]
    assert not [secret for secret in (*tokens, "SWMTKN") if secret in shown + page]


def test_the_services_are_still_managed(swarm: Swarm) -> None:
    swarm.on("manager-b", "docker", "service", "scale", "--detach", "web=1")
    swarm.until(lambda: sum(len(swarm.containers(worker)) for worker in WORKERS) == 3, "web is scaled down")


def test_the_update_after_changes_nothing_although_the_flag_was_saved(swarm: Swarm) -> None:
    assert str(swarm.stack.settings()["recover"]).lower() == "true"
    before = swarm.picture()
    assert UNCHANGED in swarm.stack.up("--skip-preview", "--expect-no-changes").text
    assert not before.differences(swarm.picture())


def test_fresh_copies_were_taken_after_the_recovery(swarm: Swarm) -> None:
    listed = json.loads(requorum(swarm.stack, "backups", "--json").text)["copies"]
    assert len([copy for copy in listed if copy["manager"] == "manager-c"]) == 4
    assert {copy["clusterId"] for copy in listed} == {KNOWN["before"].cluster_id}


@pytest.mark.whole
def test_a_saved_flag_does_not_fire_at_a_later_loss(swarm: Swarm) -> None:
    assert requorum(swarm.stack, "backup").status == 0
    before = swarm.picture()
    nodes.lose(swarm.lab, MANAGERS)
    refused = swarm.stack.up("--skip-preview", check=False)
    assert refused.status != 0
    assert "The recover: true in the stack file was set before this loss" in refused.text
    given_again = swarm.stack.preview("--config", "recover=true", check=False)
    assert given_again.status != 0
    (plan_id,) = set(re.findall(r"recover=(r[0-9a-f]{16})", given_again.text))
    assert [node.name for node in nodes.existing(swarm.lab)] == list(WORKERS)
    swarm.stack.up("--skip-preview", "--config", f"recover={plan_id}")
    assert not before.differences(swarm.picture())


def test_a_lost_zone_is_rebuilt_without_the_flag(swarm: Swarm) -> None:
    """Zone a: the manager comes back under its identity; what the other zone's worker runs is left alone."""
    values = swarm.stack.settings()
    del values["recover"]
    swarm.stack.write(values)
    before = swarm.picture("manager-b")
    nodes.lose(swarm.lab, ["manager-a", "worker-1"])
    assert "zone a is lost: manager-a, worker-1" in swarm.stack.requorum("plan").text
    swarm.stack.up("--skip-preview")
    after = swarm.picture("manager-b")
    assert before.containers["worker-2"] <= after.containers["worker-2"]
    (replaced,) = before.nodes.keys() - after.nodes.keys()
    assert before.nodes[replaced]["Hostname"] == "worker-1", "only the worker is a new node"
    swarm.await_standing(*MANAGERS, *WORKERS)
    assert before.objects["secrets"] == after.objects["secrets"]
    workload.load_workload(
        swarm.lab, next(node.address for node in nodes.existing(swarm.lab) if node.name == "worker-1")
    )
    tasks = sum(map(len, before.containers.values()))
    swarm.until(lambda: sum(len(swarm.containers(worker)) for worker in WORKERS) == tasks, "every task runs again")


@pytest.mark.whole
def test_the_update_after_the_loss_of_a_zone_changes_nothing(swarm: Swarm) -> None:
    assert UNCHANGED in swarm.stack.up("--skip-preview", "--expect-no-changes").text


@pytest.mark.whole
def test_a_manager_that_does_not_gossip_is_restarted_in_a_recovery_only(
    swarm: Swarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after moby#36860; here the port is taken while the engine starts, and then given free."""
    for key, value in swarm.stack.environment().items():
        monkeypatch.setenv(key, value)
    monkeypatch.setattr(survey_workload, "GOSSIP_SECONDS", 0.0)
    of, cluster_id, said = load(swarm.stack.file), swarm.cluster_id("manager-b"), list[str]()
    swarm.on("manager-c", "bash", "-c", PORT_TAKEN)
    # Right after a change of the leader, an entry may carry the host name of another node for a moment.
    swarm.await_standing(*MANAGERS, *WORKERS)
    before, listening = swarm.picture("manager-b"), ("ss", "-Hlnt", "sport = :7946")
    prove.prove(Cluster(of), cluster_id, say=said.append)
    assert [line.split(" (")[0] for line in said] == ["gossip of manager-c: warning"]
    assert not swarm.on("manager-c", *listening), "a plain update restarts nothing"
    prove.prove(Cluster(of), cluster_id, before=Before({}), say=said.append)
    assert swarm.on("manager-c", *listening)
    assert not before.differences(swarm.picture("manager-b"))


@pytest.mark.parametrize(
    "lost",
    [
        pytest.param(("manager-a", "worker-1"), id="some", marks=pytest.mark.whole),
        pytest.param(MANAGERS, id="all managers"),
    ],
)
def test_destroy_leaves_nothing_even_of_dead_nodes(
    swarm: Swarm, stack: Stack, lost: tuple[str, ...], tmp_path: Path
) -> None:
    if not nodes.existing(swarm.lab):
        stack.write({**stack.settings(), "backup": {**stack.settings()["backup"], "prefix": tmp_path.name}})
        stack.up("--skip-preview")
    nodes.lose(swarm.lab, lost)
    stack.destroy()
    assert not nodes.existing(swarm.lab)
    assert '"resources"' not in stack.pulumi("stack", "export").text
