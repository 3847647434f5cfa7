"""What a host driver knows about machines without asking them.

The docker driver asks the Docker engine that runs the node containers. The presence of other machines is `UNKNOWN`, until they
are silent: then `recovery.survey.presence` asks who runs them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recovery.errors import HostError, Refused
from recovery.node.shell import DATA_ROOT
from recovery.settings import Settings
from recovery.swarm.address import as_name
from recovery.swarm.machines import Node
from recovery.swarm.presence import Presence

if TYPE_CHECKING:
    import docker

SECONDS = 5
"""The limit for a query."""
LABEL = "requorum.cluster"
"""On every node container: the name of its cluster."""


@dataclass(frozen=True)
class Container:
    """A container as its engine lists it. ``address`` is its address in the nodes' network; empty if it has none there."""

    container_id: str
    name: str
    state: str
    address: str
    volume: str
    """The volume that holds its ``/var/lib/docker``."""
    label: str
    """The cluster in its label."""


def presence(settings: Settings, nodes: Sequence[Node]) -> Mapping[str, Presence]:
    """The presence of each of ``nodes`` by name; unknown if the engine of its zone does not answer.

    Raises: HostError if no engine answers.
    """
    if settings.hosts.driver != "docker":
        return {node.name: Presence.UNKNOWN for node in nodes}
    listed = _of_engines(settings)
    return {node.name: _presence(node, listed.get(settings.hosts.endpoint_of(node.zone))) for node in nodes}


def container_names(settings: Settings) -> Mapping[str, str]:
    """What the container of each node of the settings is called, or will be called, by the node's name.

    A container keeps the name that it was made with. One that is not there yet is called like its node, if no other has
    that name. Raises: HostError if no engine answers; Refused if a node's container is on the engine of another zone.
    """
    listed = _of_engines(settings)
    found = {
        node.name: at(node, containers)
        for node in settings.nodes
        if (containers := listed.get(settings.hosts.endpoint_of(node.zone))) is not None
    }
    for node in settings.nodes:
        if found.get(node.name) is None:
            _require_nowhere_else(settings, node, listed)
    taken = {container.name for containers in listed.values() for container in containers}
    return {node.name: _name(node, found.get(node.name), taken) for node in settings.nodes}


def at(node: Node, containers: Iterable[Container]) -> Container | None:
    """The node's container: the one at its address. One with the node's name that was not given an address counts too."""
    known = tuple(containers)
    nameless = (container for container in known if container.name == node.name and not container.address)
    return next((container for container in known if container.address == str(node.address)), next(nameless, None))


def listed(settings: Settings, engine: "docker.APIClient") -> tuple[Container, ...]:
    """All containers of an engine. Raises: DockerException, RequestException, OSError."""
    return tuple(
        Container(entry["Id"], name, entry["State"], _address(settings, entry), _volume(entry), _label(entry))
        for entry in engine.containers(all=True)
        for name in (name.lstrip("/") for name in entry["Names"] or ("",))
    )


def volume_name(container: str) -> str:
    """The volume that holds the ``/var/lib/docker`` of the container of that name."""
    return f"{container}-docker"


def connect(endpoint: str, *, seconds: int = SECONDS) -> "docker.APIClient":
    """The Docker engine at an endpoint. Raises: DockerException, RequestException, OSError."""
    import docker  # status of existing machines asks no engine here

    return docker.APIClient(base_url=endpoint, version="auto", timeout=seconds, use_ssh_client=True)


def _of_engines(settings: Settings) -> Mapping[str, tuple[Container, ...]]:
    """The containers of each engine that answers, by its endpoint. Raises: HostError if none answers."""
    found: dict[str, tuple[Container, ...]] = {}
    failures: list[HostError] = []
    for endpoint in sorted({settings.hosts.endpoint_of(node.zone) for node in settings.nodes}):
        try:
            found[endpoint] = _containers(settings, endpoint)
        except HostError as error:
            failures.append(error)
    if failures and not found:
        raise failures[0]
    return found


def _presence(node: Node, containers: Iterable[Container] | None) -> Presence:
    if containers is None:
        return Presence.UNKNOWN
    container = at(node, containers)
    if container is None:
        return Presence.GONE
    return Presence.PRESENT if container.state == "running" else Presence.STOPPED


def _name(node: Node, container: Container | None, taken: Iterable[str]) -> str:
    if container is not None:
        return container.name
    return node.name if node.name not in taken else f"{node.name}-{as_name(node.address)}"


def _require_nowhere_else(settings: Settings, node: Node, listed: Mapping[str, tuple[Container, ...]]) -> None:
    for endpoint, containers in listed.items():
        container = next((one for one in containers if one.address == str(node.address)), None)
        if (
            container is None
            or container.label != settings.cluster
            or endpoint == settings.hosts.endpoint_of(node.zone)
        ):
            continue
        zones = [zone for zone in settings.zones if settings.hosts.endpoint_of(zone) == endpoint]
        raise Refused(
            f"placing {node.name} in zone {node.zone}",
            f"its container {container.name} runs on the engine at {endpoint}, which is not the engine of that zone. The zone "
            "of a node cannot change while its container is there",
            remedy=f"set zone: {zones[0] if zones else 'NAME'} for {node.address}. To move it, take it out of the stack file first",
            node=node.name,
            code="zone-moved",
        )


def _address(settings: Settings, entry: Mapping[str, Any]) -> str:
    """A container that does not run has only the address that it was given, in ``IPAMConfig``."""
    place = ((entry.get("NetworkSettings") or {}).get("Networks") or {}).get(settings.hosts.network) or {}
    given = place.get("IPAMConfig") or {}
    return str(given.get("IPv6Address") or given.get("IPv4Address") or place.get("IPAddress") or "")


def _volume(entry: Mapping[str, Any]) -> str:
    mounts = entry.get("Mounts") or ()
    return next((str(mount.get("Name") or "") for mount in mounts if mount.get("Destination") == DATA_ROOT), "")


def _label(entry: Mapping[str, Any]) -> str:
    return str((entry.get("Labels") or {}).get(LABEL) or "")


def _containers(settings: Settings, endpoint: str) -> tuple[Container, ...]:
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    from recovery.node.silence import why_silent

    try:
        engine = connect(endpoint)
        try:
            return listed(settings, engine)
        finally:
            engine.close()
    except (DockerException, RequestException, OSError) as error:
        raise HostError(
            f"asking the Docker engine at {endpoint} for the node containers",
            f"it {why_silent(error, SECONDS)}",
            remedy="start that engine, or correct requorum:hosts.endpoint; in the lab: make up",
            code="host-engine-failed",
        ) from None
