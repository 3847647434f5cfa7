"""Each cloud driver under Pulumi's mocks: fixed addresses, zones, the host key, and what it knows of machines.

`make examples` runs each with the SDK of its cloud (`-k NAME`).
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

import boto3
import pytest
import yaml
from moto import mock_aws

from components.hosts.driver import presence
from tests.examples.declared import OF, USER_DATA, Declared, declared, module

Found = list[Declared]
ADDRESSES = [str(node.address) for node in OF.managers]
NAMES = [f"lab-{address.replace('.', '-')}" for address in ADDRESSES]


@dataclass(frozen=True)
class Case:
    """How one cloud has what every driver must have."""

    driver: str
    machine: str
    """The type of the resource that is the machine."""
    address: Callable[[Found, str], Any]
    """The address that a machine gets."""
    zone: Callable[[Declared], Any]
    zones: tuple[str, str, str]
    data: Callable[[Declared], Any]
    of_data: str
    """The type of the resource, and the input of it, that has the user data."""
    at: str
    ignored: frozenset[str]
    """What no change of may replace every machine at once."""
    image: str = "IMAGE"


def one(found: Found, type_: str, address: str) -> Declared:
    (resource,) = (each for each in found if each.type == type_ and each.name.startswith(f"{address}-"))
    return resource


INSTANCE, INTERFACE = "aws:ec2/instance:Instance", "aws:ec2/networkInterface:NetworkInterface"
DROPLET = "digitalocean:index/droplet:Droplet"
COMPUTE, STATIC = "gcp:compute/instance:Instance", "gcp:compute/address:Address"
SERVER = "hcloud:index/server:Server"
DOMAIN, DISK = "libvirt:index/domain:Domain", "libvirt:index/cloudInitDisk:CloudInitDisk"


def of_libvirt(found: Found, address: str) -> Any:
    config = yaml.safe_load(one(found, DISK, address).inputs["networkConfig"])
    return config["ethernets"]["wired"]["addresses"][0].partition("/")[0]


CASES: Mapping[str, Case] = {
    "hetzner": Case(
        "Hetzner",
        SERVER,
        lambda found, address: one(found, SERVER, address).inputs["networks"][0]["ip"],
        lambda server: server.inputs["location"],
        ("fsn1", "nbg1", "hel1"),
        lambda server: server.inputs["userData"],
        SERVER,
        "userData",
        frozenset({"image", "userData"}),
    ),
    "digitalocean": Case(
        "DigitalOcean",
        DROPLET,
        lambda found, address: one(
            found, "digitalocean:index/reservedIpAssignment:ReservedIpAssignment", address
        ).inputs["ipAddress"],
        lambda droplet: droplet.inputs["region"],
        ("ams3", "fra1", "lon1"),
        lambda droplet: droplet.inputs["userData"],
        DROPLET,
        "userData",
        frozenset({"image", "userData"}),
    ),
    "google": Case(
        "Google",
        COMPUTE,
        lambda found, address: one(found, COMPUTE, address).inputs["networkInterfaces"][0]["networkIp"],
        lambda instance: instance.inputs["zone"],
        ("europe-west1-b", "europe-west1-c", "europe-west1-d"),
        lambda instance: instance.inputs["metadata"]["user-data"],
        COMPUTE,
        "metadata",
        frozenset({"bootDisk", "metadata"}),
    ),
    "aws": Case(
        "Aws",
        INSTANCE,
        lambda found, address: one(found, INTERFACE, address).inputs["privateIps"][0],
        lambda instance: instance.name,
        tuple(f"{address}-instance" for address in ADDRESSES),  # type: ignore[arg-type]
        lambda instance: instance.inputs["userData"],
        INSTANCE,
        "userData",
        frozenset({"ami", "userData"}),
        "AMI",
    ),
    "libvirt": Case(
        "Libvirt",
        DOMAIN,
        of_libvirt,
        lambda domain: domain.request.provider.split("::")[-2],
        ("host-a", "host-b", "host-c"),
        lambda disk: disk.inputs["userData"],
        DISK,
        "userData",
        frozenset(),
    ),
}


@pytest.fixture(params=CASES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def case(name: str) -> Case:
    return CASES[name]


@pytest.fixture
def driver(name: str, case: Case) -> Any:
    return getattr(module(name), case.driver)("lab")


def test_each_machine_has_the_address_of_its_node_in_the_zone_of_its_node(
    driver: Any, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, identities = declared(driver, monkeypatch)
    machines = [one(found, case.machine, address) for address in ADDRESSES]
    assert [case.address(found, address) for address in ADDRESSES] == ADDRESSES
    assert tuple(map(case.zone, machines)) == case.zones
    assert identities.keys() == {node.name for node in OF.nodes}
    assert len(set(identities.values())) == len(OF.nodes)


def test_a_machine_that_is_replaced_gets_its_address_again(
    name: str, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old machine is deleted first, and what holds the address does not depend on what a machine is made of."""
    made = module(name)
    before, _ = declared(getattr(made, case.driver)("lab"), monkeypatch)
    monkeypatch.setattr(made, case.image, "another")
    after, _ = declared(getattr(made, case.driver)("lab"), monkeypatch)
    assert [case.address(after, address) for address in ADDRESSES] == ADDRESSES
    changed = {new.type for old, new in zip(before, after, strict=True) if old.inputs != new.inputs}
    assert len(changed) == 1
    assert all(one(after, case.machine, address).request.deleteBeforeReplace for address in ADDRESSES)
    assert [each.name for each in before] == [each.name for each in after]


