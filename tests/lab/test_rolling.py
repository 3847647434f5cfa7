"""Walks over all nodes of a swarm under load: a reboot, a command, and upgrades from 20.10 over 26.1 to 28. The tests run in order.

Managers run tasks too, so that each of the three tasks is on a node of its own.
"""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic

import pytest
from docker import DockerClient
from typer.testing import CliRunner

from lab import nodes, workload
from lab.stack import PROJECT, Result, Stack
from recovery.cli import app
from tests.lab import engines
from tests.lab.here import fresh, requorum
from tests.lab.machines import ADDRESSES
from tests.lab.sampler import Sampler
from tests.lab.swarm import MANAGERS, WORKERS, Swarm

pytestmark = pytest.mark.whole

ALL = (*MANAGERS, *WORKERS)
RELEASES = ("20.10", "26.1", "28")
WEB = "web"
STARTED = "cut -d' ' -f22 /proc/1/stat"


@pytest.fixture(scope="module")
def swarm(existing: Stack) -> Swarm:
    """Five nodes with engine 20.10, and a service of three tasks."""
    archives = {version: engines.programs(version) for version in RELEASES}

    def prepare(name: str) -> None:
        for version, archive in archives.items():
            engines.provide(existing.instance, name, version, archive)
        engines.start_with(existing.instance, name, RELEASES[0])

    nodes.together(ALL, prepare)
    values = existing.settings()
    existing.write({**values, "managers": [{**entry, "availability": "active"} for entry in values["managers"]]})
    existing.up("--skip-preview")
    found = Swarm(existing)
    found.await_standing(*ADDRESSES)
    for address in ADDRESSES.values():
        workload.load_workload(existing.instance, address)
    create = ["docker", "service", "create", "--detach", "--no-resolve-image", "--name", WEB, "--replicas", "3"]
    found.on("manager-a", *create, "--stop-grace-period", "2s", workload.REFERENCE, "sleep", "1000000")
    found.until(lambda: sum(len(found.containers(name)) for name in ALL) == 3, "three tasks run")
    return found


@contextmanager
def watched(swarm: Swarm) -> Iterator[Sampler]:
    """Under load, looked at from outside. It may end only with a swarm that had a leader and two tasks all the time."""
    over = Event()

    def load() -> None:
        number = 0
        while not over.wait(0.5):
            number += 1
            manager = MANAGERS[number % 3]
            swarm.on(
                manager,
                "sh",
                "-c",
                f"date | docker config create load-{number} - && docker config rm load-{number}",
                check=False,
            )

    writing = Thread(target=load, daemon=True)
    writing.start()
    try:
        with Sampler(swarm.lab, ALL, WEB).sampling() as sampler:
            yield sampler
    finally:
        over.set()
        writing.join()
    print(f"{len(sampler.samples)} looks, fewest tasks {sampler.fewest}, gaps {sampler.gaps}")
    assert sampler.fewest >= 2


@contextmanager
def powered(swarm: Swarm) -> Iterator[None]:
    """Start the node containers that end, as a machine does that reboots."""
    over, engine = Event(), DockerClient(base_url=swarm.lab.docker_host)

    def start() -> None:
        while not over.wait(0.5):
            for container in engine.containers.list(all=True, filters={"status": "exited"}):
                container.start()

    thread = Thread(target=start, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def availabilities(swarm: Swarm) -> dict[str, tuple[str, bool]]:
    """Each node's availability, and whether it has a label of ours."""
    listed = swarm.json("manager-b", "node", "inspect", *ALL)
    return {
        entry["Description"]["Hostname"]: (
            entry["Spec"]["Availability"],
            "requorum" in str(entry["Spec"].get("Labels")),
        )
        for entry in listed
    }


def doctor(swarm: Swarm) -> set[str]:
    """The names of what the doctor finds."""
    return {one["name"] for one in json.loads(requorum(swarm.stack, "doctor", "--json").text)["cases"]}


def versions(swarm: Swarm) -> dict[str, str]:
    listed = swarm.json("manager-b", "node", "inspect", *ALL)
    return {entry["Description"]["Hostname"]: entry["Description"]["Engine"]["EngineVersion"] for entry in listed}


def walked(swarm: Swarm, *words: str) -> Result:
    done = requorum(swarm.stack, *words, "--yes")
    print(done.text, done.errors)
    return done


def ran(swarm: Swarm, line: str) -> Result:
    """Run a line for the shell on every node. What follows it would be a part of it."""
    begun = monotonic()
    with fresh(swarm.stack):
        words = ["run", "--rolling", "--yes", "--config-file", str(swarm.stack.file), "sh", "-c", line]
        done = CliRunner().invoke(app, words)
    print(done.stdout, done.stderr)
    return Result(done.stdout, done.exit_code, monotonic() - begun, done.stderr)


def killed_at(swarm: Swarm, line: str, *words: str) -> str:
    """Begin a walk, and kill its process when it says such a line. Returns the node that the line names."""
    command = [str(PROJECT / "bin/requorum"), *words, "--yes", "--config-file", str(swarm.stack.file)]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env=swarm.stack.environment(),
        start_new_session=True,
    )
    assert process.stderr
    came = next(found for said in process.stderr if (found := re.search(line, said)))
    process.send_signal(signal.SIGKILL)
    process.wait()
    return came[1]


