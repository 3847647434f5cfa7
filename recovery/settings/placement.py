"""Names, zones and roles for nodes that are given without them."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from recovery.errors import SettingError
from recovery.settings.base import EXAMPLE
from recovery.swarm.address import Address, Network, as_name
from recovery.swarm.machines import Node
from recovery.swarm.raft import tolerates

ZONES = ("a", "b", "c")
"""Where the stack file names none."""


def placed(raw: dict[str, Any]) -> dict[str, Any]:
    """The settings, unchecked, with a zone and a name for each node and the role of its group. Raises: SettingError.

    Managers of a swarm that Requorum creates are drained. A single manager stays as it is, and so do those of a swarm that
    was taken over.
    """
    for key in ("zones", "managers", "workers"):
        if not isinstance(raw.get(key, []), list | tuple):
            raise SettingError(key, "is not a list", remedy=f"give a list as {EXAMPLE} shows", code="setting-invalid")
    zone_names = [str(zone) for zone in raw.get("zones", ZONES)]
    given = {group: [_copied(node) for node in raw.get(group, ())] for group in ("managers", "workers")}
    managers, workers = ([node for node in nodes if isinstance(node, dict)] for nodes in given.values())
    spread = placement(len(managers), zone_names) if zone_names else ()
    for manager, zone in zip(managers, spread, strict=False):
        manager.setdefault("zone", zone)
    for manager, name in zip(managers, names([m.get("zone", "") for m in managers]), strict=True):
        manager.setdefault("name", name)
        if not raw.get("clusterId", raw.get("cluster_id")) and len(managers) > LONE:
            manager.setdefault("availability", "drain")
        manager["role"] = "manager"
    for number, worker in enumerate(workers, 1):
        worker.setdefault("name", worker_name(worker.get("address", "")))
        worker.setdefault("zone", zone_names[(number - 1) % len(zone_names)] if zone_names else "")
        worker["role"] = "worker"
    return {**raw, **given}


def _copied(node: Any) -> Any:
    """A node of the settings. What is no map stays as it is, for the checks to refuse: without it, the node would be taken out."""
    return dict(node) if isinstance(node, Mapping) else node


MANAGER_COUNTS = (1, 3, 5, 7, 9)
"""Of a swarm that Requorum creates. Odd counts only: an even one costs a machine and tolerates no more losses."""
LONE = 1
"""The number of managers of a swarm that tolerates no loss, and has nowhere else to run services than on its manager."""


def placement(count: int, zones: Sequence[str]) -> tuple[str, ...]:
    """The zone of each of ``count`` managers: 3 = 1-1-1, 5 = 2-2-1, 7 = 3-2-2, 9 = 3-3-3."""
    return tuple(zones[index % len(zones)] for index in range(count))


def names(zones_of: Sequence[str]) -> tuple[str, ...]:
    """Manager names by zone: ``manager-a``, ``manager-b``, …, then ``manager-a2``."""
    seen: Counter[str] = Counter()
    result = []
    for zone in zones_of:
        seen[zone] += 1
        result.append(f"manager-{zone}" + (str(seen[zone]) if seen[zone] > 1 else ""))
    return tuple(result)


def worker_name(address: object) -> str:
    """The name of a worker without one: by its address, because other workers may come and go before it in the list."""
    try:
        return f"worker-{as_name(ip_address(str(address)))}"
    except ValueError:
        return "worker"


def names_by_position(workers: Sequence[Node]) -> Mapping[str, str]:
    """What earlier releases called the workers that have no name of their own, by address: ``worker-1``, ``worker-2``, …"""
    named = {worker.name for worker in workers}
    numbered = ((worker, f"worker-{number}") for number, worker in enumerate(workers, 1))
    return {
        str(worker.address): name
        for worker, name in numbered
        if worker.name == worker_name(worker.address) and name not in named
    }


def survives_any_zone(zones_of: Sequence[str]) -> bool:
    """Whether the quorum is kept when any one zone is lost with all its managers."""
    return not deciding_zones(zones_of)


def deciding_zones(zones_of: Sequence[str]) -> tuple[str, ...]:
    """The zones that hold so many managers that the quorum is lost with the zone."""
    return tuple(zone for zone, count in Counter(zones_of).items() if count > tolerates(len(zones_of)))


def weaknesses(zones_of: Sequence[str]) -> tuple[str, ...]:
    """What managers in these zones do not tolerate although managers that Requorum creates would, a sentence each."""
    count, tolerated = len(zones_of), tolerates(len(zones_of))
    found: list[str] = []
    if count not in MANAGER_COUNTS or not tolerated:
        loss = f"the loss of {tolerated} of them" if tolerated else "no loss"
        odd = next((more for more in MANAGER_COUNTS if more > count), None)
        more = f". {odd} managers tolerate the loss of {tolerates(odd)}" if odd else ""
        found.append(f"{count} manager{'s tolerate' if count > 1 else ' tolerates'} {loss}{more}")
    if tolerated and (zones := deciding_zones(zones_of)):
        found.append(f"the quorum is lost with zone {' or '.join(zones)}")
    return tuple(found)


NARROWEST = {4: 24, 6: 64}
"""The prefix of the smallest network that is chosen for nodes, by version, so that more nodes find room."""


def common_networks(addresses: Collection[Address]) -> tuple[Network, ...]:
    """The smallest network of each family with all its addresses."""
    families = (tuple(one for one in addresses if one.version == version) for version in NARROWEST)
    return tuple(_common_network(family) for family in families if family)


def _common_network(addresses: Collection[Address]) -> Network:
    """The smallest network with all addresses, in which none of them is the network's own or its broadcast address."""
    first = min(addresses, key=int)
    network = ip_network((first, NARROWEST[first.version]), strict=False)
    while not all(
        int(network.network_address) < int(address) < int(network.broadcast_address) for address in addresses
    ):
        network = network.supernet()
    return network
