"""Asks EC2 whether the instances at fixed private addresses run, are stopped, or are gone."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from recovery.errors import HostError
from recovery.swarm.address import Address
from recovery.swarm.presence import Presence

RUNNING = frozenset({"pending", "running"})
OFF = frozenset({"stopping", "stopped"})
"""States of an instance (EC2, InstanceState). The others are of one that is terminated."""
SECONDS = 5
ADDRESS = "addresses.private-ip-address"


@dataclass(frozen=True)
class Interface:
    """A network interface with one of the addresses, and the state of the instance that has it; empty if none has."""

    address: Address
    vpc: str
    state: str


def presence(addresses: Sequence[Address]) -> Mapping[Address, Presence]:
    """The presence of the instance at each address, in the region and account of the usual AWS configuration.

    EC2 is asked by private IPv4 addresses. What stands at an IPv6 address is not known. Raises: HostError.
    """
    asked = [address for address in addresses if address.version == 4]
    unknown = dict.fromkeys(addresses, Presence.UNKNOWN)
    return {**unknown, **_presence(asked)} if asked else unknown


def _presence(addresses: Sequence[Address]) -> Mapping[Address, Presence]:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    limits = Config(connect_timeout=SECONDS, read_timeout=SECONDS, retries={"total_max_attempts": 2})
    try:
        client = boto3.client("ec2", config=limits)
        wanted = [{"Name": ADDRESS, "Values": [str(address) for address in addresses]}]
        pages = client.get_paginator("describe_network_interfaces").paginate(Filters=wanted)
        interfaces = [entry for page in pages for entry in page["NetworkInterfaces"]]
        attached = [i["Attachment"]["InstanceId"] for i in interfaces if (i.get("Attachment") or {}).get("InstanceId")]
        states = {}
        if attached:
            listed = client.get_paginator("describe_instances").paginate(
                Filters=[{"Name": "instance-id", "Values": sorted(set(attached))}]
            )
            states = {
                instance["InstanceId"]: instance["State"]["Name"]
                for page in listed
                for reservation in page["Reservations"]
                for instance in reservation["Instances"]
            }
    except (BotoCoreError, ClientError) as error:
        raise HostError(
            "asking EC2 for the instances",
            str(error),
            remedy="check AWS_REGION and the rights ec2:DescribeInstances and ec2:DescribeNetworkInterfaces",
            code="host-engine-failed",
        ) from None
    return judged(addresses, _read(interfaces, states))


def judged(addresses: Sequence[Address], interfaces: Iterable[Interface]) -> Mapping[Address, Presence]:
    """The presence at each address, as far as the interfaces tell.

    Private addresses occur in several networks. The cluster's is the one in which most of its nodes are. An instance is gone
    if its address is free there, and only while another node of the cluster is there: else this may be another account or
    region.
    """
    found = tuple(interfaces)
    placed = Counter(vpc for vpc, _ in {(one.vpc, one.address) for one in found})
    (vpc, _), *rest = placed.most_common(2) or [("", 0)]
    if not vpc or (rest and rest[0][1] == placed[vpc]):
        return dict.fromkeys(addresses, Presence.UNKNOWN)
    there = {one.address: one.state for one in found if one.vpc == vpc}
    lives = any(state in RUNNING | OFF for state in there.values())

    def of(address: Address) -> Presence:
        state = there.get(address, "")
        if state in RUNNING:
            return Presence.PRESENT
        if state in OFF:
            return Presence.STOPPED
        return Presence.GONE if address in there or lives else Presence.UNKNOWN

    return {address: of(address) for address in addresses}


def _read(interfaces: Iterable[Mapping[str, Any]], states: Mapping[str, str]) -> Iterable[Interface]:
    for entry in interfaces:
        instance = (entry.get("Attachment") or {}).get("InstanceId", "")
        for address in entry.get("PrivateIpAddresses") or [{"PrivateIpAddress": entry["PrivateIpAddress"]}]:
            yield Interface(
                ip_address(address["PrivateIpAddress"]), str(entry.get("VpcId", "")), states.get(instance, "")
            )
