"""Whether the nodes of a cluster fit together. The checks collect their faults, so that all of them are shown at once."""

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv6Address

from recovery.errors import SettingError
from recovery.settings import placement
from recovery.settings.base import Faults
from recovery.settings.hosts import Hosts
from recovery.swarm.address import Networks, family
from recovery.swarm.machines import Node


def check_managers(managers: Sequence[Node], zone_names: Sequence[str], faults: Faults) -> None:
    """Check that the quorum of a swarm that Requorum creates survives the loss of any zone. A single manager survives none."""
    if managers:  # that there are none is a fault of its own
        faults.find(_require_odd, len(managers))
    if len(managers) == placement.LONE:
        return
    faults.find(_require_three_zones, zone_names)
    if len(managers) in placement.MANAGER_COUNTS and len(set(zone_names)) > 2:
        faults.find(_require_spread, managers)


def check_nodes(
    managers: Sequence[Node],
    workers: Sequence[Node],
    zone_names: Sequence[str],
    subnet: Networks,
    faults: Faults,
) -> None:
    """Check that each node is in a known zone and in the subnet, and that no two share a name or an address."""
    addresses: dict[object, str] = {}
    names: dict[object, str] = {}
    dialled: dict[object, str] = {}
    for key, node in _keyed(managers, workers):
        faults.find(require_zone, key, node, zone_names)
        faults.find(require_in_subnet, key, node, subnet)
        if node.address not in addresses:  # a machine that is given twice is one fault
            faults.find(require_unique, f"{key}.name", node.name, "name", names, owner=key)
            faults.find(require_unique, f"{key}.sshAddress", node.dial, "SSH address", dialled, owner=node.name)
        faults.find(require_unique, f"{key}.address", node.address, "address", addresses, owner=node.name)
        faults.find(require_host_address, key, node, subnet)


def check_data_paths(
    managers: Sequence[Node], workers: Sequence[Node], subnet: Networks, faults: Faults, *, firewall: bool
) -> None:
    """Check that overlay traffic reaches each node: at an address of its own, from one that the firewall lets in."""
    addresses: dict[object, str] = {node.address: node.name for node in (*managers, *workers)}
    for key, node in _keyed(managers, workers):
        path = node.data_path
        if path != node.address:
            faults.find(require_unique, f"{key}.dataPathAddress", path, "address", addresses, owner=node.name)
            if firewall:
                faults.find(_require_let_in, key, node, subnet)


def _keyed(managers: Sequence[Node], workers: Sequence[Node]) -> Iterator[tuple[str, Node]]:
    """Each node with the key of the settings that names it."""
    yield from ((f"managers[{index}]", node) for index, node in enumerate(managers))
    yield from ((f"workers[{index}]", node) for index, node in enumerate(workers))


def _require_let_in(key: str, node: Node, subnet: Networks) -> None:
    if node.data_path not in subnet:
        raise SettingError(
            f"{key}.dataPathAddress",
            f"{node.data_path} of {node.name} is not in requorum:subnet {subnet}. The firewall of the other nodes would drop its "
            "overlay traffic",
            remedy="add its network to requorum:subnet, or set requorum:hosts.firewall to false",
            code="setting-invalid",
        )


def _require_odd(count: int) -> None:
    if count not in placement.MANAGER_COUNTS:
        raise SettingError(
            "managers",
            f"{count} managers are given. An even number tolerates no more losses than {count - 1} managers"
            if count % 2 == 0
            else f"{count} managers are given",
            remedy="give 1, 3, 5, 7 or 9 managers",
            code="setting-invalid",
        )


def _require_three_zones(zone_names: Sequence[str]) -> None:
    if len(zone_names) != len(set(zone_names)) or len(zone_names) < 3:
        raise SettingError(
            "zones",
            "at least three different zones are needed",
            remedy="name three zones, such as [a, b, c]",
            code="setting-invalid",
        )


