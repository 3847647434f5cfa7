"""What a killed run had taken for a while is given back by the next command. The tests run in order.

`tests/replay/test_borrowed.py` and `test_interrupted.py` there kill at every effect on the fake swarm.
"""

import json
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from lab import cluster, faults, nodes
from lab.stack import Stack
from recovery.node.engine import Engine
from recovery.node.ssh import Shell
from recovery.settings import Settings, load
from recovery.steps.redirect import CHAIN, UNIT
from recovery.swarm.raft_options import NOTE, SHORT
from tests.lab.here import fresh, requorum
from tests.lab.killed import recovery_killed_at, update_killed_at
from tests.lab.machines import ADDRESSES
from tests.lab.place import address
from tests.lab.swarm import MANAGERS, WORKERS, Swarm

pytestmark = pytest.mark.whole

ELSEWHERE = dict(zip(MANAGERS, (address(1, 111), address(2, 112), address(3, 113)), strict=True))


@pytest.fixture(scope="module")
def machines(existing: Stack) -> Swarm:
    existing.up("--skip-preview")
    found = Swarm(existing)
    found.run_workload()
    found.await_standing(*ADDRESSES)
    return found


def spec(swarm: Swarm) -> dict[str, Any]:
    """The swarm's own options and labels."""
    found: dict[str, Any] = swarm.json("manager-b", "info")[0]["Swarm"]["Cluster"]["Spec"]
    return found


def entry(swarm: Swarm, worker: str) -> dict[str, Any]:
    """A node's labels, role and availability."""
    found: dict[str, Any] = swarm.json("manager-a", "node", "inspect", worker)[0]["Spec"]
    return found


def replaced(swarm: Swarm, *names: str) -> None:
    """Put empty machines in the place of these."""
    nodes.lose(swarm.lab, names)
    nodes.make(swarm.lab, {name: ADDRESSES[name] for name in names})


def plan_of(stack: Stack) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(requorum(stack, "plan", "--json").text)
    return found


def agreed(stack: Stack) -> Settings:
    """The settings, with consent to the plan of now."""
    return load(stack.file).model_copy(update={"recover": plan_of(stack)["id"] or False})


def update(stack: Stack) -> None:
    """What an operator runs next: an update, with consent to the plan where it needs one."""
    found = plan_of(stack)["id"]
    stack.up("--skip-preview", *(("--config", f"recover={found}") if found else ()))


def test_a_worker_whose_removal_was_killed_gets_its_availability_back(machines: Swarm) -> None:
    """The stack file names it again. As long as its machine is frozen, the removal goes no further than the drain."""
    values = machines.stack.settings()
    machines.on("manager-a", "docker", "node", "update", "--availability", "pause", "worker-2")
    before = entry(machines, "worker-2")
    machines.stack.write({**values, "workers": values["workers"][:1]})
    faults.pause(machines.lab, ["worker-2"])

    def is_drained() -> bool:
        return bool(entry(machines, "worker-2")["Availability"] == "drain")

    drained = partial(machines.until, is_drained, "the worker is drained")
    assert update_killed_at(machines.stack, "removing worker-2", after=drained)
    faults.unpause(machines.lab, ["worker-2"])
    machines.stack.pulumi("cancel", "--yes")
    assert is_drained()
    machines.stack.write(values)
    assert "worker-2: availability drain becomes pause" in machines.stack.preview().text
    machines.stack.up("--skip-preview")
    assert entry(machines, "worker-2") == before
    machines.on("manager-a", "docker", "node", "update", "--availability", "active", "worker-2")
    machines.await_standing(*ADDRESSES)


def test_raft_options_that_a_killed_join_took_are_put_back(machines: Swarm) -> None:
    """By a command that goes on with the join, and by one that has nothing else to do."""
    before, stack = spec(machines), machines.stack
    replaced(machines, "manager-c")
    with fresh(stack):
        assert recovery_killed_at(load(stack.file), "manager-c joins as a manager")
    taken = spec(machines)
    assert taken["Raft"] == {**before["Raft"], **SHORT}
    assert NOTE in taken["Labels"]
    stack.up("--skip-preview")
    machines.await_standing(*ADDRESSES)
    assert spec(machines) == before
    settings = load(stack.file)
    with (
        fresh(stack),
        Shell(settings.node("manager-a"), settings.ssh) as shell,
        pytest.raises(KeyboardInterrupt),
        Engine(shell).short_log(),
    ):
        raise KeyboardInterrupt  # the manager has joined, and the run is killed before it gives the options back
    assert spec(machines) == taken
    assert "the raft options that an interrupted join has changed are put back" in stack.preview().text
    stack.up("--skip-preview")
    assert spec(machines) == before
    assert "unchanged" in stack.up("--skip-preview", "--expect-no-changes").text


