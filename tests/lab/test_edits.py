"""What an operator's commands and edits do to a living swarm: only what they say. The tests run in order."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import faults, nodes
from lab.stack import Stack
from tests.lab.edits import previewed
from tests.lab.machines import ADDRESSES
from tests.lab.swarm import MANAGERS, Picture, Swarm

pytestmark = pytest.mark.whole
MEMBERS = [f"{ADDRESSES[name]}-member" for name in ("manager-b", "worker-1")]


@pytest.fixture(scope="module")
def machines(existing: Stack) -> Swarm:
    existing.up("--skip-preview")
    found = Swarm(existing)
    found.run_workload()
    return found


@pytest.fixture
def unchanged(machines: Swarm) -> Iterator[Picture]:
    """The swarm, its nodes and containers are the same after the test as before it."""
    before = machines.picture()
    yield before
    assert not before.differences(machines.picture())


@pytest.fixture
def values(machines: Swarm) -> Iterator[dict[str, Any]]:
    """The stack file's settings, which it has again after the test."""
    found = machines.stack.settings()
    yield found
    machines.stack.write(found)
    machines.stack.up("--skip-preview")


@pytest.mark.parametrize("resource", ["quorum", *MEMBERS, "health"])
@pytest.mark.usefixtures("unchanged")
def test_a_resource_that_is_replaced_is_looked_at_and_nobody_leaves(machines: Swarm, resource: str) -> None:
    machines.stack.up("--skip-preview", "--replace", machines.stack.urn(resource))
    machines.await_standing(*ADDRESSES)


@pytest.mark.usefixtures("unchanged")
def test_a_resource_that_is_tainted_is_looked_at_and_nobody_leaves(machines: Swarm) -> None:
    machines.stack.pulumi("state", "taint", machines.stack.urn("quorum"), "--yes")
    machines.stack.up("--skip-preview")
    machines.await_standing(*ADDRESSES)


def renamed(values: dict[str, Any], count: int) -> dict[str, Any]:
    managers = values["managers"]
    changed = [{**node, "name": f"m{number}"} for number, node in enumerate(managers[:count], 1)]
    return {**values, "managers": [*changed, *managers[count:]]}


def exchanged(values: dict[str, Any]) -> dict[str, Any]:
    """Each manager has the name and the zone of another one."""
    return {**values, "managers": values["managers"][::-1]}


def unnamed(values: dict[str, Any]) -> dict[str, Any]:
    return {**values, "workers": [{"address": worker["address"]} for worker in values["workers"]]}


def named_in_another_order(values: dict[str, Any]) -> dict[str, Any]:
    workers = enumerate(reversed(values["workers"]), 1)
    return {**values, "workers": [{"name": f"w{number}", "address": node["address"]} for number, node in workers]}


def in_other_zones(values: dict[str, Any]) -> dict[str, Any]:
    """Managers and workers list their zones, which are others than before."""
    zones = ("b", "c", "a")
    return {
        **values,
        "managers": [{**node, "zone": zone} for node, zone in zip(values["managers"], zones, strict=True)],
    }