def _require_spread(managers: Sequence[Node]) -> None:
    if not placement.survives_any_zone([manager.zone for manager in managers]):
        raise SettingError(
            "managers",
            "the loss of one zone would lose the quorum",
            remedy="spread the managers over the zones (3 = 1-1-1, 5 = 2-2-1, 7 = 3-2-2, 9 = 3-3-3), or omit `zone`",
            code="setting-invalid",
        )


def require_zone(key: str, node: Node, zone_names: Sequence[str]) -> None:
    """Raises: SettingError when the node is in a zone that the settings do not name."""
    if node.zone not in zone_names:
        raise SettingError(
            f"{key}.zone",
            f"requorum:zones has no zone {node.zone!r}",
            remedy=f"use one of {', '.join(zone_names)}, or add the zone to requorum:zones",
            code="setting-invalid",
        )


def require_in_subnet(key: str, node: Node, subnet: Networks) -> None:
    """Raises: SettingError when the node's address is outside the subnet."""
    if node.address not in subnet:
        raise SettingError(
            f"{key}.address",
            f"{node.address} is not in requorum:subnet {subnet}",
            remedy="give an address in the subnet, or correct the subnet",
            code="setting-invalid",
        )


def require_host_address(key: str, node: Node, subnet: Networks) -> None:
    """Raises: SettingError when the node's address is a network's own or broadcast address, or counts on one link only."""
    if isinstance(node.address, IPv6Address) and node.address.is_link_local:
        raise SettingError(
            f"{key}.address",
            f"{node.address} counts on one link only, and an engine advertises no such address",
            remedy="give a global address, or a unique local one (fd00::/8)",
            code="setting-invalid",
        )
    if node.address in subnet.reserved:
        raise SettingError(
            f"{key}.address",
            f"{node.address} is the network or broadcast address of the subnet, not a machine's",
            remedy="give another address in the subnet",
            code="setting-invalid",
        )


def require_one_data_path(nodes: Sequence[Node]) -> None:
    """Raises: SettingError when overlay traffic would go over both families: the kernel's VXLAN carries one (moby#46790)."""
    families = {family(node.data_path): node.name for node in nodes}
    if len(families) > 1:
        shown = " and ".join(f"{version} (such as {name})" for version, name in sorted(families.items()))
        raise SettingError(
            "managers",
            f"the overlay traffic of nodes is of both families: {shown}. Services on them could not reach each other",
            remedy="give all nodes addresses of one family, or set dataPathAddress of those of the other family",
            code="setting-invalid",
        )


def require_unique(key: str, value: object, what: str, owners: dict[object, str], *, owner: str) -> None:
    """Add the value to ``owners``, which has the owner of each value before. Raises: SettingError when it has one already."""
    if value in owners:
        raise SettingError(
            key,
            f"{value} is already the {what} of {owners[value]}",
            remedy=f"give each node its own {what}",
            code="setting-invalid",
        )
    owners[value] = owner


def check_docker_hosts(hosts: Hosts, nodes: Sequence[Node], faults: Faults) -> None:
    """Check that the docker driver has the image, the folder of identities and an engine for each node."""
    faults.find(_require_image, hosts)
    faults.find(_require_identities, hosts)
    faults.find(_require_engines, hosts, dict.fromkeys(node.zone for node in nodes))


def _require_image(hosts: Hosts) -> None:
    if not hosts.image:
        raise SettingError(
            "hosts.image",
            "is not set, and the docker driver needs the image of the node containers",
            remedy="set requorum:hosts.image",
            code="setting-missing",
        )


def _require_identities(hosts: Hosts) -> None:
    if hosts.identities is None:
        raise SettingError(
            "hosts.identities",
            "is not set, and the docker driver needs the folder with each node's SSH host key",
            remedy="set requorum:hosts.identities to a folder with one folder per node",
            code="setting-missing",
        )


def _require_engines(hosts: Hosts, zone_names: Iterable[str]) -> None:
    if without := [zone for zone in zone_names if not hosts.endpoint_of(zone)]:
        raise SettingError(
            "hosts.endpoint",
            f"no Docker engine is set for zone {', '.join(without)}",
            remedy="set requorum:hosts.endpoint, or set the engine of each zone in requorum:hosts.endpoints",
            code="setting-missing",
        )
