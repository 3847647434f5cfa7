"""The agents of the managers on the real swarm: proven copies after each change, whatever befalls S3, the agent or its node."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from lab import faults, nodes, s3
from lab.stack import Stack
from recovery.agent.diary import TOLD
from recovery.agent.order import FIRST_PAUSE
from recovery.operations.agents import HOME
from recovery.swarm.key_file import UnlockKey
from tests.lab.agents import STATE, Agents
from tests.lab.here import requorum
from tests.lab.swarm import MANAGERS, WORKERS, Swarm

LOAD_RATE = 20
HELD_RATE = 0.9
"""Of the rate without copies, which is the writer's own on any machine that takes less than a change's time for one."""
LOAD = f"""
import http.client, json, socket, sys, time
wire = http.client.HTTPConnection("engine")
wire.sock = socket.socket(socket.AF_UNIX)
wire.sock.connect("/var/run/docker.sock")
begun, longest = time.monotonic(), 0
for number in range({LOAD_RATE} * int(sys.argv[1])):
    time.sleep(max(0, begun + number / {LOAD_RATE} - time.monotonic()))
    body = json.dumps({{"Name": f"load-{{sys.argv[1]}}-{{number}}", "Data": "eA=="}})
    asked = time.monotonic()
    wire.request("POST", "/configs/create", body, {{"Content-Type": "application/json"}})
    answer = wire.getresponse()
    assert answer.status == 201, answer.read()
    answer.read()
    longest = max(longest, time.monotonic() - asked)
