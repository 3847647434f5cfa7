"""Join tokens, the unlock key and the CA are rotated; nothing else changes, and a total loss comes back with the new ones. In order."""

import json
import subprocess
from time import sleep
from typing import Any

import pytest

from lab import faults, nodes
from recovery.settings import load
from recovery.swarm.key_file import UnlockKey, is_locked, opens
from tests.lab.here import fresh, requorum
from tests.lab.place import address
from tests.lab.swarm import MANAGERS, WORKERS, Swarm

pytestmark = pytest.mark.whole

CA = "/var/lib/docker/swarm/certificates/swarm-root-ca.crt"
KEY = "/var/lib/docker/swarm/certificates/swarm-node.key"
NODES = (*MANAGERS, *WORKERS)
KNOWN: dict[str, Any] = {}
"""What a test hands on."""


def tokens(swarm: Swarm) -> dict[str, str]:
    return {
        role: swarm.on("manager-a", "docker", "swarm", "join-token", "--quiet", role) for role in ("worker", "manager")
    }


def cas(swarm: Swarm) -> set[str]:
    return {swarm.on(name, "sha256sum", CA).split()[0] for name in NODES}


def is_settled(swarm: Swarm) -> bool:
    """Whether the five tasks run, and are the same after a while: swarm ends those that it replaced when their node is back."""
    before = [swarm.containers(name) for name in WORKERS]
    sleep(10)
    return sum(map(len, before)) == 5 and [swarm.containers(name) for name in WORKERS] == before


def rotated(swarm: Swarm, *words: str) -> str:
    """Run `requorum rotate`, whose output and errors have no secret; what it prints."""
    done = requorum(swarm.stack, "rotate", *words, "--yes")
    assert done.status == 0, done.errors
    assert not [word for word in ("SWMTKN", "SWMKEY") if word in done.text + done.errors]
    return done.text


@pytest.mark.parametrize("role", ["worker", "manager"])
def test_the_old_token_lets_nobody_join(swarm: Swarm, role: str) -> None:
    if role == "worker":
        swarm.run_workload()
    before, picture = tokens(swarm), swarm.picture()
    rotated(swarm, f"{role}-token")
    after = tokens(swarm)
    assert {one for one in after if after[one] != before[one]} == {role}
    stranger = {"stranger": address(3, 33)}
    nodes.make(swarm.lab, stranger)
    try:
        join = f"docker swarm join --token {before[role]} {address(1, 11)}:2377 2>&1"
        assert "join token" in swarm.on("stranger", "sh", "-c", join, check=False), "it is the token that is refused"
        assert swarm.state("stranger") != "active"
        swarm.on("stranger", "docker", "swarm", "leave", "--force", check=False)
    finally:
        nodes.lose(swarm.lab, stranger)
    swarm.await_standing(*NODES)
    assert not picture.differences(swarm.picture())


def test_a_rotated_unlock_key_is_in_escrow_and_opens_every_manager(swarm: Swarm) -> None:
    values = swarm.stack.settings()
    swarm.stack.write({**values, "swarm": {**values.get("swarm", {}), "autolock": True}})
    swarm.stack.up("--skip-preview")
    before, picture = swarm.on("manager-a", "docker", "swarm", "unlock-key", "--quiet"), swarm.picture()
    rotated(swarm, "unlock-key")
    after = UnlockKey(swarm.on("manager-a", "docker", "swarm", "unlock-key", "--quiet"))
    assert after.text != before
    for name in MANAGERS:
        pem = swarm.on(name, "cat", KEY).encode()
        assert is_locked(pem)
        assert opens(after, pem)
    escrow = [path.name for path in swarm.lab.s3_root.rglob("rotations/*/unlock-keys/*.age")]
    for key in (after, UnlockKey(before)):
        assert any(name.startswith(key.fingerprint) for name in escrow), "escrow has both keys"
    labels = swarm.json("manager-a", "info")[0]["Swarm"]["Cluster"]["Spec"]["Labels"] or {}
    assert "requorum.rotation" not in labels
    assert not picture.differences(swarm.picture())


