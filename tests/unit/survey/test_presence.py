"""What the operator's command, or EC2, says of machines that do not answer."""

from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from recovery.errors import HostError
from recovery.settings import Settings
from recovery.survey import ec2, presence
from recovery.survey.ec2 import Interface, judged
from recovery.swarm.model import NodeReport, Reach
from recovery.swarm.presence import Presence
from tests.unit import factories as make

OF = make.settings()
A, B, C = OF.managers
ANSWERS = """
case $1 in
manager-a) echo stopped ;;
manager-b) echo gone ;;
manager-c) echo running ;;
*) echo unknown ;;
esac
"""


def asking(folder: Path, script: str) -> Settings:
    command = folder / "presence"
    command.write_text(f"#!/bin/sh\n{script}")
    command.chmod(0o755)
    hosts = OF.hosts.model_copy(update={"driver": "existing", "presence": (str(command), "{name}", "{address}")})
    return OF.model_copy(update={"hosts": hosts})


def told(settings: Settings, *reports: NodeReport) -> Mapping[str, NodeReport]:
    return {report.node.name: report for report in presence.told(settings, reports)}


def test_a_command_tells_of_silent_machines_only(tmp_path: Path) -> None:
    well = make.empty(OF.workers[1])
    found = told(asking(tmp_path, ANSWERS), *map(make.silent, (A, B, C, OF.workers[0])), well)
    assert found["manager-a"].reach is Reach.STOPPED
    assert (found["manager-b"].reach, found["manager-b"].known_lost) == (Reach.NAMED, True)
    assert found["manager-b"].named == f"gone, says {tmp_path}/presence"
    assert found["manager-c"].reach is Reach.SILENT
    assert "its machine runs" in found["manager-c"].detail
    assert found[OF.workers[0].name].reach is Reach.SILENT
    assert found[well.node.name] == well


def test_one_call_may_be_asked_about_all_silent_machines(tmp_path: Path) -> None:
    script = f'echo "$@" >> {tmp_path}/calls; echo "$1 gone"; echo "$3 running"'
    of = asking(tmp_path, script)
    command = (of.hosts.presence[0], "{addresses}")
    of = of.model_copy(update={"hosts": of.hosts.model_copy(update={"presence": command})})
    found = told(of, *map(make.silent, (A, B, C)))
    assert (tmp_path / "calls").read_text().splitlines() == [f"{A.address} {B.address} {C.address}"]
    assert found["manager-a"].reach is Reach.NAMED
    assert (found["manager-b"].reach, "said ''" in found["manager-b"].detail) == (Reach.SILENT, True)
    assert "its machine runs" in found["manager-c"].detail
    failing = asking(tmp_path, "exit 1")
    failing = failing.model_copy(update={"hosts": failing.hosts.model_copy(update={"presence": command})})
    assert {report.reach for report in told(failing, *map(make.silent, (A, B))).values()} == {Reach.SILENT}


def test_a_machine_that_is_gone_is_made_again_where_updates_make_machines(tmp_path: Path) -> None:
    of = asking(tmp_path, ANSWERS)
    of = of.model_copy(update={"hosts": of.hosts.model_copy(update={"driver": "program"})})
    found = told(of, make.silent(A), make.silent(B))
    assert found["manager-a"].reach is Reach.STOPPED
    assert (found["manager-b"].reach, found["manager-b"].named) == (Reach.ABSENT, "")
    assert found["manager-b"].detail == f"gone, says {tmp_path}/presence"


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo lost", "none of running, stopped, gone, unknown"),
        ("echo gone; exit 3", "exit status 3: gone"),
        ("echo no credentials >&2; exit 1", "no credentials"),
        ("", "said ''"),
    ],
)
def test_a_command_that_fails_says_nothing_of_the_machine(tmp_path: Path, script: str, why: str) -> None:
    found = told(asking(tmp_path, script), make.silent(A))["manager-a"]
    assert found.reach is Reach.SILENT
    assert why in found.detail