def test_every_machine_is_rebooted_under_load(swarm: Swarm) -> None:
    swarm.on("manager-a", "docker", "node", "update", "--availability", "pause", "worker-2")
    before = availabilities(swarm)
    started = {name: swarm.on(name, "sh", "-c", STARTED) for name in ALL}
    shown = requorum(swarm.stack, "reboot", "--all", "--dry-run")
    assert "votes 3 -> 2, tolerates 0" in shown.text
    with powered(swarm), watched(swarm) as sampler:
        done = walked(swarm, "reboot", "--all")
    assert done.status == 0
    assert not [name for name in ALL if swarm.on(name, "sh", "-c", STARTED) == started[name]]
    assert availabilities(swarm) == before
    swarm.on("manager-a", "docker", "node", "update", "--availability", "active", "worker-2")
    swarm.await_standing(*ALL)
    sampler.require_led(elections=2)


def test_a_command_runs_on_every_node_and_goes_on_where_it_failed(swarm: Swarm) -> None:
    before = availabilities(swarm)
    line = 'echo "$(hostname) $HOME $((1+1))"; date >> /root/ran; test ! -e /root/stop'
    swarm.on("worker-2", "touch", "/root/stop")
    with watched(swarm) as sampler:
        stopped = ran(swarm, line)
        assert stopped.status == 1
        assert "code: command-failed" in stopped.errors
        assert availabilities(swarm)["worker-2"] == ("drain", True)
        swarm.on("worker-2", "rm", "/root/stop")
        done = ran(swarm, line)
    assert done.status == 0, done.errors
    assert {f"{name}: {name} /root 2" for name in ALL} <= {*(stopped.text + done.text).splitlines()}
    assert {name: len(swarm.on(name, "cat", "/root/ran").splitlines()) for name in ALL} == {
        **dict.fromkeys(ALL, 1),
        "worker-2": 2,
    }
    assert availabilities(swarm) == before
    sampler.require_led(elections=0)


def test_an_upgrade_that_is_killed_at_each_node_goes_on(swarm: Swarm) -> None:
    stack, before = swarm.stack, availabilities(swarm)
    stack.write({**stack.settings(), "engine": {"version": "26.1", "command": engines.INSTALL % "26.1"}})
    assert set(versions(swarm).values()) == {swarm.on("manager-a", "docker", "version", "-f", "{{.Server.Version}}")}
    with watched(swarm) as sampler:
        left = {*ALL}
        while left:
            left.remove(killed_at(swarm, f"({'|'.join(left)}): upgrade its engine", "upgrade"))
        done = walked(swarm, "upgrade")
    assert done.status == 0
    assert {version[:4] for version in versions(swarm).values()} == {"26.1"}
    assert availabilities(swarm) == before
    swarm.await_standing(*ALL)
    sampler.require_led(elections=3)


def test_an_upgrade_stops_at_a_node_that_does_not_come_back_and_goes_on_when_it_is(swarm: Swarm) -> None:
    stack, before = swarm.stack, availabilities(swarm)
    stack.write(
        {
            **stack.settings(),
            "engine": {"version": "28", "command": (engines.INSTALL % "28").replace("start", "start --no-block")},
        }
    )
    broken = "/etc/systemd/system/docker.service.d/broken.conf"
    leader = swarm.leader()
    follower = next(name for name in ("manager-a", "manager-c") if name != leader)
    swarm.on(
        follower,
        "sh",
        "-c",
        f"mkdir -p $(dirname {broken}); printf '[Service]\\nExecStartPre=/bin/false\\n' > {broken}; systemctl daemon-reload",
    )
    with watched(swarm) as sampler:
        stopped = walked(swarm, "upgrade")
        assert stopped.status == 1
        assert "code: node-not-back" in stopped.errors
        assert "requorum upgrade" in stopped.errors
        assert follower in stopped.errors
        there = {name: version[:2] for name, version in versions(swarm).items()}
        assert {there[name] for name in WORKERS} == {"28"}
        assert sum(version == "26" for version in there.values()) >= 2, "no other manager was taken afterwards"
        assert "engines-apart@cluster" in doctor(swarm)
        swarm.on(
            follower,
            "sh",
            "-c",
            f"rm {broken}; systemctl daemon-reload; systemctl reset-failed docker docker.socket; systemctl start docker",
        )
        swarm.await_standing(*ALL)
        done = walked(swarm, "upgrade")
    assert done.status == 0
    assert {version[:3] for version in versions(swarm).values()} == {"28."}
    assert availabilities(swarm) == before
    sampler.require_led(elections=3)
    assert "nothing was left to do" in walked(swarm, "upgrade").text
    assert "engines-apart@cluster" not in doctor(swarm)
