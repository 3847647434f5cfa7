"""Bad input and unsafe situations: each refused at preview, with the key or node and the remedy. The tests run in order."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from lab import faults, nodes
from lab.stack import Stack
from recovery.errors import RequorumError
from tests import listing
from tests.lab.conftest import Variant
from tests.lab.here import gate, requorum
from tests.lab.place import OCTET, address
from tests.lab.swarm import MANAGERS, WORKERS, Swarm


def refused(stack: Stack, *said: str) -> str:
    """Refused by the gate that the program begins with."""
    with pytest.raises(RequorumError) as found:
        gate(stack)
    return told(str(found.value), *said)


def refused_by_pulumi(stack: Stack, *said: str) -> str:
    shown = stack.preview("--refresh=false", check=False)  # the look is the program's; a refresh only takes longer
    assert shown.status != 0, shown.text
    assert "Traceback" not in shown.text
    return told(shown.text, *said)


def told(text: str, *said: str) -> str:
    for words in said:
        assert words in text, text
    assert "next:" in text
    return text


def node(third: int, fourth: int, **more: str) -> dict[str, str]:
    return {"address": address(third, fourth), **more}


MANAGER_NODES = [node(1, 11), node(2, 12), node(3, 13)]
SETTINGS: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("even managers", {"managers": [*MANAGER_NODES, node(1, 14)]}, ("requorum:managers", "1, 3, 5, 7 or 9")),
    ("duplicate address", {"workers": [node(1, 11)]}, ("requorum:workers[0].address", "manager-a")),
    (
        "outside the subnet",
        {"workers": [{"address": "10.200.1.1"}]},
        ("requorum:workers[0].address", f"10.{OCTET}.0.0/16"),
    ),
    ("unknown zone", {"workers": [node(1, 21, zone="d")]}, ("requorum:workers[0].zone", "a, b, c")),
    ("no bucket", {"backup": {"prefix": "refusals"}}, ("requorum:backup.bucket", "is not set", "stack file")),
]


@pytest.mark.parametrize(("changes", "said"), [row[1:] for row in SETTINGS], ids=[row[0] for row in SETTINGS])
def test_settings(swarm: Swarm, variant: Variant, changes: dict[str, Any], said: tuple[str, ...]) -> None:
    refused(variant(**changes), *said)


def test_what_the_gate_says_is_what_pulumi_shows(swarm: Swarm, variant: Variant) -> None:
    _, changes, said = SETTINGS[0]
    shown = refused_by_pulumi(variant(**changes), *said)
    assert not [line for line in refused(variant(**changes), *said).splitlines() if line.strip() not in shown]


def test_a_bucket_that_does_not_exist(swarm: Swarm, variant: Variant) -> None:
    backup = swarm.stack.settings()["backup"]
    refused(variant(backup={**backup, "bucket": "nowhere"}), "NoSuchBucket", "requorum:backup.bucket")


def test_s3_that_cannot_be_reached(swarm: Swarm, variant: Variant) -> None:
    backup = swarm.stack.settings()["backup"]
    refused(
        variant(backup={**backup, "endpoint": f"http://{swarm.lab.host_link}:7999"}),
        "cannot be reached",
        "requorum:backup.endpoint",
    )


@pytest.mark.parametrize(
    ("wrong", "said"), [("aws_access_key_id", "access key"), ("aws_secret_access_key", "secret key")]
)
def test_a_wrong_s3_key(
    swarm: Swarm, variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str, said: str
) -> None:
    lines = swarm.lab.credentials_file.read_text().splitlines()
    file = tmp_path / "credentials"
    file.write_text("\n".join(f"{wrong} = wrongwrongwrongwrong" if line.startswith(wrong) else line for line in lines))
    stack = variant()
    monkeypatch.setattr(
        stack, "environment", lambda: {**Stack.environment(stack), "AWS_SHARED_CREDENTIALS_FILE": str(file)}
    )
    refused(stack, said)


def test_ssh_refused(swarm: Swarm) -> None:
    swarm.on("manager-c", "systemctl", "stop", "ssh.socket", "ssh.service", check=False)
    try:
        refused_by_pulumi(swarm.stack, "manager-c", "code: ssh-refused", f"start sshd on {address(3, 13)}")
    finally:
        swarm.on("manager-c", "systemctl", "start", "ssh")


def test_a_changed_host_key(swarm: Swarm, variant: Variant, tmp_path: Path) -> None:
    lines = {
        line.split()[0].strip("[]").split("]")[0]: line
        for line in swarm.lab.known_hosts.read_text().splitlines()
        if line.strip()
    }
    first, second = address(1, 11), address(2, 12)
    pinned = tmp_path / "known_hosts"
    swapped = lines[first].replace(first, second)
    pinned.write_text("\n".join(swapped if address == second else line for address, line in lines.items()) + "\n")
    ssh = swarm.stack.settings()["ssh"]
    refused(variant(ssh={**ssh, "knownHostsFile": str(pinned)}), "manager-b", "code: host-key-changed", str(pinned))


def test_a_key_that_the_nodes_do_not_know(swarm: Swarm, variant: Variant) -> None:
    ssh = swarm.stack.settings()["ssh"]
    strange = swarm.lab.identity("manager-a") / "ssh_host_ed25519_key"
    refused(variant(ssh={**ssh, "privateKeyFile": str(strange)}), "code: access-denied")


def test_a_node_container_is_rebooted(swarm: Swarm) -> None:
    started = swarm.on("manager-b", "stat", "--format", "%Y", "/proc/1")
    done = swarm.stack.requorum("reboot", "manager-b", "--yes")
    assert done.status == 0, done.errors
    assert swarm.on("manager-b", "stat", "--format", "%Y", "/proc/1") != started
    swarm.await_standing(*MANAGERS, *WORKERS, manager="manager-a")


def test_a_node_that_went_to_another_swarm(swarm: Swarm) -> None:
    swarm.on("worker-2", "docker", "swarm", "leave", "--force")
    swarm.on("worker-2", "docker", "swarm", "init", "--advertise-addr", address(2, 22))
    try:
        refused(swarm.stack, "foreign", f"worker-2 ({address(2, 22)}) belongs to swarm", "swarm leave --force")
    finally:
        swarm.on("worker-2", "docker", "swarm", "leave", "--force")
    swarm.stack.up("--skip-preview")
    swarm.until(lambda: swarm.nodes()["worker-2"]["Status"] == "Ready", "it is a worker again")


def test_a_silent_manager_is_not_taken_for_lost(swarm: Swarm, variant: Variant) -> None:
    """Two are gone, the third is frozen: it may hold the newest log, so nothing is restored beside it."""
    nodes.lose(swarm.lab, MANAGERS[:2])
    faults.pause(swarm.lab, ["manager-c"])
    try:
        refused(variant(recover=True), "manager-c", "code: silent-manager")
    finally:
        faults.unpause(swarm.lab, ["manager-c"])
    refused(swarm.stack, "forces a new cluster from manager-c", "pulumi up --config recover=r", "code: consent-needed")


def test_the_docker_driver_fences_by_removing_container_and_volume(swarm: Swarm, variant: Variant) -> None:
    faults.pause(swarm.lab, ["manager-c"])
    stack = variant(recover=True)
    kept = stack.requorum("fence", "manager-c", "--yes")
    assert kept.status != 0
    assert "code: may-hold-swarm" in kept.errors
    assert swarm.has_volume("manager-c-docker")
    done = stack.requorum("fence", "manager-c", "--yes", "--force")
    assert done.status == 0, done.errors
    assert [node.name for node in nodes.existing(swarm.lab)] == list(WORKERS)
    assert not swarm.has_volume("manager-c-docker")
    assert re.search(r"manager-c \S+ declared lost \d+ min ago by ", requorum(swarm.stack, "status").text)
    assert "restores the swarm from the copy swarm-" in requorum(swarm.stack, "plan").errors


def test_no_copy_of_this_cluster(swarm: Swarm, variant: Variant) -> None:
    backup = swarm.stack.settings()["backup"]
    refused(variant(recover=True, backup={**backup, "prefix": "empty"}), "code: no-good-copy", "requorum:backup")


@pytest.fixture
def objects(swarm: Swarm, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The bucket itself, and the keys of the archives, newest first."""
    for key, value in swarm.stack.environment().items():
        monkeypatch.setenv(key, value)
    return boto3.client("s3", endpoint_url=swarm.lab.s3_endpoint, region_name="us-east-1")


