"""Makes one node container through the Docker API, with the options that all drivers share."""

from collections.abc import Collection
from ipaddress import IPv6Address, ip_address

from docker import DockerClient
from docker.errors import NotFound
from docker.models.containers import Container
from docker.types import IPAMConfig, IPAMPool

from components.hosts import container as options
from lab import image
from lab.engine_client import patiently
from lab.instance import Instance
from recovery.survey.hosts import volume_name

NETWORK = "lab"
LABEL = "requorum.lab"
_SYSTEM_PATHS = "systempaths=unconfined"
"""An option that only the docker command has. The API has two lists of paths instead."""


def create(client: DockerClient, instance: Instance, name: str, address: str, version: str) -> None:
    """Make and start the container. The network and the identity must exist.

    One with an IPv6 address has an IPv4 address too, as most machines have.
    """
    api = client.api
    host = api.create_host_config(
        cap_add=list(options.ADD_CAPABILITIES),
        cap_drop=list(options.DROP_CAPABILITIES),
        security_opt=[option for option in options.SECURITY_OPTIONS if option != _SYSTEM_PATHS],
        tmpfs=dict.fromkeys(options.TMPFS, ""),
        binds=[
            f"{volume_name(name)}:{options.DATA_PATH}",
            f"{instance.identity(name)}:{options.IDENTITY_PATH}:ro",
        ],
        network_mode=NETWORK,
    )
    host["CgroupnsMode"] = options.CGROUP_NAMESPACE
    if _SYSTEM_PATHS in options.SECURITY_OPTIONS:
        host["MaskedPaths"] = []
        host["ReadonlyPaths"] = []
    container = api.create_container(
        image.reference(version),
        name=name,
        hostname=name,
        labels={LABEL: str(instance.octet)},
        environment=dict(options.ENVIRONMENT),
        stop_signal=options.STOP_SIGNAL,
        host_config=host,
        networking_config={"EndpointsConfig": {NETWORK: api.create_endpoint_config(**_addresses(instance, address))}},
    )
    api.start(container["Id"])


def _addresses(instance: Instance, address: str) -> dict[str, str]:
    if isinstance(ip_address(address), IPv6Address):
        return {"ipv6_address": address, "ipv4_address": beside(instance, address)}
    return {"ipv4_address": address}


def beside(instance: Instance, address: str) -> str:
    """The IPv4 address of a node with that IPv6 address."""
    *_, zone, node = IPv6Address(address).exploded.split(":")
    return f"10.{instance.octet}.{int(zone)}.{int(node)}"


def find(client: DockerClient, name: str) -> Container | None:
    """The container of a node, or None if it does not exist."""
    try:
        return client.containers.get(name)
    except NotFound:
        return None


def address(instance: Instance, node: Container) -> str | None:
    """The node's address in this lab, or None if the container has no such address."""
    for settings in node.attrs["NetworkSettings"]["Networks"].values():
        # A stopped container has no address, only the requested one.
        requested = settings.get("IPAMConfig") or {}
        if requested.get("IPv6Address"):
            return str(requested["IPv6Address"])
        text = str(settings.get("IPAddress") or requested.get("IPv4Address") or "")
        if text.startswith(f"10.{instance.octet}."):
            return text
    return None


def has_volume(client: DockerClient, name: str) -> bool:
    """Whether the volume of the node's ``/var/lib/docker`` exists."""
    try:
        client.volumes.get(volume_name(name))
    except NotFound:
        return False
    return True


def destroy(client: DockerClient, name: str) -> None:
    """Remove container and volume, if they exist."""
    container = find(client, name)
    try:
        if container is not None:
            patiently(lambda: container.remove(force=True, v=True))
    except NotFound:
        pass  # another process destroyed it at the same moment
    if has_volume(client, name):
        client.volumes.get(volume_name(name)).remove(force=True)


def ensure_network(client: DockerClient, instance: Instance, addresses: Collection[str]) -> None:
    """Make the nodes' network, if it does not exist. It has IPv6 if one of the addresses is of IPv6."""
    if not client.networks.list(names=[f"^{NETWORK}$"]):
        ipv6 = any(isinstance(ip_address(address), IPv6Address) for address in addresses)
        subnets = (instance.subnet, instance.subnet6) if ipv6 else (instance.subnet,)
        pools = [IPAMPool(subnet=str(subnet)) for subnet in subnets]
        client.networks.create(NETWORK, driver="bridge", enable_ipv6=ipv6, ipam=IPAMConfig(pool_configs=pools))
