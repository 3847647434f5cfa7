"""Copies on the real swarm: proven and sealed where they are made, hot and cold; drilled; and what is wrong with one is told."""

import base64
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pyrage
import pytest
from backports import zstd

from lab import image, nodes
from lab.stack import Stack
from recovery.copies.copy import ARCHIVE
from recovery.onnode.copying import GUARD
from recovery.s3.sealing import Identities
from tests import listing
from tests.lab.here import requorum
from tests.lab.place import address
from tests.lab.swarm import MANAGERS, WORKERS, Swarm

CA = "/var/lib/docker/swarm/certificates/swarm-root-ca.crt"
DROPPING_TAR = """#!/bin/sh
case "$*" in *"/copy.tar swarm")
  cp -a --sparse=always swarm /tmp/swarm && cd /tmp && for log in swarm/raft/wal-v3-encrypted/*.wal; do truncate -s 8192 "$log"; done ;;
esac
exec /usr/bin/tar "$@"
"""
"""Packs a log without its newest entries, and reports success."""


GUEST = """set -e
ip netns add guest; ip link add g0 type veth peer name g1; ip link set g1 netns guest
ip link set g0 master docker_gwbridge up
ip netns exec guest ip address add 172.18.0.200/16 dev g1
ip netns exec guest ip link set g1 up
ip netns exec guest ip route add default via 172.18.0.1
"""
"""A network namespace as Docker makes one for a container of a service."""


@pytest.fixture(scope="module")
def running(swarm: Swarm) -> Swarm:
    """The swarm with its services."""
    swarm.run_workload()
    return swarm