def archives(swarm: Swarm, objects: Any) -> list[str]:
    """The keys of the archives, those first whose logs are committed furthest: the tests take all copies within minutes."""
    prefix, bucket = swarm.stack.settings()["backup"]["prefix"], swarm.lab.bucket
    found = listing.keys(objects, bucket, prefix + "/")

    def reach(key: str) -> tuple[int, int, str]:
        manifest = key.removesuffix(".tar.zst.age") + ".manifest.json"
        position = json.loads(objects.get_object(Bucket=bucket, Key=manifest)["Body"].read())["position"]
        return position["term"], position["commit"], key.rsplit("-", 1)[1]

    return sorted((key for key in found if key.endswith(".tar.zst.age")), key=reach, reverse=True)


def test_truncated_and_altered_copies_are_skipped_and_said_so(swarm: Swarm, variant: Variant, objects: Any) -> None:
    newest, second, third, *_ = archives(swarm, objects)
    bucket = swarm.lab.bucket
    content = {key: objects.get_object(Bucket=bucket, Key=key)["Body"].read() for key in (newest, second)}
    objects.put_object(Bucket=bucket, Key=newest, Body=content[newest][: len(content[newest]) // 2])
    middle = len(content[second]) // 2
    altered = content[second][:middle] + bytes([content[second][middle] ^ 1]) + content[second][middle + 1 :]
    objects.put_object(Bucket=bucket, Key=second, Body=altered)
    shown = "\n".join(gate(variant(recover=True)).plan.lines)
    names = [key.rsplit("/", 1)[1].removesuffix(".tar.zst.age") for key in (newest, second, third)]
    torn = f"{len(content[newest]) // 2} of {len(content[newest])} bytes are there"
    assert f"skipped {names[0]}: {torn}" in shown
    assert f"skipped {names[1]}: the object's SHA-256" in shown
    assert f"restore the swarm from {names[2]}" in shown


def test_when_every_copy_is_damaged_nothing_is_restored(swarm: Swarm, variant: Variant, objects: Any) -> None:
    for key in archives(swarm, objects):
        objects.put_object(Bucket=swarm.lab.bucket, Key=key, Body=b"")
    refused(variant(recover=True), "code: no-good-copy", "the object has 0 bytes")


def test_nothing_listens_where_the_tests_said_nothing_does(swarm: Swarm) -> None:
    with socket.socket() as probe:
        assert probe.connect_ex((str(swarm.lab.host_link), 7999)) != 0