def test_neither_a_new_image_nor_new_user_data_replaces_every_machine(
    driver: Any, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, _ = declared(driver, monkeypatch)
    for address in ADDRESSES:
        of_data = one(found, case.of_data, address).request.ignoreChanges
        assert case.at in of_data
        assert case.ignored <= set(one(found, case.machine, address).request.ignoreChanges)


def test_the_user_data_have_the_host_key_and_are_secret(
    driver: Any, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, _ = declared(driver, monkeypatch)
    for node in OF.managers:
        resource = one(found, case.of_data, str(node.address))
        assert case.at in resource.secrets
        assert case.data(resource).startswith(USER_DATA[str(node.address)])
        assert f"key of {node.name}" in case.data(resource)


TOOLS = {
    "hetzner": (
        "hcloud",
        {"list": json.dumps([{"name": NAMES[0], "status": "running"}, {"name": NAMES[1], "status": "off"}])},
        f"server delete {NAMES[0]}",
    ),
    "digitalocean": (
        "doctl",
        {"list": json.dumps([{"name": NAMES[0], "status": "active"}, {"name": NAMES[1], "status": "off"}])},
        f"compute droplet delete {NAMES[0]} --force",
    ),
    "google": (
        "gcloud",
        {
            "--format=json": json.dumps(
                [{"name": NAMES[0], "status": "RUNNING"}, {"name": NAMES[1], "status": "TERMINATED"}]
            ),
            "--format=value": "europe-west1-b",
        },
        f"compute instances delete {NAMES[0]} --zone=europe-west1-b --quiet",
    ),
    "libvirt": (
        "virsh",
        {"host-a/system list --all": f"{NAMES[0]}\n\n", "host-a/system list --name": f"{NAMES[0]}\n\n",
         "host-b/system list --all": f"{NAMES[1]}\n\n"},
        f"--connect qemu+ssh://root@host-a/system undefine {NAMES[0]} --remove-all-storage",
    ),
}  # fmt: skip
"""The tool of each cloud, what it prints by a part of its arguments, and the last call that removes a machine."""


def tool(folder: Path, name: str, *, status: int = 0) -> Path:
    """The tool on PATH, which notes each call."""
    called, answers, _ = TOOLS[name]
    cases = "".join(f"*'{part}'*) printf '%s' '{text}';;\n" for part, text in answers.items())
    (folder / called).write_text(f'#!/bin/sh\necho "$*" >> {folder}/calls\ncase "$*" in\n{cases}esac\nexit {status}\n')
    (folder / called).chmod(0o755)
    return folder / "calls"


@pytest.mark.parametrize("name", TOOLS, indirect=True)
def test_a_machine_that_is_not_listed_is_gone(
    name: str, driver: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = tool(tmp_path, name)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert [line.split()[1] for line in presence(driver, ADDRESSES)] == ["running", "stopped", "gone"]
    driver.fence(NAMES[0])
    assert calls.read_text().splitlines()[-1] == TOOLS[name][2]


@pytest.mark.parametrize("name", TOOLS, indirect=True)
def test_nothing_is_said_of_a_machine_if_the_cloud_does_not_answer(
    name: str, driver: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool(tmp_path, name, status=1)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(CalledProcessError):
        presence(driver, ADDRESSES)
    with pytest.raises(CalledProcessError):
        driver.fence(NAMES[0])


@pytest.mark.parametrize("name", ["aws"], indirect=True)
def test_an_instance_that_is_terminated_or_was_never_made_is_gone(driver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "DEFAULT_REGION": "eu-central-1"}.items():
        monkeypatch.setenv(f"AWS_{key}", value)
    with mock_aws():
        client = boto3.client("ec2")
        (image, *_) = client.describe_images()["Images"]
        ids = []
        for called in NAMES[:2]:
            tags = [{"Key": "Name", "Value": called}, {"Key": "cluster", "Value": "lab"}]
            made = client.run_instances(
                ImageId=image["ImageId"],
                MinCount=1,
                MaxCount=1,
                TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
            )
            ids.append(made["Instances"][0]["InstanceId"])
        client.stop_instances(InstanceIds=ids[1:])
        assert [line.split()[1] for line in presence(driver, ADDRESSES)] == ["running", "stopped", "gone"]
        driver.fence(NAMES[0])
        assert presence(driver, ADDRESSES[:1]) == [f"{ADDRESSES[0]} gone"]


@pytest.mark.parametrize("name", ["aws"], indirect=True)
def test_each_zone_is_a_subnet_and_the_address_outlives_its_instance(
    driver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, _ = declared(driver, monkeypatch)
    interfaces = [one(found, INTERFACE, address) for address in ADDRESSES]
    assert [each.inputs["subnetId"][7] for each in interfaces] == ["0", "0", "0"]
    assert [each.inputs["subnetId"][8] for each in interfaces] == ["a", "b", "c"]
    for address in ADDRESSES:
        assert f"{address}-instance" not in {
            d.rpartition("::")[2] for d in one(found, INTERFACE, address).request.dependencies
        }
        primary = one(found, INSTANCE, address).inputs["primaryNetworkInterface"]["networkInterfaceId"]
        assert primary
