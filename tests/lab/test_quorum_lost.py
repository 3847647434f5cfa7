"""The quorum lost with survivors: the one that holds most is forced, the others rejoin. The tests run in order."""

import json
from collections.abc import Iterator

import pytest

from lab import cluster, faults, nodes
from lab.instance import Instance
from lab.stack import Stack, settings
from recovery.cluster import Cluster
from recovery.settings import load
from recovery.survey import survivors
from recovery.survey.nodes import survey
from tests.lab.conftest import Variant
from tests.lab.here import requorum
from tests.lab.swarm import MANAGERS, WORKERS, Swarm

FIVE = (*MANAGERS, "manager-a2", "manager-b2")
CONTAINERS: dict[str, frozenset[str]] = {}


@pytest.fixture(scope="module")
def stack(lab: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = Stack(lab, "lost", tmp_path_factory.mktemp("lost") / "Pulumi.lost.yaml")
    values = settings(lab, managers=5)
    made.write({**values, "backup": {**values["backup"], "prefix": "lost"}})
    cluster.prepare(lab, made)
    yield made
    nodes.remove_all(lab)


def positions(swarm: Swarm) -> dict[str, int]:
    """How far each manager's log reaches, read by the code under test from the real files."""
    of = load(swarm.stack.file)
    return {found.name: found.position.index for found in survivors.read_survivors(Cluster(of), survey(Cluster(of)))}


def test_the_position_of_a_log_grows_with_each_change_and_is_the_same_everywhere(swarm: Swarm) -> None:
    before: dict[str, int] = {}
    swarm.until(lambda: before.update(positions(swarm)) or before.keys() == set(FIVE), "every manager answers in time")
    swarm.on("manager-a", "docker", "node", "update", "--label-add", "step=1", "worker-1")
    after: dict[str, int] = {}

    def written() -> bool:
        after.clear()
        after.update(positions(swarm))
        return after.keys() == set(FIVE) and len(set(after.values())) == 1

    swarm.until(written, "every manager wrote the change")
    assert min(after.values()) > max(before.values())


def both_answer(swarm: Swarm) -> bool:
    """Whether the survivors answer, and nobody leads."""
    shown = requorum(swarm.stack, "status", "--json")
    reach = {node["name"]: node["reach"] for node in json.loads(shown.text)["nodes"]}
    return shown.status == 4 and reach["manager-b"] == reach["manager-c"] == "answers"


def test_without_the_flag_nothing_is_forced(swarm: Swarm) -> None:
    """One is cut off while the others go on; then three are lost: it, and one that knows more, are left."""
    swarm.run_workload()
    CONTAINERS.update({worker: swarm.containers(worker) for worker in WORKERS})
    faults.isolate(swarm.lab, ["manager-c"])
    for label in ("late=yes", "later=yes", "last=yes"):  # what the last says may not be known to be committed
        swarm.on("manager-b", "docker", "node", "update", "--label-add", label, "worker-2")
    swarm.until(lambda: positions(swarm)["manager-b"] == max(positions(swarm).values()), "manager-b wrote all of it")
    nodes.lose(swarm.lab, ["manager-a", "manager-a2", "manager-b2"])
    error = ("docker", "info", "--format", "{{.Swarm.Error}}")
    swarm.until(lambda: "does not have a leader" in swarm.on("manager-b", *error), "manager-b gives up leading")
    faults.heal(swarm.lab, ["manager-c"])
    swarm.until(lambda: both_answer(swarm), "both answer without a leader")
    refused = swarm.stack.preview(check=False)
    assert refused.status != 0
    assert "code: consent-needed" in refused.text
    assert "manager-b: force a new cluster" in refused.text
    assert "next: pulumi up --config recover=r" in refused.text


def test_the_preview_says_what_the_choice_is_between(swarm: Swarm, variant: Variant) -> None:
    shown = variant(recover=True).preview().text
    assert "survivors, the best first: manager-b (log up to entry" in shown, shown
    assert "manager-b: force a new cluster from its own log" in shown
    assert "manager-c: leave the old swarm state" in shown
    assert "manager-c: rejoin under its own identity" in shown


def test_the_freshest_survivor_is_forced_and_the_others_rejoin(swarm: Swarm) -> None:
    swarm.stack.up("--skip-preview", "--config", "recover=true")
    assert swarm.json("manager-c", "node", "inspect", "worker-2")[0]["Spec"]["Labels"]["later"] == "yes"
    swarm.await_standing(*FIVE, *WORKERS, manager="manager-c")
    assert {worker: swarm.containers(worker) for worker in WORKERS} == CONTAINERS
    kinds = [copy["kind"] for copy in json.loads(requorum(swarm.stack, "backups", "--json").text)["copies"]]
    assert kinds.count("safety") >= 2


@pytest.mark.whole
def test_the_update_after_changes_nothing(swarm: Swarm) -> None:
    assert "unchanged" in swarm.stack.up("--skip-preview", "--expect-no-changes").text


@pytest.mark.whole
def test_managers_are_taken_out_one_at_a_time(swarm: Swarm) -> None:
    values = {key: value for key, value in swarm.stack.settings().items() if key != "recover"}
    swarm.stack.write({**values, "managers": values["managers"][:3]})
    swarm.stack.up("--skip-preview")
    swarm.await_standing(*MANAGERS, *WORKERS)
