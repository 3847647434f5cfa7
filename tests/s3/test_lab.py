"""The lab's S3 server: its nodes have a key of their own, which does what an agent does and nothing else."""

import os
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from lab import cluster, network, s3
from lab.instance import Instance
from lab.stack import Stack, settings, with_agents
from recovery.s3 import lease
from recovery.s3.store import Store
from recovery.settings import load
from tests.s3.conftest import program
from tests.s3.servers import Versitygw


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Instance]:
    """A lab with an S3 server on an address of this process's own, and without anything else."""
    process = os.getpid()
    address = IPv4Address(f"127.{process >> 16 & 255}.{process >> 8 & 255}.{process & 255}") + (1 << 16)
    monkeypatch.setattr(Instance, "host_link", address)
    monkeypatch.setattr(network, "has_ipv6", lambda _: False)  # the lab's address of that family is on its bridge
    monkeypatch.setenv("VERSITYGW", str(program(Versitygw)))
    instance = Instance(base=tmp_path)
    s3.start(instance)
    yield instance
    s3.stop(instance)


@pytest.fixture
def stack(lab: Instance, tmp_path: Path) -> Stack:
    """The stack of `make up`."""
    made = Stack(lab, file=tmp_path / "Pulumi.lab.yaml")
    made.write(with_agents(lab, settings(lab)))
    return made


@pytest.fixture
def nodes(lab: Instance, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client with the key that agents are given, which from here on is this process's too."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(lab.nodes_credentials_file))
    config = Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required")
    return boto3.client("s3", endpoint_url=lab.s3_endpoint, region_name=s3.REGION, config=config)


def test_the_nodes_store_copies_with_a_key_of_their_own(lab: Instance, stack: Stack, nodes: Any) -> None:
    cluster.admit(lab, stack)
    found = load(stack.file)
    assert found.agent
    assert found.agent.credentials_file == lab.nodes_credentials_file
    folder = f"{found.backup.prefix}/{found.cluster}"
    nodes.put_object(Bucket=lab.bucket, Key=f"{folder}/manager-a/swarm-1.manifest.json", Body=b"{}")
    agents_view = Store([replace(site, write_only=True) for site in found.backup.sites])
    with lease.Leases().hold(agents_view, f"{folder}/agent/lease.json", "copying", by="a test", say=print):
        assert agents_view.look(f"{folder}/agent/lease.json")


def test_the_nodes_may_do_nothing_else(lab: Instance, stack: Stack, nodes: Any) -> None:
    key = f"{load(stack.file).backup.prefix}/lab/manager-a/swarm-1.manifest.json"
    before = {"store a copy before they are let": lambda: nodes.put_object(Bucket=lab.bucket, Key=key, Body=b"x")}
    after = {
        "list": lambda: nodes.list_objects_v2(Bucket=lab.bucket),
        "delete": lambda: nodes.delete_object(Bucket=lab.bucket, Key=key),
        "write elsewhere": lambda: nodes.put_object(Bucket=lab.bucket, Key="elsewhere", Body=b"x"),
    }
    for forbidden in (before, after):
        for what, act in forbidden.items():
            with pytest.raises(ClientError) as caught:
                act()
            assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403, what
        cluster.admit(lab, stack)
