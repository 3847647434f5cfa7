"""A swarm grows from one manager to seven and shrinks again, under a service, with a leader all the time. The tests run in order."""

import re
from dataclasses import dataclass

import pytest

from lab import nodes, workload
from lab.stack import Stack
from tests.lab.place import address
from tests.lab.sampler import Sampler
from tests.lab.swarm import Swarm

pytestmark = [pytest.mark.whole, pytest.mark.timeout(900)]

MACHINES = {f"host-{number}": address(1, number) for number in (11, 12, 13, 14, 15, 16, 17, 18, 21, 22, 23)}
MAY_WORK = ("host-11", "host-14", "host-21", "host-22", "host-23")
WEB = "web"
VOTES = re.compile(r"votes (\d) -> (\d), tolerates (\d)")


@dataclass(frozen=True)
class Members:
    """Whose machine is a manager, and whose a worker, by the last number of the address."""

    managers: tuple[int, ...]
    workers: tuple[int, ...] = (21, 22, 23)
    zone: str = ""
    """Of the last worker, if the stack file names it."""


ONE = Members((11,))
EDITS = {
    "three": Members((11, 12, 13)),
    "five": Members((11, 12, 13, 14, 15)),
    "a manager gives way to another machine": Members((11, 12, 18, 14, 15)),
    "a manager and a worker exchange their roles, one more machine is another, and a worker is in another zone": Members(
        (11, 12, 13, 21, 15), (14, 22, 23), "a"
    ),
    "seven": Members((11, 12, 13, 21, 15, 16, 17), (14, 22, 23), "a"),
    "three again": Members((15, 16, 17), (14, 22, 23), "a"),
    "one again": Members((16,), (14, 22, 23), "a"),
}


class Grown:
    """The swarm, and the members that its stack file names."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.swarm, self.members = stack, Swarm(stack), ONE

    def write(self, members: Members) -> None:
        workers = [{"address": address(1, number)} for number in members.workers]
        if members.zone:
            workers[-1]["zone"] = members.zone
        managers = [{"address": address(1, number)} for number in members.managers]
        self.stack.write({**self.stack.settings(), "managers": managers, "workers": workers})

    def stand(self, members: Members) -> None:
        names = [f"host-{number}" for number in (*members.managers, *members.workers)]
        self.swarm.await_standing(*names, manager=f"host-{members.managers[-1]}")
        self.members = members


@pytest.fixture(scope="module")
def grown(existing: Stack) -> Grown:
    """One manager and three workers, of eleven machines, and a service of three tasks."""
    nodes.remove_all(existing.instance)
    nodes.make(existing.instance, MACHINES)
    made = Grown(existing)
    made.write(ONE)
    existing.up("--skip-preview")
    made.stand(ONE)
    for name in MAY_WORK:
        workload.load_workload(existing.instance, MACHINES[name])
    create = ["docker", "service", "create", "--detach", "--no-resolve-image", "--name", WEB, "--replicas", "3"]
    made.swarm.on("host-11", *create, "--stop-grace-period", "2s", workload.REFERENCE, "sleep", "1000000")
    made.swarm.until(lambda: sum(len(made.swarm.containers(name)) for name in MAY_WORK) == 3, "three tasks run")
    return made


@pytest.mark.parametrize("members", EDITS.values(), ids=list(EDITS))
def test_managers_change_one_vote_at_a_time(grown: Grown, members: Members) -> None:
    before, cluster_id = grown.members, grown.swarm.cluster_id(f"host-{grown.members.managers[-1]}")
    grown.write(members)
    steps = [tuple(map(int, step)) for step in VOTES.findall(grown.stack.preview().text)]
    assert all(abs(after - votes) == 1 for votes, after, _ in steps), steps
    assert {len(members.managers)} == {after for _, after, _ in steps[-1:]}
    with Sampler(grown.stack.instance, tuple(MACHINES), WEB).sampling() as sampler:
        grown.stack.up("--skip-preview")
        grown.stand(members)
    print(f"{steps}; {len(sampler.samples)} looks, fewest tasks {sampler.fewest}, gaps {sampler.gaps}")
    assert sampler.fewest >= 2
    sampler.require_led(elections=len(set(before.managers) - set(members.managers)))
    manager = f"host-{members.managers[-1]}"
    assert grown.swarm.cluster_id(manager) == cluster_id
    voters = {name for name, entry in grown.swarm.nodes(manager).items() if entry["ManagerStatus"]}
    assert voters == {f"host-{number}" for number in members.managers}
    gone = set(MACHINES) - {f"host-{number}" for number in (*members.managers, *members.workers)}
    assert {grown.swarm.state(name) for name in gone} <= {"inactive"}
    assert "unchanged" in grown.stack.up("--skip-preview", "--expect-no-changes").text