def test_a_command_that_cannot_be_run_or_does_not_end_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "SECONDS", 0.2)
    slow = told(asking(tmp_path, "exec sleep 5"), make.silent(A))["manager-a"]
    assert (slow.reach, "did not end within 0.2 s" in slow.detail) == (Reach.SILENT, True)
    (tmp_path / "presence").chmod(0o644)
    settings = asking(tmp_path, ANSWERS)
    (tmp_path / "presence").unlink()
    assert "cannot be run" in told(settings, make.silent(A))["manager-a"].detail


def interfaces(**states: str) -> list[Interface]:
    return [Interface(IPv4Address(f"10.0.0.{name[1:]}"), "vpc-1", state) for name, state in states.items()]


ONE, TWO, THREE = (IPv4Address(f"10.0.0.{last}") for last in (1, 2, 3))


@pytest.mark.parametrize(
    ("found", "of_one"),
    [
        ([], Presence.UNKNOWN),
        (interfaces(n1="running"), Presence.PRESENT),
        (interfaces(n1="stopping"), Presence.STOPPED),
        (interfaces(n1="terminated"), Presence.GONE),
        (interfaces(n1=""), Presence.GONE),
        (interfaces(n2="running"), Presence.GONE),
        (interfaces(n2="terminated"), Presence.UNKNOWN),
        ([*interfaces(n2="running"), Interface(ONE, "vpc-2", "running")], Presence.UNKNOWN),
        ([*interfaces(n2="running", n3="running"), Interface(ONE, "vpc-2", "running")], Presence.GONE),
    ],
    ids=[
        "nothing is known here",
        "running",
        "stopped",
        "terminated, its interface not yet gone",
        "its interface waits for another instance",
        "its interface is gone and others are there",
        "nothing of the cluster lives here",
        "one node in each of two networks",
        "another network has the same address",
    ],
)
def test_an_instance_is_gone_only_where_the_cluster_is(found: list[Interface], of_one: Presence) -> None:
    assert judged([ONE, TWO, THREE], found)[ONE] is of_one


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in (("ACCESS_KEY_ID", "t"), ("SECRET_ACCESS_KEY", "t"), ("DEFAULT_REGION", "eu-central-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    with mock_aws():
        yield boto3.client("ec2", region_name="eu-central-1")


def test_ec2_tells_of_instances_at_fixed_addresses(cloud: Any) -> None:
    vpc = cloud.create_vpc(CidrBlock="10.77.0.0/16")["Vpc"]["VpcId"]
    image = cloud.describe_images()["Images"][0]["ImageId"]
    made = {}
    for node in (A, B, C):
        block = f"10.77.{str(node.address).split('.')[2]}.0/24"
        subnet = cloud.create_subnet(VpcId=vpc, CidrBlock=block)["Subnet"]["SubnetId"]
        card = cloud.create_network_interface(SubnetId=subnet, PrivateIpAddress=str(node.address))
        cards = [{"DeviceIndex": 0, "NetworkInterfaceId": card["NetworkInterface"]["NetworkInterfaceId"]}]
        run = cloud.run_instances(ImageId=image, MinCount=1, MaxCount=1, NetworkInterfaces=cards)
        made[node.name] = run["Instances"][0]["InstanceId"]
    cloud.stop_instances(InstanceIds=[made["manager-b"]])
    cloud.terminate_instances(InstanceIds=[made["manager-c"]])
    hosts = OF.hosts.model_copy(update={"driver": "existing", "presence": "ec2"})
    found = told(OF.model_copy(update={"hosts": hosts}), *map(make.silent, OF.managers))
    assert [found[node.name].reach for node in OF.managers] == [Reach.SILENT, Reach.STOPPED, Reach.NAMED]
    assert found["manager-c"].named == "gone, says EC2"


def test_without_rights_ec2_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    with pytest.raises(HostError, match=r"credentials(?s:.*)code: host-engine-failed"):
        ec2.presence([ONE])
    hosts = OF.hosts.model_copy(update={"driver": "existing", "presence": "ec2"})
    found = told(OF.model_copy(update={"hosts": hosts}), make.silent(A))["manager-a"]
    assert found.reach is Reach.SILENT
    assert "asking EC2" in found.detail
