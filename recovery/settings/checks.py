"""Whether the nodes of a cluster fit together. Each check raises a SettingError for the first thing that is wrong."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network

from recovery.errors import SettingError
from recovery.settings import placement
from recovery.settings.hosts import Hosts
from recovery.swarm.machines import Node


def check_managers(managers: Sequence[Node], zone_names: Sequence[str]) -> None:
    """That the quorum survives the loss of any zone."""
    count = len(managers)
    if count not in placement.MANAGER_COUNTS:
        raise SettingError(
            "managers",
            f"{count} managers are given; an even number tolerates no more losses than one fewer"
            if count % 2 == 0
            else f"{count} managers are given",
            remedy="give 3, 5, 7 or 9 managers",
        )
    if len(zone_names) != len(set(zone_names)) or len(zone_names) < 3:
        raise SettingError("zones", "three different zones are needed", remedy="name three zones, such as [a, b, c]")
    if not placement.survives_any_zone([manager.zone for manager in managers]):
        raise SettingError(
            "managers",
            "losing one zone would lose the quorum",
            remedy="spread the managers (3 = 1-1-1, 5 = 2-2-1, 7 = 3-2-2, 9 = 3-3-3), or leave `zone` out",
        )


def check_nodes(
    managers: Sequence[Node], workers: Sequence[Node], zone_names: Sequence[str], subnet: IPv4Network
) -> None:
    """That each node is in a known zone, at an address of the subnet, and has name and addresses for itself."""
    seen_names: dict[str, str] = {}
    seen_addresses: dict[IPv4Address, str] = {}
    dialled: dict[str, str] = {}
    for group, members in (("managers", managers), ("workers", workers)):
        for index, node in enumerate(members):
            key = f"{group}[{index}]"
            if node.zone not in zone_names:
                raise SettingError(
                    f"{key}.zone",
                    f"zone {node.zone!r} is unknown",
                    remedy=f"use one of {', '.join(zone_names)}, or add it to requorum:zones",
                )
            if node.address not in subnet:
                raise SettingError(
                    f"{key}.address",
                    f"{node.address} is not in requorum:subnet {subnet}",
                    remedy="give an address of the subnet, or correct the subnet",
                )
            if node.address in seen_addresses:
                raise SettingError(
                    f"{key}.address",
                    f"{node.address} is already the address of {seen_addresses[node.address]}",
                    remedy="give every node an address of its own",
                )
            if node.name in seen_names:
                raise SettingError(
                    f"{key}.name",
                    f"{node.name} is already the name of {seen_names[node.name]}",
                    remedy="give every node a name of its own",
                )
            if node.dial in dialled:
                raise SettingError(
                    f"{key}.sshAddress",
                    f"{dialled[node.dial]} is reached at {node.dial} too",
                    remedy="give every node an address of its own",
                )
            if node.address in (subnet.network_address, subnet.broadcast_address):
                raise SettingError(
                    f"{key}.address",
                    f"{node.address} is not a machine's address",
                    remedy="give another address of the subnet",
                )
            dialled[node.dial] = node.name
            seen_names[node.name] = key
            seen_addresses[node.address] = node.name


def check_docker_hosts(hosts: Hosts, nodes: Sequence[Node]) -> None:
    """That the docker driver knows what it makes of a node, and on which engine."""
    if not hosts.image:
        raise SettingError(
            "hosts.image", "the docker driver needs the image of a node", remedy="set requorum:hosts.image"
        )
    if hosts.identities is None:
        raise SettingError(
            "hosts.identities",
            "the docker driver needs the folder with each node's SSH host key",
            remedy="set requorum:hosts.identities to a folder with one folder per node",
        )
    for node in nodes:
        if not hosts.endpoint_of(node.zone):
            raise SettingError(
                "hosts.endpoint",
                f"no Docker engine is given for zone {node.zone}",
                remedy="set requorum:hosts.endpoint, or the zone's in requorum:hosts.endpoints",
            )