def copies(stack: Stack, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    done = requorum(stack, "backup", "--json", *arguments)
    return done.status, json.loads(done.text)["copies"]


def engine(swarm: Swarm, node: str) -> str:
    """The engine's process and when it was started."""
    return swarm.on(node, "systemctl", "show", "docker", "--property=MainPID,ActiveEnterTimestampMonotonic,NRestarts")


def left_over(swarm: Swarm, node: str) -> list[str]:
    """What a copy or a sandbox left on a node."""
    found = swarm.on(
        node,
        "sh",
        "-c",
        "ls /var/lib/requorum/copies 2>/dev/null; pgrep -a dockerd | grep -- --data-root=/data; ip -o link | grep requorum0; true",
    )
    return found.split("\n") if found else []


def test_every_copy_is_proven_and_its_manager_left_alone(running: Swarm, stack: Stack) -> None:
    before = {name: engine(running, name) for name in MANAGERS}
    picture = running.picture()
    status, made = copies(stack)
    assert status == 0
    assert {copy["manager"] for copy in made} == set(MANAGERS)
    for copy in made:
        proof = copy["proof"]
        assert (proof["verdict"], proof["detail"]) == ("proven", "")
        assert proof["versionIndex"] >= copy["versionIndex"]
        assert copy["recipients"] == stack.settings()["backup"]["recipients"]
    assert {name: engine(running, name) for name in MANAGERS} == before, "an engine was restarted"
    assert not picture.differences(running.picture())
    assert {name: left_over(running, name) for name in MANAGERS} == {name: [] for name in MANAGERS}


def test_what_lies_in_s3_cannot_be_read_without_an_identity(
    running: Swarm, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in stack.environment().items():
        monkeypatch.setenv(key, value)
    mark = f"planted-{uuid4().hex}"
    for kind in ("secret", "config"):
        running.on("manager-a", "sh", "-c", f"printf {mark} | docker {kind} create planted -")
    assert copies(stack)[0] == 0
    s3 = boto3.client("s3", endpoint_url=running.lab.s3_endpoint, region_name="us-east-1")
    keys = listing.keys(s3, running.lab.bucket)
    contents = {key: s3.get_object(Bucket=running.lab.bucket, Key=key)["Body"].read() for key in keys}
    archives = {key: content for key, content in contents.items() if key.endswith(".age")}
    assert archives
    assert all(content.startswith(b"age-encryption.org/v1\n") for content in archives.values())
    secrets = [
        running.on("manager-a", "docker", "swarm", "join-token", "-q", role).encode() for role in ("manager", "worker")
    ]
    secrets += [
        running.on(
            name, "sh", "-c", "sed -n '/BEGIN/,/END/p' /var/lib/docker/swarm/certificates/swarm-node.key | sed -n 5p"
        ).encode()
        for name in MANAGERS
    ]
    assert all(len(secret) > 20 for secret in secrets)

    def shown(content: bytes) -> set[bytes]:
        told = (*secrets, b"PRIVATE KEY", mark.encode(), base64.b64encode(mark.encode()))
        return {secret for secret in told if secret in content}

    assert not {key: found for key, content in contents.items() if (found := shown(content))}
    identity = Identities(Path(stack.settings()["backup"]["identityFile"]), setting="backup.identityFile")
    ours = stack.settings()["backup"]["prefix"] + "/"
    opened = [
        zstd.decompress(identity.unseal(content))
        for key, content in archives.items()
        if key.startswith(ours) and key.endswith(ARCHIVE)
    ]
    assert set().union(*map(shown, opened)) >= {*secrets[-len(MANAGERS) :], b"PRIVATE KEY"}, "sealed is what keeps them"
    assert shown(running.on("manager-a", "docker", "config", "inspect", "planted").encode()), "as the engine tells it"


@pytest.mark.whole
def test_a_copy_for_two_is_read_with_either_identity(running: Swarm, variant: Any, tmp_path: Path) -> None:
    backup, partner = running.stack.settings()["backup"], pyrage.x25519.Identity.generate()
    file = tmp_path / "partner"
    file.write_text(f"{partner}\n")
    recipients = [*backup["recipients"], str(partner.to_public())]
    ours = variant(backup={**backup, "recipients": recipients})
    status, (made, *_) = copies(ours)
    assert (status, made["recipients"]) == (0, recipients)
    assert ours.requorum("verify", made["name"]).status == 0
    theirs = variant(backup={**backup, "identityFile": str(file)})
    assert requorum(theirs, "verify", made["name"]).status == 0
    drilled = theirs.requorum("drill", made["name"], "--json")
    assert drilled.status == 0, drilled.errors
    assert json.loads(drilled.text)["drills"][0]["proof"]["verdict"] == "proven"


def test_a_copy_is_signed_under_the_ca_that_every_node_has_and_an_edited_one_is_refused(
    running: Swarm, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in stack.environment().items():
        monkeypatch.setenv(key, value)
    s3 = boto3.client("s3", endpoint_url=running.lab.s3_endpoint, region_name="us-east-1")
    newest = json.loads(stack.requorum("backups", "--json").text)["copies"][0]
    place = {"Bucket": running.lab.bucket, "Key": newest["key"].removesuffix(".tar.zst.age") + ".manifest.json"}
    stored = s3.get_object(**place)["Body"].read()
    manifest = json.loads(stored)
    known = {running.on(name, "sha256sum", CA).split()[0] for name in running.nodes()}
    assert known == {manifest["ca_sha256"]}
    assert requorum(stack, "verify", newest["name"]).status == 0
    try:
        s3.put_object(**place, Body=json.dumps({**manifest, "version_index": 0}).encode())
        refused = requorum(stack, "verify", newest["name"])
    finally:
        s3.put_object(**place, Body=stored)
    assert refused.status == 1
    assert "altered after it was signed" in " ".join((refused.text + refused.errors).split())


@pytest.mark.whole
def test_copies_under_a_rotated_ca_count(running: Swarm, stack: Stack) -> None:
    """The certificates of while it is rotated have another form; what is in a copy must be understood all the same."""
    names = (*MANAGERS, *WORKERS)
    before = {running.on(name, "sha256sum", CA).split()[0] for name in names}
    running.on("manager-a", "docker", "swarm", "ca", "--rotate", "--detach")
    for rotated in (False, True):
        if rotated:
            running.until(
                lambda: {running.on(name, "sha256sum", CA).split()[0] for name in names}.isdisjoint(before),
                "every node knows the new CA",
            )
        status, made = copies(stack)
        assert (status, {copy["proof"]["verdict"] for copy in made}) == (0, {"proven"})
        for copy in made:
            read = requorum(stack, "verify", copy["name"])
            assert read.status == 0, read.text + read.errors


def test_a_drill_brings_every_newest_copy_up_and_says_how_long_it_took(running: Swarm, stack: Stack) -> None:
    picture = running.picture()
    done = requorum(stack, "drill", "--json")
    assert done.status == 0, done.text
    drills = json.loads(done.text)["drills"]
    assert {drill["node"] for drill in drills} == set(MANAGERS), "each on its own manager"
    assert all(drill["proof"]["verdict"] == "proven" and drill["rto"] > 0 and drill["rpo"] > 0 for drill in drills)
    elsewhere = requorum(stack, "drill", drills[0]["copy"], "--on", "worker-1", "--json")
    assert elsewhere.status == 0, elsewhere.text
    assert json.loads(elsewhere.text)["drills"][0]["node"] == "worker-1"
    assert not picture.differences(running.picture())
    assert not left_over(running, "worker-1")


def test_a_container_reaches_the_swarm_s_ports_of_no_other_node(running: Swarm) -> None:
    """It would come there under the address of its own node, which the firewall there lets in."""
    other = address(2, 12)

    def reached(port: int) -> bool:
        knock = ("ip", "netns", "exec", "guest", "bash", "-c", f"exec 3<>/dev/tcp/{other}/{port} && echo reached")
        return running.on("worker-1", "timeout", "4", *knock, check=False) == "reached"

    running.on("worker-1", "sh", "-c", GUEST)
    try:
        assert [port for port in (22, 2377, 7946) if reached(port)] == [22]
        running.on("worker-1", "iptables", "-t", "mangle", "-D", "FORWARD", "-j", "REQUORUM")
        assert [port for port in (22, 2377, 7946) if reached(port)] == [22, 2377, 7946], "nothing else keeps it away"
        preview = requorum(running.stack, "status", "--json")
        (drift,) = [one["drift"] for one in json.loads(preview.text)["nodes"] if one["name"] == "worker-1"]
        assert "IPv4" in str(drift)
    finally:
        running.on("worker-1", "sh", "-c", "ip link del g0; ip netns del guest")
        running.stack.up("--skip-preview")
    assert running.on("worker-1", "iptables", "-t", "mangle", "-S", "FORWARD").endswith("-A FORWARD -j REQUORUM")


@pytest.fixture
def dropping(running: Swarm) -> Iterator[str]:
    """A manager whose copies lack the newest entries of the log."""
    running.on(
        "manager-b", "sh", "-c", f"cat > /usr/local/bin/tar <<'END'\n{DROPPING_TAR}END\nchmod +x /usr/local/bin/tar"
    )
    yield "manager-b"
    running.on("manager-b", "rm", "-rf", "/usr/local/bin/tar", "/tmp/swarm")


@pytest.mark.whole
def test_a_copy_that_fails_its_proof_is_told_and_never_chosen_first(
    running: Swarm, stack: Stack, dropping: str
) -> None:
    status, made = copies(stack)
    verdicts = {copy["manager"]: copy["proof"]["verdict"] for copy in made}
    wanted = {**dict.fromkeys(MANAGERS, "proven"), dropping: "failed"}
    assert (status, verdicts) == (3, wanted), [copy["proof"]["detail"] for copy in made]
    told = stack.requorum("backup", "--json").errors
    assert f"{dropping}: its copy FAILED its proof" in told
    listed = json.loads(requorum(stack, "backups", "--json").text)["copies"]
    newest = [copy for copy in listed if copy["manager"] == dropping][:2]
    assert [copy["proof"]["verdict"] for copy in newest] == ["failed", "failed"], "older ones are under another CA"
    status, made = copies(stack, "--or-cold", "--yes")
    kinds = {copy["manager"]: copy["kind"] for copy in made}
    assert kinds == {**dict.fromkeys(MANAGERS, "hot"), dropping: "cold"}, "of that manager alone the engine was stopped"


@pytest.mark.whole
def test_cold_copies_stop_one_engine_after_the_other(running: Swarm, stack: Stack) -> None:
    before = {name: engine(running, name) for name in MANAGERS}
    workers = {name: running.containers(name) for name in ("worker-1", "worker-2")}
    leader = running.leader()
    status, made = copies(stack, "--cold", "--yes")
    assert status == 0
    assert [copy["manager"] for copy in made][-1] == leader, "the leader last"
    assert all(copy["kind"] == "cold" and copy["proof"]["verdict"] == "proven" for copy in made)
    assert all(copy["stoppedSeconds"] > 0 for copy in made)
    assert not [name for name in MANAGERS if engine(running, name) == before[name]], "every engine was stopped"
    running.await_standing(*MANAGERS, *WORKERS)
    assert {name: running.containers(name) for name in workers} == workers
    assert not [name for name in MANAGERS if left_over(running, name)]


@pytest.fixture
def hanging(running: Swarm) -> Iterator[None]:
    """A manager's copies do not end."""
    script = "#!/bin/sh\nsleep 1000\n"
    running.on("manager-c", "sh", "-c", f"printf '{script}' > /usr/local/bin/tar && chmod +x /usr/local/bin/tar")
    yield
    running.on("manager-c", "rm", "/usr/local/bin/tar")
    running.on("manager-c", "systemctl", "stop", f"{GUARD}.timer", check=False)


def test_an_engine_stopped_for_a_copy_comes_back_when_everybody_else_is_gone(
    running: Swarm, stack: Stack, hanging: None
) -> None:
    """The copy hangs with the engine stopped; the program on the node is killed, and so is the command."""
    command = ["bin/requorum", "backup", "manager-c", "--cold", "--yes", "--config-file", str(stack.file)]
    with subprocess.Popen(command, env=stack.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as ours:
        running.until(
            lambda: running.on("manager-c", "systemctl", "is-active", "docker", check=False) == "inactive",
            "it is stopped",
        )
        ours.kill()
    running.on("manager-c", "sh", "-c", "pkill -KILL -f [p]yz; pkill -KILL -f [r]unpy; pkill -KILL sleep; true")
    time.sleep(1)
    units = ("systemctl", "is-active", "docker", f"{GUARD}.timer")
    running.until(lambda: "active" in running.on("manager-c", *units, check=False).split(), "systemd will start it")
    if running.on("manager-c", "systemctl", "is-active", "docker", check=False) != "active":
        running.on("manager-c", "systemctl", "start", f"{GUARD}.service")
    running.await_standing(*MANAGERS, *WORKERS)


def test_without_its_quorum_no_engine_is_stopped(running: Swarm, stack: Stack) -> None:
    running.on("manager-c", "systemctl", "stop", "docker.socket", "docker.service")
    before = engine(running, "manager-a")
    refused = stack.requorum("backup", "manager-a", "--cold", "--yes")
    assert refused.status == 1
    assert "code: quorum-at-risk" in refused.errors
    assert engine(running, "manager-a") == before
    running.on("manager-c", "systemctl", "start", "docker.socket", "docker.service")
    running.await_standing(*MANAGERS, *WORKERS)


def test_a_stranger_s_identity_is_noticed_when_the_copy_is_made(running: Swarm, variant: Any, tmp_path: Path) -> None:
    stranger = tmp_path / "identity"
    stranger.write_text(f"{pyrage.x25519.Identity.generate()}\n")
    backup = {**running.stack.settings()["backup"], "identityFile": str(stranger)}
    done = variant(backup=backup).requorum("backup", "--json")
    assert done.status == 1
    assert "code: wrong-identity" in done.errors


@pytest.mark.whole
def test_a_copy_is_not_tried_on_an_older_engine(running: Swarm, stack: Stack) -> None:
    image.ensure(running.lab, "20.10")
    nodes.lose(running.lab, ["worker-2"])
    nodes.make(running.lab, {"worker-2": address(2, 22)}, version="20.10")
    newest = json.loads(requorum(stack, "backups", "--json").text)["copies"][0]
    done = requorum(stack, "drill", newest["name"], "--on", "worker-2", "--json")
    assert done.status != 0
    (drill,) = json.loads(done.text)["drills"]
    assert newest["engine"].startswith(f"{image.DEFAULT}.")
    assert drill["proof"]["verdict"] == "unproven"
    assert "the engine of worker-2 (20.10." in drill["proof"]["detail"]
