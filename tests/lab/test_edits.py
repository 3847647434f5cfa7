"""What an operator's commands and edits do to a living swarm: only what they say. The tests run in order."""

import json
from collections.abc import Iterator

import pytest

from lab.stack import Stack
from tests.lab.machines import ADDRESSES
from tests.lab.swarm import Picture, Swarm

pytestmark = pytest.mark.whole


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


@pytest.mark.parametrize("resource", ["quorum", "manager-b-member", "worker-1-member", "health"])
@pytest.mark.usefixtures("unchanged")
def test_a_resource_that_is_replaced_is_looked_at_and_nobody_leaves(machines: Swarm, resource: str) -> None:
    machines.stack.up("--skip-preview", "--replace", machines.stack.urn(resource))
    machines.await_standing(*ADDRESSES)


@pytest.mark.usefixtures("unchanged")
def test_a_resource_that_is_tainted_is_looked_at_and_nobody_leaves(machines: Swarm) -> None:
    machines.stack.pulumi("state", "taint", machines.stack.urn("quorum"), "--yes")
    machines.stack.up("--skip-preview")
    machines.await_standing(*ADDRESSES)


@pytest.mark.usefixtures("unchanged")
def test_managers_that_are_all_given_other_names_stay_who_they_are(machines: Swarm) -> None:
    values = machines.stack.settings()
    renamed = [{**node, "name": f"m{number}"} for number, node in enumerate(values["managers"], 1)]
    machines.stack.write({**values, "managers": renamed})
    machines.stack.up("--skip-preview")
    assert "unchanged" in machines.stack.up("--skip-preview", "--expect-no-changes").text
    machines.stack.write(values)
    machines.stack.up("--skip-preview")


def test_of_workers_without_names_the_one_that_is_deleted_from_the_list_leaves(machines: Swarm) -> None:
    values, before = machines.stack.settings(), machines.nodes()
    machines.stack.write({**values, "workers": values["workers"][1:]})
    machines.stack.up("--skip-preview")
    listed = machines.nodes()
    assert listed.keys() == before.keys() - {"worker-1"}
    assert listed["worker-2"]["ID"] == before["worker-2"]["ID"]
    assert (machines.state("worker-1"), machines.state("worker-2")) == ("inactive", "active")
    machines.stack.write(values)
    machines.stack.up("--skip-preview")
    machines.await_standing(*ADDRESSES)


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
