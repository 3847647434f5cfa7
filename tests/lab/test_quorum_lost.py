"""The quorum lost with survivors: the one that holds most is forced, the others rejoin. The tests run in order."""

import json

from lab import cluster, faults, nodes
from lab.stack import settings
from recovery import survivors
from recovery.settings import load
from recovery.survey import survey
from tests.lab.conftest import Variant
from tests.lab.swarm import MANAGERS, WORKERS, Picture, Swarm

KNOWN: dict[str, Picture] = {}


def positions(swarm: Swarm) -> dict[str, int]:
    """How far each manager's log reaches, read by the code under test from the real files."""
    of = load(swarm.stack.file)
    return {found.name: found.position.index for found in survivors.look(of, survey(of))}


def test_the_position_of_a_log_grows_with_each_change_and_is_the_same_everywhere(swarm: Swarm) -> None:
    before = positions(swarm)
    swarm.on("manager-a", "docker", "node", "update", "--label-add", "step=1", "worker-1")
    swarm.until(lambda: len(set(positions(swarm).values())) == 1, "every manager wrote the change")
    assert min(positions(swarm).values()) > max(before.values())


def test_without_a_quorum_nothing_is_forced_unless_told(swarm: Swarm) -> None:
    swarm.run_workload()
    nodes.lose(swarm.lab, ["manager-a", "manager-c"])
    swarm.until(lambda: swarm.stack.requorum("status").status == 4, "the survivor knows that it has no leader")
    refused = swarm.stack.preview(check=False)
    assert refused.status != 0
    assert "the survivor that holds most is manager-b" in refused.text
    assert "pulumi up --config recover=true" in refused.text


def test_one_update_forces_the_survivor_and_the_lost_ones_rejoin(swarm: Swarm) -> None:
    containers = {worker: swarm.containers(worker) for worker in WORKERS}
    swarm.stack.up("--skip-preview", "--config", "recover=true")
    seen = swarm.nodes("manager-b")
    assert {name: entry["Status"] for name, entry in seen.items()} == dict.fromkeys(MANAGERS + WORKERS, "Ready")
    assert len(swarm.json("manager-b", "node", "ls")) == 5, "nobody stands there twice"
    assert {worker: swarm.containers(worker) for worker in WORKERS} == containers
    assert "unchanged" in swarm.stack.up("--skip-preview", "--expect-no-changes").text
    kinds = {copy["kind"] for copy in json.loads(swarm.stack.requorum("backups", "--json").text)["copies"]}
    assert "safety" in kinds
    values = swarm.stack.settings()
    del values["recover"]
    swarm.stack.write(values)


def test_the_freshest_of_the_survivors_is_chosen_and_the_other_rejoins(swarm: Swarm, variant: Variant) -> None:
    """Five managers; one is cut off while the others go on; then three are lost: it and one that knows more are left."""
    five = settings(swarm.lab, managers=5)["managers"]
    swarm.stack.write({**swarm.stack.settings(), "managers": five})
    cluster.prepare(swarm.lab, swarm.stack)
    swarm.stack.up("--skip-preview")
    faults.isolate(swarm.lab, ["manager-c"])
    swarm.on("manager-b", "docker", "node", "update", "--label-add", "late=yes", "worker-2")
    swarm.on("manager-b", "docker", "node", "update", "--label-add", "later=yes", "worker-2")
    nodes.lose(swarm.lab, ["manager-a", "manager-a2", "manager-b2"])
    error = ("docker", "info", "--format", "{{.Swarm.Error}}")
    swarm.until(lambda: "does not have a leader" in swarm.on("manager-b", *error), "manager-b gives up leading")
    faults.heal(swarm.lab, ["manager-c"])
    swarm.until(lambda: swarm.stack.requorum("status").status == 4, "both answer without a leader")
    shown = variant(recover=True).preview().text
    assert "chosen between manager-b (log up to entry" in shown, shown
    assert "manager-c: leave the old log and rejoin" in shown
    swarm.stack.up("--skip-preview", "--config", "recover=true")
    assert swarm.json("manager-c", "node", "inspect", "worker-2")[0]["Spec"]["Labels"]["later"] == "yes"
    seen = swarm.nodes("manager-c")
    assert len(seen) == 7
    assert {entry["Status"] for entry in seen.values()} == {"Ready"}
    assert len(swarm.json("manager-c", "node", "ls")) == 7
    assert "unchanged" in swarm.stack.up("--skip-preview", "--expect-no-changes").text


def test_managers_are_taken_out_one_at_a_time(swarm: Swarm) -> None:
    values = {key: value for key, value in swarm.stack.settings().items() if key != "recover"}
    swarm.stack.write({**values, "managers": values["managers"][:3]})
    swarm.stack.up("--skip-preview")
    seen = swarm.nodes()
    assert set(seen) == set(MANAGERS + WORKERS)
    assert sorted(seen[name]["ManagerStatus"] for name in MANAGERS) == ["Leader", "Reachable", "Reachable"]