def test_the_ca_is_not_rotated_while_a_node_is_down(swarm: Swarm) -> None:
    before = cas(swarm)
    faults.pause(swarm.lab, ["worker-2"])
    swarm.until(lambda: swarm.nodes()["worker-2"]["Status"] == "Down", "the worker is down")
    done = requorum(swarm.stack, "rotate", "ca", "--yes")
    assert done.status == 1
    assert "code: nodes-down" in done.errors
    assert "worker-2" in done.errors
    faults.unpause(swarm.lab, ["worker-2"])
    swarm.await_standing(*NODES)
    swarm.until(lambda: is_settled(swarm), "what swarm replaced has ended")
    assert cas(swarm) == before


def test_a_ca_that_the_stack_file_names_is_not_rotated(swarm: Swarm) -> None:
    values, (before,) = swarm.stack.settings(), cas(swarm)
    swarm.stack.write({**values, "caSha256": before})
    done = requorum(swarm.stack, "rotate", "ca", "--yes")
    assert "code: ca-pinned" in done.errors
    swarm.stack.write(values)
    assert cas(swarm) == {before}


def test_a_rotation_of_the_ca_that_is_killed_is_finished_by_the_next(swarm: Swarm) -> None:
    before, picture = cas(swarm), swarm.picture()
    command = ["bin/requorum", "rotate", "ca", "--yes", "--config-file", str(swarm.stack.file)]
    with subprocess.Popen(command, env=swarm.stack.environment(), stderr=subprocess.PIPE, text=True) as ours:
        assert ours.stderr
        assert any("rotating the CA" in line for line in ours.stderr)
        swarm.until(lambda: cas(swarm) != before, "nodes learn the new CA", passing=True)
        ours.kill()
    rotation = swarm.json("manager-a", "info")[0]["Swarm"]["Cluster"]["Spec"]["CAConfig"]["ForceRotate"]
    shown = rotated(swarm, "ca")
    (after,) = cas(swarm)
    assert {after}.isdisjoint(before)
    assert after in shown
    assert swarm.json("manager-a", "info")[0]["Swarm"]["Cluster"]["Spec"]["CAConfig"]["ForceRotate"] == rotation
    assert not picture.differences(swarm.picture())
    KNOWN["ca"] = after


def test_after_a_total_loss_the_swarm_has_the_new_ca_and_tokens(swarm: Swarm) -> None:
    """The copies are those that the rotation of the CA took. Nor does the loss of the quorum change the CA."""
    swarm.stack.up("--skip-preview")
    picture, known = swarm.picture(), tokens(swarm)
    nodes.lose(swarm.lab, MANAGERS)
    with fresh(swarm.stack):
        plan = json.loads(requorum(swarm.stack, "plan", "--json").text)
        swarm.stack.up("--skip-preview", "--config", f"recover={plan['id']}")
    swarm.await_standing(*NODES)
    assert not picture.differences(swarm.picture())
    assert (tokens(swarm), cas(swarm)) == (known, {KNOWN["ca"]})
    nodes.lose(swarm.lab, MANAGERS[1:])
    swarm.stack.recover()
    swarm.await_standing(*NODES)
    assert not picture.differences(swarm.picture())
    assert (tokens(swarm), cas(swarm)) == (known, {KNOWN["ca"]})


def test_a_node_that_is_given_up_leaves_and_the_ca_is_rotated(swarm: Swarm) -> None:
    nodes.lose(swarm.lab, ["worker-2"])
    swarm.until(lambda: swarm.nodes()["worker-2"]["Status"] == "Down", "the worker is down")
    rotated(swarm, "ca", "--without", "worker-2")
    assert "worker-2" not in swarm.nodes()
    names = [name for name in NODES if name != "worker-2"]
    assert {swarm.on(name, "sha256sum", CA).split()[0] for name in names}.isdisjoint({KNOWN["ca"]})
    swarm.stack.up("--skip-preview")
    swarm.await_standing(*(node.name for node in load(swarm.stack.file).nodes))
