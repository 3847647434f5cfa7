"""A recovery that is killed, or that goes wrong half-way, makes no second swarm and converges when it is run again.

The tests run in order.
"""

import json
from typing import Any

import pytest
from docker import DockerClient

from lab import image, nodes
from lab.stack import Stack
from recovery.cluster import Cluster
from recovery.errors import ProofFailed
from recovery.operations.assess import assess
from recovery.settings import load
from recovery.steps import swarm_directory
from recovery.steps.quorum import establish
from recovery.steps.run import Run
from tests.lab.here import requorum
from tests.lab.killed import update_killed_at
from tests.lab.place import address
from tests.lab.swarm import MANAGERS, WORKERS, Swarm

HOSTS = f"Container {address(2, 12)}-container creating"
POINTS = [
    pytest.param("forcing a new cluster", id="the new cluster is being forced"),
    pytest.param(HOSTS, id="hosts are being made", marks=pytest.mark.whole),
    pytest.param("joins as a manager", id="the second manager joins", marks=pytest.mark.whole),
]

HALVING_TAR = """#!/bin/sh
/usr/bin/tar.whole "$@" || exit
case "$PWD" in */swarm.requorum) for log in /var/lib/docker/swarm.requorum/swarm/raft/wal-v3-encrypted/*.wal; do truncate -s 4096 "$log"; done;; esac
"""
"""Unpacks, then loses most of the raft log, and reports success: half a file that nothing else notices."""


def plan_of(swarm: Swarm) -> dict[str, Any]:
    plan: dict[str, Any] = json.loads(requorum(swarm.stack, "plan", "--json").text)
    return plan


def consent(plan: dict[str, Any]) -> list[str]:
    """The option that consents to the plan, if it needs consent."""
    return ["--config", f"recover={plan['id']}"] if plan["id"] else []


def is_silent(plan: dict[str, Any]) -> bool:
    """Whether nothing is done because a machine does not answer (yet)."""
    return bool(plan["refusal"]) and "not known to be lost" in plan["refusal"]["why"]


def has_started(swarm: Swarm) -> bool:
    """Whether the machines that an update was making when it was killed are up: one that does not run is not known to be lost."""
    swarm.start_what_was_only_created()
    return not is_silent(plan_of(swarm))


def goes_on(swarm: Swarm) -> bool:
    """Have the recovery go on; whether it did: a machine that is being started may be late to answer once more."""
    done = swarm.stack.up("--skip-preview", *consent(plan_of(swarm)), check=False)
    if done.status and "not known to be lost" in done.text:
        return False
    assert done.status == 0, done.text
    return True


@pytest.mark.parametrize("line", POINTS)
def test_a_killed_recovery_converges(swarm: Swarm, line: str) -> None:
    assert requorum(swarm.stack, "backup").status == 0
    before = swarm.picture()
    nodes.lose(swarm.lab, MANAGERS)
    assert update_killed_at(swarm.stack, line, *consent(plan_of(swarm))), f"the update never showed {line!r}"
    assert not list(swarm.lab.pulumi_root.rglob("*.attrs")), "every file of the state is replaced in one step"
    swarm.stack.pulumi("cancel", "--yes")
    swarm.until(lambda: has_started(swarm), "machines that were just made have started")
    swarm.until(lambda: goes_on(swarm), "the update goes on")
    swarm.await_standing(*MANAGERS, *WORKERS)
    assert not before.differences(swarm.picture())
    marks = [swarm.on(name, "sh", "-c", "ls -A /var/lib/docker/swarm | grep requorum || true") for name in MANAGERS]
    assert not any(marks), "what was restored is proven"
    assert "unchanged" in swarm.stack.up("--skip-preview", "--expect-no-changes").text
    report = json.loads(requorum(swarm.stack, "report", "--json").text)
    assert (report["lost"], bool(report["copy"]), report["rpo"]["seconds"] > 0) == (list(MANAGERS), True, True)
    assert len(report["runs"]) == 2 or line == HOSTS, "of both runs"


@pytest.fixture(scope="module")
def halving_image(swarm: Swarm) -> str:
    """The node image with a `tar` that loses half."""
    engine = DockerClient(base_url=swarm.lab.docker_host)
    made = engine.containers.create(
        image.reference(),
        [
            "sh",
            "-c",
            f"mv /usr/bin/tar /usr/bin/tar.whole; cat > /usr/bin/tar <<'END'\n{HALVING_TAR}END\nchmod +x /usr/bin/tar",
        ],
    )
    made.start()
    made.wait()
    made.commit("requorum-node", "halving", changes='CMD ["/sbin/init"]')
    made.remove()
    return "requorum-node:halving"


@pytest.mark.whole
def test_half_a_restore_is_refused_and_leaves_no_swarm(swarm: Swarm, stack: Stack, halving_image: str) -> None:
    before = swarm.picture()
    hosts = stack.settings()["hosts"]
    stack.write({**stack.settings(), "hosts": {**hosts, "image": halving_image}})
    nodes.lose(swarm.lab, MANAGERS)
    refused = stack.up("--skip-preview", "--config", "recover=true", check=False)
    assert refused.status != 0
    assert "code: restore-incomplete" in refused.text
    assert [swarm.state(name) for name in MANAGERS] == ["inactive"] * 3, "nothing was founded"
    left = swarm.on("manager-a", "ls", "/var/lib/docker").split()
    assert "swarm.requorum" not in left
    assert "swarm.before" not in left
    assert (
        swarm.on("manager-a", "sh", "-c", "ls /var/lib/docker/swarm/raft 2>&1 || true", check=False).find("wal-v3") < 0
    )

    for name in MANAGERS:
        swarm.on(name, "mv", "/usr/bin/tar.whole", "/usr/bin/tar")
    stack.up("--skip-preview")
    assert not before.differences(swarm.picture())


def test_a_swarm_that_is_not_the_copied_one_is_left_again(
    swarm: Swarm, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were the files missing without a word, docker would found an empty swarm and report success."""
    settings = load(stack.file)
    for key, value in stack.environment().items():
        monkeypatch.setenv(key, value)
    nodes.lose(swarm.lab, MANAGERS)
    nodes.make(swarm.lab, {name: str(settings.node(name).address) for name in MANAGERS})
    monkeypatch.setattr(swarm_directory, "place", lambda *_, **__: None)
    with pytest.raises(ProofFailed, match="code: swarm-differs"):
        establish(Run(Cluster(settings), assess(Cluster(settings)).plan, print))
    assert [swarm.state(manager) for manager in MANAGERS] == ["inactive"] * 3
