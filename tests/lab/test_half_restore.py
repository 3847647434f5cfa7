"""The silent second swarm cannot happen: a restore that goes wrong half-way is refused, changes nothing, and can be run again."""

import pytest
from docker import DockerClient

from lab import image, nodes
from lab.stack import Stack
from recovery import quorum, restore
from recovery.errors import ProofFailed
from recovery.settings import load
from tests.lab.swarm import MANAGERS, Swarm

HALVING_TAR = """#!/bin/sh
/usr/bin/tar.whole "$@" || exit
case "$PWD" in */swarm.requorum) for log in /var/lib/docker/swarm.requorum/swarm/raft/wal-v3-encrypted/*.wal; do truncate -s 4096 "$log"; done;; esac
"""
"""Unpacks, then loses most of the raft log, and reports success: half a file that nothing else notices."""


@pytest.fixture(scope="module")
def halving_image(swarm: Swarm) -> str:
    """The node image with a `tar` that loses half."""
    engine = DockerClient(base_url=swarm.lab.docker_host)
    made = engine.containers.create(
        image.reference("bookworm"),
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


def test_half_a_restore_is_refused_and_leaves_no_swarm(swarm: Swarm, stack: Stack, halving_image: str) -> None:
    before = swarm.picture()
    hosts = stack.settings()["hosts"]
    stack.write({**stack.settings(), "hosts": {**hosts, "image": halving_image}})
    nodes.lose(swarm.lab, MANAGERS)
    refused = stack.up("--skip-preview", "--config", "recover=true", check=False)
    assert refused.status != 0
    assert "not every file arrived; nothing was changed" in refused.text
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
    newest = stack.requorum("backups", "--json").text
    monkeypatch.setattr(restore, "place", lambda *_, **__: None)
    name = next(line.split('"')[3] for line in newest.splitlines() if '"name"' in line)
    with pytest.raises(ProofFailed, match="its ID is"):
        quorum.establish(settings, copy=name, say=print)
    assert [swarm.state(manager) for manager in MANAGERS] == ["inactive"] * 3
