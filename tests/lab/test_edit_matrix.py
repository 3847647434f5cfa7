"""A dozen cases of the matrix of edits on real engines: the edit by `pulumi up`, what became of it by docker on the nodes.

Each update is killed in its middle once, and runs again. Each case begins with the file and the machines of before, which
the case before it has put back.
"""

import json

import pytest

from lab import nodes
from lab.stack import Stack
from tests.edits import results
from tests.edits.edits import EDITS
from tests.edits.files import Base, Edit, File, State, base, edited, lost
from tests.edits.oracle import Expected, expected
from tests.edits.results import LAB, Result
from tests.lab.killed import update_killed_at
from tests.lab.swarm import Swarm

pytestmark = pytest.mark.whole

EFFECT = "joins as a |demoting |removing |forcing a new cluster|proving the cluster"
"""What an update shows when it begins to change the swarm, or at the latest when it proves the swarm."""
NUMBERS = (11, 12, 13, 21, 22, 23, 31, 32)
CASES = (
    ("the second manager is another machine under the same name", State.HEALTHY),
    ("the first manager and a worker exchange their roles", State.HEALTHY),
    ("all managers are renamed", State.HEALTHY),
    ("the second manager is another machine under a new name", State.ONE_LOST),
    ("a worker is removed, and another is renamed", State.HEALTHY),
    ("every node is renamed", State.HEALTHY),
    ("a worker is renamed", State.QUORUM_LOST),
    ("all workers are renamed", State.ALL_LOST),
    ("the first manager is another machine under a new name", State.HEALTHY),
    ("managers with names are reordered", State.ONE_LOST),
    ("two workers with names become managers", State.HEALTHY),
    ("a manager gets the name of another", State.HEALTHY),
)
BY_NAME = {edit.name: edit for edit in EDITS}


def host(address: str) -> str:
    """The name of the machine at an address."""
    return f"host-{address.rpartition('.')[2]}"


class Machines:
    """The machines of the lab, and the stack that describes some of them."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.lab, self.swarm = stack, stack.instance, Swarm(stack)
        self.file = base(Base.NAMED, stack.settings())
        self.addresses = {host(address): address for address in map(self.file.address, NUMBERS)}

    def build(self) -> None:
        """Make all machines, and a swarm of those in the file; or put back what an edit left."""
        self.stack.write(self.file.values)
        self.update()

    def update(self) -> None:
        """Run an update, with consent to the plan where it needs one."""
        self.stack.up("--skip-preview", *self._consent())

    def begin_update(self) -> bool:
        """Run the same until its first effect, and kill it there. Returns whether it came as far."""
        came = update_killed_at(self.stack, EFFECT, *self._consent())
        self.stack.pulumi("cancel", "--yes")
        return came

    def _consent(self) -> tuple[str, ...]:
        plan = json.loads(self.stack.requorum("plan", "--json").text)
        return ("--config", f"recover={plan['id']}") if plan["id"] else ()

    def lose(self, names: list[str]) -> None:
        """Put empty machines in the place of these."""
        nodes.lose(self.lab, names)
        nodes.make(self.lab, {name: self.addresses[name] for name in names})

    def identities(self) -> dict[str, str]:
        """The node ID of each machine in a swarm, by address."""
        asked = {
            name: self.swarm.on(name, "docker", "info", "--format", "{{.Swarm.NodeID}}") for name in self.addresses
        }
        return {self.addresses[name]: node_id for name, node_id in asked.items() if node_id}

    def faults(self, wanted: Expected, before: dict[str, str], cluster_id: str) -> list[str]:
        """How the swarm differs from what the oracle expects."""
        names = [host(address) for address in wanted.nodes]
        manager = host(min(wanted.managers))
        self.swarm.await_standing(*names, manager=manager)
        now, listed = self.identities(), self.swarm.nodes(manager)
        voters = {self.addresses[name] for name, entry in listed.items() if entry["ManagerStatus"]}
        return [
            *([] if self.swarm.cluster_id(manager) == cluster_id else ["it is another swarm"]),
            *([] if voters == wanted.managers else [f"{sorted(voters)} vote"]),
            *(
                f"{host(address)} is another node"
                for address in sorted(wanted.kept)
                if now.get(address) != before[address]
            ),
            *(f"{host(address)} is in the swarm" for address in sorted(wanted.left) if address in now),
            *(
                f"{host(address)} is {listed[host(address)]['Availability']}, and not {availability}"
                for address, availability in wanted.availability.items()
                if listed[host(address)]["Availability"].lower() != availability
            ),
        ]


@pytest.fixture(scope="module")
def machines(existing: Stack) -> Machines:
    nodes.remove_all(existing.instance)
    made = Machines(existing)
    nodes.make(made.lab, made.addresses)
    made.build()
    return made


@pytest.mark.parametrize(("name", "state"), CASES, ids=[f"{name}, {state}" for name, state in CASES])
def test_an_edit_ends_as_it_must(machines: Machines, name: str, state: State) -> None:
    edit: Edit = BY_NAME[name]
    assert edit.base is Base.NAMED
    before, cluster_id = machines.identities(), machines.swarm.cluster_id("host-11")
    after: File = edited(edit, machines.file)
    wanted = expected(edit, state, machines.file, after)
    machines.lose([host(address) for address in lost(state, [node["address"] for node in machines.file.managers])])
    there = machines.identities()
    machines.stack.write(after.values)
    result = Result(name, state)
    if wanted.refusal:
        shown = machines.stack.up("--skip-preview", check=False)
        result.refused = wanted.refusal if f"code: {wanted.refusal}" in shown.text else ""
        result.faults += [] if shown.status and result.refused else [f"not refused as it must be: {shown.text[-300:]}"]
        result.faults += [] if machines.identities() == there else ["refused, and nodes are others"]
    else:
        assert machines.begin_update()
        machines.update()
        result.faults += machines.faults(wanted, before, cluster_id)
        again = machines.stack.up("--skip-preview", "--expect-no-changes", check=False)
        result.faults += [] if again.status == 0 else [f"a second update: {again.text[-300:]}"]
    results.replace(LAB, [result])
    machines.build()
    assert not result.faults