DEAF = """printf '[Service]\\nExecStopPost=-/usr/sbin/%s\\n' "iptables -D $1" > /run/systemd/system/docker.service.d/deaf.conf
systemctl daemon-reload; iptables -I $1"""
"""An engine no longer reports to the leader, which still reaches it, until it is restarted."""


def test_a_manager_that_votes_and_does_not_report_is_never_called_healthy_and_its_engine_is_restarted(
    machines: Swarm,
) -> None:
    stack, leader = machines.stack, machines.leader()
    deaf = next(name for name in MANAGERS if name != leader)
    before = machines.picture(leader)
    rule = f"OUTPUT -p tcp -d {ADDRESSES[leader]} --dport 2377 -j REJECT --reject-with tcp-reset"
    machines.on(deaf, "mkdir", "-p", "/run/systemd/system/docker.service.d")
    machines.on(deaf, "sh", "-ec", DEAF, "deaf", rule)

    def is_down() -> bool:
        listed = machines.nodes(leader)[deaf]
        return (listed["ManagerStatus"], listed["Status"]) == ("Reachable", "Down")

    machines.until(is_down, "the manager is Reachable and Down")
    told = requorum(stack, "status")
    assert told.status != 0, told.text
    assert deaf in told.text
    assert f"requorum restart {deaf}" in requorum(stack, "doctor").text
    stack.up("--skip-preview")
    machines.await_standing(*ADDRESSES, manager=leader)
    assert "REJECT" not in machines.on(deaf, "iptables", "-S", "OUTPUT"), "its engine was restarted"
    assert not before.differences(machines.picture(leader))


def detours(swarm: Swarm) -> list[str]:
    """The nodes that have a detour."""
    names = (*MANAGERS, *WORKERS)
    return [name for name in names if CHAIN in swarm.on(name, "iptables", "-t", "nat", "-S")]


def test_detours_of_a_killed_recovery_end_by_their_timers_and_the_next_one_goes_on(machines: Swarm) -> None:
    """A worker that the killed run has not directed to a manager is Down for a while, and its containers may be made again."""
    stack = machines.stack
    assert requorum(stack, "backup").status == 0
    before, values = machines.picture(), stack.settings()
    nodes.lose(machines.lab, MANAGERS)
    stack.write({**values, "managers": [{"address": place} for place in ELSEWHERE.values()]})
    cluster.prepare(machines.lab, stack)
    nodes.make(machines.lab, ELSEWHERE)
    opened = partial(machines.until, lambda: detours(machines), "a worker has a detour", passing=True)
    with fresh(stack):
        assert recovery_killed_at(agreed(stack), "Requorum directs it to", after=opened)
    left = detours(machines)
    assert left
    for name in left:
        assert UNIT in machines.on(name, "systemctl", "list-timers", "--no-legend", f"{UNIT}.timer")
    update(stack)
    machines.await_standing(*ADDRESSES)
    now = machines.picture()
    assert not before.differences(replace(now, containers=before.containers))
    for name in detours(machines):
        machines.on(
            name, "systemctl", "start", f"{UNIT}.service", check=False
        )  # what the timer does, if it has not yet
    machines.until(lambda: not detours(machines), "the timers' programs have ended")
    assert "unchanged" in stack.up("--skip-preview", "--expect-no-changes").text


def test_a_swarm_that_a_killed_recovery_left_unlocked_is_locked_again(machines: Swarm) -> None:
    """The stack file says nothing of autolock. What was on is on again."""
    stack, values = machines.stack, machines.stack.settings()
    for options in ({"swarm": {"autolock": True}}, {}):
        stack.write({**values, **options})
        stack.up("--skip-preview")
    before = machines.picture()
    nodes.lose(machines.lab, ["manager-a", "manager-c"])
    nodes.make(machines.lab, {name: ELSEWHERE[name] for name in ("manager-a", "manager-c")})
    machines.until(lambda: requorum(stack, "status").status == 4, "the quorum is lost")
    with fresh(stack):
        assert recovery_killed_at(agreed(stack), "quorum back on manager-b")
    assert not spec(machines)["EncryptionConfig"]["AutoLockManagers"], "a forced cluster has it off"
    assert "lock" in {step["action"] for step in plan_of(stack)["steps"]}
    update(stack)
    machines.await_standing(*ADDRESSES)
    assert not before.differences(machines.picture("manager-b"))
    assert spec(machines)["EncryptionConfig"]["AutoLockManagers"]
    head = machines.on("manager-b", "head", "-1", "/var/lib/docker/swarm/certificates/swarm-node.key")
    assert head == "-----BEGIN ENCRYPTED PRIVATE KEY-----"
    assert "unchanged" in stack.up("--skip-preview", "--expect-no-changes").text