EDITS: dict[str, list[Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "one manager has another name": [lambda values: renamed(values, 1)],
    "all managers have other names": [lambda values: renamed(values, 3)],
    "managers exchange their names": [exchanged],
    "managers are in other zones": [in_other_zones],
    "workers lose their names, are reordered, and are named": [unnamed, lambda v: named_in_another_order(unnamed(v))],
}


@pytest.mark.parametrize("edits", EDITS.values(), ids=list(EDITS))
@pytest.mark.usefixtures("unchanged")
def test_what_only_labels_a_node_changes_no_machine(
    machines: Swarm, values: dict[str, Any], edits: list[Callable[[dict[str, Any]], dict[str, Any]]]
) -> None:
    for edit in edits:
        machines.stack.write(edit(values))
        assert previewed(machines.stack).keys() == {"update", "unchanged"}
        machines.stack.up("--skip-preview")
        assert previewed(machines.stack).keys() == {"unchanged"}
    machines.await_standing(*ADDRESSES)


def test_of_workers_without_names_the_one_that_is_deleted_from_the_list_leaves(
    machines: Swarm, values: dict[str, Any]
) -> None:
    before = machines.nodes()
    machines.stack.write(unnamed(values))
    machines.stack.up("--skip-preview")
    machines.stack.write(unnamed({**values, "workers": values["workers"][1:]}))
    of_one = ("member", "preparation", "prepared")
    assert previewed(machines.stack)["delete"] == len(of_one)
    machines.stack.up("--skip-preview")
    listed = machines.nodes()
    assert listed.keys() == before.keys() - {"worker-1"}
    assert listed["worker-2"]["ID"] == before["worker-2"]["ID"]
    assert (machines.state("worker-1"), machines.state("worker-2")) == ("inactive", "active")
    machines.stack.write(unnamed(values))
    assert previewed(machines.stack)["create"] == len(of_one)
    machines.stack.up("--skip-preview")
    assert machines.nodes()["worker-2"]["ID"] == before["worker-2"]["ID"]
    machines.await_standing(*ADDRESSES)


def with_key(values: dict[str, Any], key: Path) -> dict[str, Any]:
    return {**values, "ssh": {**values["ssh"], "privateKeyFile": str(key)}}


@pytest.mark.usefixtures("unchanged")
def test_a_moved_ssh_key_is_read_where_the_stack_file_says_it_is(
    machines: Swarm, values: dict[str, Any], tmp_path: Path
) -> None:
    """The state still has the path of before. A refresh, and an update without one, log in with the key of today."""
    before, now = tmp_path / "before", tmp_path / "now"
    shutil.copy(machines.lab.operator_key, before)
    machines.stack.write(with_key(values, before))
    machines.stack.up("--skip-preview")
    before.rename(now)
    machines.stack.write(with_key(values, now))
    machines.stack.refresh()
    machines.stack.up("--skip-preview", "--refresh=false", "--replace", machines.stack.urn("health"))
    machines.stack.write(with_key(values, before))
    lacking = machines.stack.up("--skip-preview", "--refresh=false", check=False)
    assert lacking.status != 0, "the key of the stack file is the one that is used"
    assert "requorum:ssh.privateKeyFile" in lacking.text


def test_a_lost_swarm_is_not_unchanged_where_an_update_does_not_refresh(machines: Swarm) -> None:
    machines.stack.requorum("backup")
    before = machines.picture()
    nodes.lose(machines.lab, MANAGERS)
    nodes.make(machines.lab, {name: ADDRESSES[name] for name in MANAGERS})
    for update, code in ((machines.stack.up, "consent-needed"), (machines.stack.recover, "refresh-needed")):
        shown = update("--refresh=false", check=False)
        assert shown.status != 0
        assert f"code: {code}" in shown.text
        assert [machines.state(name) for name in MANAGERS] == ["inactive"] * len(MANAGERS), "nothing was done"
    machines.stack.recover()
    machines.await_standing(*ADDRESSES)
    assert not before.differences(machines.picture())
    assert "unchanged" in machines.stack.up("--skip-preview", "--expect-no-changes").text


@pytest.mark.usefixtures("unchanged")
def test_a_swarm_whose_nodes_are_all_cut_off_from_here_is_not_given_up(machines: Swarm) -> None:
    """They are alive, and reach each other."""
    faults.cut_off(machines.lab, ADDRESSES)
    try:
        shown = machines.stack.destroy(check=False)
    finally:
        faults.heal(machines.lab, ADDRESSES)
    assert shown.status != 0
    assert "code: node-unreachable" in shown.text
    machines.await_standing(*ADDRESSES)
    assert "unchanged" in machines.stack.up("--skip-preview").text


@pytest.mark.usefixtures("unchanged")
def test_a_swarm_that_cannot_be_told_to_end_is_not_given_up(machines: Swarm) -> None:
    machines.on("worker-2", "systemctl", "stop", "ssh.socket", "ssh", check=False)
    shown = machines.stack.destroy(check=False)
    machines.on("worker-2", "systemctl", "start", "ssh")
    assert shown.status != 0
    assert "code: node-unreachable" in shown.text
    assert "requorum fence worker-2 --lost" in shown.text


@pytest.mark.usefixtures("unchanged")
def test_a_stack_that_protects_its_swarm_lets_go_of_it(machines: Swarm) -> None:
    values = machines.stack.settings()
    machines.stack.write({**values, "protect": True})
    machines.stack.up("--skip-preview")
    assert "goes on running" in machines.stack.destroy().text
    machines.stack.write(values)
    machines.stack.up("--skip-preview")


def test_a_destroy_says_what_ends_and_takes_last_copies(machines: Swarm) -> None:
    names = [service["Name"] for service in machines.json("manager-a", "service", "ls")]
    before = json.loads(machines.stack.requorum("backups", "--json").text)
    shown = machines.stack.destroy()
    after = json.loads(machines.stack.requorum("backups", "--json").text)
    assert all(name in shown.text for name in names)
    assert len(after["copies"]) == len(before["copies"]) + 3
    assert [machines.state(name) for name in ADDRESSES] == ["inactive"] * len(ADDRESSES)