print(time.monotonic() - begun - longest)
"""
"""Writes configs for so many seconds, one after the other, at a steady rate that makes up for delays; prints the seconds it took, without those of
the slowest change: a stall of the machine is one, and copies that hold changes up do so many times."""
NEVER = "2099-01-01"
"""A schedule: no round is to begin in the middle of a test because an hour does."""
RESTED_SECONDS = 20
SOON = 60
"""Seconds from a change to its copy, also on a machine that is slow or busy."""
KILL_AFTER = (0.3, 0.7, 1.1)
"""Seconds into a round: as it starts, as it copies, as it proves."""


@pytest.fixture(scope="module")
def agents(stack: Stack) -> Agents:
    """A swarm whose managers have agents, from the first `pulumi up`."""
    agent = {
        "credentialsFile": str(stack.instance.credentials_file),
        "metricsFolder": "/var/lib/metrics",
        "schedule": NEVER,
    }
    stack.write({**stack.settings(), "agent": agent})
    stack.up("--skip-preview")
    return Agents(Swarm(stack), stack)


@pytest.fixture
def healed(agents: Agents) -> Iterator[None]:
    """S3 and every node as they were, whatever the test did."""
    yield
    lab = agents.swarm.lab
    s3.start(lab)
    faults.start(lab, MANAGERS)
    nodes.wait(lab, {node.name: node.address for node in nodes.existing(lab)})
    for name in MANAGERS:
        agents.until(lambda: "Leader" in agents.swarm.on(name, "docker", "node", "ls", check=False), f"{name} is back")  # noqa: B023


def test_a_change_is_in_one_proven_copy_and_every_agent_knows(agents: Agents) -> None:
    agents.settled()
    before, begun, config = agents.copies(), time.monotonic(), agents.change()
    agents.until(lambda: agents.holding(config), "a proven copy holds the change")
    assert time.monotonic() - begun < SOON
    agents.settled()
    (maker,) = agents.holding(config)
    assert len(agents.copies()) == len(before) + 1
    agents.until(lambda: agents.stack.requorum("agents").status == 0, "nothing is wrong")
    metrics = agents.swarm.on(maker, "cat", "/var/lib/metrics/requorum_agent.prom")
    assert f'requorum_agent_failing{{cluster="lab",manager="{maker}"}} 0.0' in metrics


@pytest.mark.whole
@pytest.mark.parametrize(("seconds", "least"), [(15, 1), (60, 6)])
def test_under_load_every_copy_is_proven_and_a_consistent_prefix(agents: Agents, seconds: int, least: int) -> None:
    before = len(agents.copies())
    engines = {name: agents.swarm.on(name, "systemctl", "show", "docker", "--property=MainPID") for name in MANAGERS}
    members, term = agents.swarm.nodes(), agents.copies()[0]["position"]["term"]
    took = float(agents.swarm.on("manager-a", "python3", "-c", LOAD, str(seconds)))
    assert took < seconds / HELD_RATE, "changes were held up"
    assert len(agents.copies()) >= before + least
    listed = agents.swarm.on("manager-a", "sh", "-c", "docker config ls -q | xargs docker config inspect")
    order = [entry["ID"] for entry in sorted(json.loads(listed), key=lambda entry: entry["Version"]["Index"])]
    agents.until(lambda: agents.holding(order[-1]), "a proven copy holds the last change")
    copies = agents.copies()[:-before]
    assert {copy["proof"]["verdict"] for copy in copies} == {"proven"}
    for copy in copies:
        listed_before, more = copy["inventory"]["configs"], copy["proof"]["beyond"].get("configs", [])
        came_up = {*listed_before, *more}
        assert set(order[: len(came_up)]) == came_up, "a change was restored, and one before it was not"
    assert any(copy["proof"]["beyond"].get("configs") for copy in copies), "nothing came while a copy was taken"
    agents.until(lambda: agents.swarm.nodes() == members, "every node is as it was")
    assert {copy["position"]["term"] for copy in copies} == {term}, "there was an election"
    assert engines == {
        name: agents.swarm.on(name, "systemctl", "show", "docker", "--property=MainPID") for name in MANAGERS
    }


@pytest.mark.whole
def test_what_s3_does_not_take_waits_and_is_stored_later(agents: Agents, healed: None) -> None:
    agents.settled()
    first = agents.first()
    s3.stop(agents.swarm.lab)
    config = agents.change()
    agents.until(lambda: agents.told()[first].get("waiting"), "the copy waits")
    agents.until(lambda: "cannot be reached" in agents.told()[first]["fault"], "its agent says why")
    assert requorum(agents.stack, "agents").status == 3
    s3.start(agents.swarm.lab)
    agents.until(lambda: first in agents.holding(config), "the copy is stored")
    agents.until(lambda: agents.told()[first].get("waiting") == 0, "nothing waits any more")
    agents.until(lambda: not agents.told()[first]["fault"], "nothing is wrong any more")
    agents.settled()
    assert agents.holding(config).count(first) == 1


@pytest.mark.whole
def test_an_agent_that_is_killed_anywhere_leaves_nothing_half(agents: Agents) -> None:
    first = agents.first()
    for delay in KILL_AFTER:
        config = agents.change()
        active = ("systemctl", "show", "requorum-copy", "--property=MainPID", "--value")
        agents.until(lambda: agents.swarm.on(first, *active) != "0", "a round runs", passing=True)  # noqa: B023
        time.sleep(delay)
        agents.swarm.on(first, "systemctl", "kill", "--signal=KILL", "requorum-copy.service", check=False)
        agents.until(lambda: agents.holding(config), f"a copy after the kill at {delay} s")  # noqa: B023
    agents.until(lambda: not agents.told()[first]["fault"], "nothing is wrong any more")
    left = ("sh", "-c", f"ls {STATE}/spool; pgrep -a dockerd | grep -- --data-root=/data; true")
    agents.until(lambda: not agents.swarm.on(first, *left), "nothing is left of any round")
    status = agents.stack.requorum("verify")
    assert status.status == 0, status.text


@pytest.mark.whole
def test_agents_that_are_due_at_once_take_turns(agents: Agents) -> None:
    agents.settled()
    before = len(agents.copies())
    for name in MANAGERS:
        agents.due(name)
    agents.until(lambda: len(agents.copies()) >= before + len(MANAGERS), "a copy of each")
    agents.until(lambda: not any(one["fault"] for one in agents.told().values()), "all are fine")
    made = agents.copies()[: len(MANAGERS)]
    assert {copy["manager"] for copy in made} == set(MANAGERS)
    assert {copy["proof"]["verdict"] for copy in made} == {"proven"}
    spans = sorted((state["taken"], state["stored"]) for state in map(agents.state, MANAGERS))
    assert all(end <= begin for (_, end), (begin, _) in pairwise(spans)), "two copied at once"


@pytest.fixture
def ending(agents: Agents) -> Iterator[str]:
    """The manager whose turn it is first, as a round of it is over and its unit is not: to start it now is to start none."""
    agents.settled()
    first, folder = agents.first(), "/run/systemd/system/requorum-copy.service.d"
    slow = f"printf '[Service]\\nExecStartPost=/bin/sleep 5\\n' > {folder}/slow.conf"
    agents.swarm.on(first, "sh", "-c", f"mkdir -p {folder}; {slow}; systemctl daemon-reload")

    def ends() -> bool:
        if (found := agents.round(first)) == "dead":
            agents.swarm.on(first, "systemctl", "start", "--no-block", "requorum-copy")
        return found == "start-post"

    try:
        with agents.none_but(first):
            agents.until(ends, "a round ends", passing=True)
            yield first
    finally:
        agents.swarm.on(first, "sh", "-c", f"rm -r {folder}; systemctl daemon-reload")


@pytest.mark.whole
def test_what_becomes_due_as_a_round_ends_is_copied(agents: Agents, ending: str) -> None:
    before = len(agents.copies())
    agents.due(ending)
    agents.until(lambda: len(agents.copies()) > before, "it copies")


@pytest.mark.whole
def test_what_changes_as_a_round_ends_is_copied(agents: Agents, ending: str) -> None:
    config = agents.change()
    agents.until(lambda: agents.holding(config), "it copies")


@pytest.mark.whole
def test_when_a_disk_is_full_the_next_manager_copies(agents: Agents) -> None:
    agents.settled()
    first = agents.first()
    agents.swarm.on(first, "mount", "-t", "tmpfs", "-o", "size=8k", "full", "/var/lib/requorum")
    try:
        with agents.none_but(first):
            config = agents.change()
            agents.until(lambda: "No space left" in agents.told()[first]["fault"], "the first fails")
        agents.until(lambda: agents.holding(config), "another manager's copy")
        assert first not in agents.holding(config)
        assert "No space left" in agents.swarm.on(first, "journalctl", "-u", "requorum-copy", "-n", "50", "-o", "cat")
        metrics = agents.swarm.on(first, "cat", "/var/lib/metrics/requorum_agent.prom")
        assert f'requorum_agent_failing{{cluster="lab",manager="{first}"}} 1.0' in metrics
    finally:
        agents.swarm.on(first, "systemctl", "stop", "requorum-watch", "requorum-copy")  # which may just try again there
        agents.swarm.on(first, "umount", "/var/lib/requorum")
        agents.swarm.on(first, "systemctl", "start", "requorum-watch")
    agents.due(first)
    agents.until(lambda: first in agents.holding(config), "the first one copies again")
    agents.until(lambda: not agents.told()[first]["fault"], "nothing is wrong any more")


@pytest.mark.whole
def test_a_copy_that_cannot_be_proven_is_not_tried_on_and_on(agents: Agents) -> None:
    agents.settled()
    first = agents.first()

    def tries() -> list[float]:
        mine = (copy for copy in agents.copies() if copy["manager"] == first)
        taken = (copy["taken"] for copy in mine if config in copy["inventory"]["configs"])
        return sorted(datetime.fromisoformat(text).timestamp() for text in taken)

    agents.swarm.on(first, "mount", "--bind", "/bin/false", "/usr/bin/unshare")
    try:
        with agents.none_but(first):
            config = agents.change()
            agents.until(tries, "the first tries")
        agents.until(lambda: agents.holding(config), "another manager's proven copy")
        assert first not in agents.holding(config)
        agents.settled()
        tried = tries()
        time.sleep(RESTED_SECONDS)
        assert tries() == tried, "it was tried again when another's copy would do"
        rests = [later - earlier for earlier, later in pairwise(tried)]
        assert not [rest for rest in rests if rest < FIRST_PAUSE / 2], "it was tried without a rest"
        agents.until(lambda: "could not prove" in agents.told()[first]["fault"], "its agent says so")
    finally:
        agents.swarm.on(first, "umount", "--lazy", "/usr/bin/unshare")
    agents.due(first)
    agents.until(lambda: first in agents.holding(config), "the first one's proven copy")
    agents.until(lambda: not agents.told()[first]["fault"], "it is proven again")


@pytest.mark.whole
def test_without_a_quorum_what_there_is_is_kept(agents: Agents, healed: None) -> None:
    agents.settled()
    before, (lost, other, left) = agents.copies(), MANAGERS
    faults.kill(agents.swarm.lab, [lost, other])
    agents.due(left)
    agents.until(lambda: "kept" in agents.told()[left]["fault"], "the agent says that it cannot copy")
    assert agents.copies() == before
    faults.start(agents.swarm.lab, [lost, other])
    agents.until(lambda: "Leader" in agents.swarm.on(left, "docker", "node", "ls", check=False), "a leader")
    agents.until(lambda: not agents.told()[left]["fault"], "it copies again")
    agents.until(lambda: len(agents.copies()) > len(before), "the copy that was due is made up for")


@pytest.mark.whole
def test_the_month_tells_when_the_managers_saw_no_quorum(agents: Agents) -> None:
    """A round tells S3 of it at most twice an hour, unless the node knows of no earlier time."""
    for name in MANAGERS:
        agents.swarm.on(name, "rm", "-f", f"{STATE}/{TOLD}")
        agents.due(name)

    def month() -> dict[str, Any]:
        read = requorum(agents.stack, "reports", "--month", f"{datetime.now(UTC):%Y-%m}", "--json")
        assert read.status == 0, read.errors
        document: dict[str, Any] = json.loads(read.text)
        return document

    agents.until(lambda: month()["availability"]["lostSeconds"] > 0, "the time without a quorum is told")
    told = month()
    assert told["availability"]["quorumSeconds"] > 0
    assert {copy["manager"] for copy in told["copies"]} == set(MANAGERS)


@pytest.mark.whole
def test_a_rotated_unlock_key_is_in_escrow_and_in_a_copy_though_no_event_tells(agents: Agents) -> None:
    agents.swarm.on("manager-a", "docker", "swarm", "update", "--autolock=true")
    agents.settled()
    time.sleep(RESTED_SECONDS)  # until every watch has seen that: one that sees it late would copy what comes next too
    key = UnlockKey(agents.swarm.on("manager-a", "docker", "swarm", "unlock-key", "--rotate", "-q"))

    def proven() -> bool:
        mine = (copy for copy in agents.copies() if copy["key_fingerprint"] == key.fingerprint)
        return any(copy["autolock"] and copy["proof"]["verdict"] == "proven" for copy in mine)

    agents.until(proven, "a proven copy under the new key")
    drilled = agents.stack.requorum("drill", "--json")
    assert drilled.status == 0, drilled.text + drilled.errors
    agents.swarm.on("manager-a", "docker", "swarm", "update", "--autolock=false")


def test_after_a_total_loss_every_manager_has_its_agent_again(agents: Agents) -> None:
    config = agents.change()
    agents.until(lambda: agents.holding(config), "a proven copy")
    nodes.lose(agents.swarm.lab, MANAGERS)
    agents.stack.recover()
    assert config in agents.swarm.on("manager-a", "docker", "config", "ls", "-q").split()
    agents.until(lambda: all(not one["fault"] for one in agents.told().values()), "every agent is fine")
    config = agents.change()
    agents.until(lambda: agents.holding(config), "a proven copy of the restored swarm")
    again = agents.stack.up("--skip-preview")
    assert "~" not in again.text.split("Resources:")[1], again.text


@pytest.mark.whole
def test_agents_that_cannot_be_installed_stop_no_recovery(agents: Agents, healed: None) -> None:
    agents.settled()
    fine = agents.stack.settings()
    agents.stack.write({**fine, "agent": {**fine["agent"], "schedule": "now and then"}})
    nodes.lose(agents.swarm.lab, MANAGERS[1:])
    agents.until(lambda: requorum(agents.stack, "status").status == 4, "the quorum is lost")
    done = agents.stack.recover(check=False)
    assert done.status != 0
    assert "systemd does not understand" in done.text
    agents.until(lambda: agents.swarm.stands(*MANAGERS, *WORKERS), "every manager is back")
    told = requorum(agents.stack, "status")
    assert (told.status, "agent of manager-b, manager-c fails" in told.text) == (3, True), told.text
    refused = agents.stack.preview(check=False)
    assert refused.status != 0
    assert "requorum:agent.schedule" in refused.text
    agents.stack.write(fine)
    agents.stack.up("--skip-preview")
    agents.until(lambda: all(not one["fault"] for one in agents.told().values()), "every agent is fine")


@pytest.mark.whole
def test_a_watch_that_is_switched_off_is_off_after_a_reboot_too(agents: Agents, healed: None) -> None:
    fine = agents.stack.settings()
    agents.stack.write({**fine, "agent": {**fine["agent"], "onChange": False}})
    agents.stack.up("--skip-preview")
    faults.kill(agents.swarm.lab, ["manager-a"])
    faults.start(agents.swarm.lab, ["manager-a"])
    agents.until(lambda: agents.told()["manager-a"].get("fault") == "", "the agent runs by its timer")
    agents.until(lambda: agents.swarm.stands(*MANAGERS, *WORKERS), "it votes again")
    running = ("systemctl", "is-active", "requorum-copy.timer", "requorum-watch.service")
    for name in MANAGERS:
        assert agents.swarm.on(name, *running, check=False).split() == ["active", "inactive"]
    agents.stack.write(fine)
    agents.stack.up("--skip-preview")
    for name in MANAGERS:
        assert agents.swarm.on(name, *running).split() == ["active", "active"]


def test_without_the_setting_no_agent_is_left(agents: Agents) -> None:
    agents.stack.write({key: value for key, value in agents.stack.settings().items() if key != "agent"})
    agents.stack.up("--skip-preview")
    places = f"{HOME} /etc/requorum/agent /etc/systemd/system/requorum-copy.* /etc/systemd/system/requorum-watch.*"
    places += " /var/lib/metrics/requorum_agent.prom"
    for name in MANAGERS:
        assert not agents.swarm.on(name, "sh", "-c", f"ls -d {places}; true")
