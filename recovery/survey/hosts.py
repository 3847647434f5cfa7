"""What a host driver knows about machines without asking them.

The docker driver asks the Docker engine that runs the node containers. Only an existing machine itself can tell whether
it is there, so the presence of existing machines is `UNKNOWN`.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from recovery.errors import HostError
from recovery.settings import Settings
from recovery.swarm.machines import Node
from recovery.swarm.model import Presence

if TYPE_CHECKING:
    import docker

SECONDS = 5
"""The limit for a query."""
LABEL = "requorum.cluster"
"""On every node container: the name of its cluster."""


def presence(settings: Settings, nodes: Sequence[Node]) -> Mapping[str, Presence]:
    """The presence of each of ``nodes`` by name; unknown if the engine of its zone does not answer.

    Raises: HostError if no engine answers.
    """
    if settings.hosts.driver == "existing":
        return {node.name: Presence.UNKNOWN for node in nodes}
    states: dict[str, Mapping[str, str]] = {}
    failures: list[HostError] = []
    for endpoint in sorted({settings.hosts.endpoint_of(node.zone) for node in settings.nodes}):
        try:
            states[endpoint] = _containers(endpoint)
        except HostError as error:
            failures.append(error)
    if failures and not states:
        raise failures[0]
    return {node.name: _presence(node, states.get(settings.hosts.endpoint_of(node.zone))) for node in nodes}


def volume_name(node: str) -> str:
    """The volume that holds the node's ``/var/lib/docker``."""
    return f"{node}-docker"


def connect(endpoint: str, *, seconds: int = SECONDS) -> "docker.APIClient":
    """The Docker engine at an endpoint. Raises: DockerException, RequestException, OSError."""
    import docker  # status of existing machines asks no engine here

    return docker.APIClient(base_url=endpoint, version="auto", timeout=seconds, use_ssh_client=True)


def _presence(node: Node, states: Mapping[str, str] | None) -> Presence:
    if states is None:
        return Presence.UNKNOWN
    state = states.get(node.name)
    if state is None:
        return Presence.GONE
    return Presence.PRESENT if state == "running" else Presence.STOPPED


def _containers(endpoint: str) -> Mapping[str, str]:
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    from recovery.node.silence import why_silent

    try:
        engine = connect(endpoint)
        try:
            containers = engine.containers(all=True)
        finally:
            engine.close()
    except (DockerException, RequestException, OSError) as error:
        raise HostError(
            f"asking the Docker engine at {endpoint} for the node containers",
            f"it {why_silent(error, SECONDS)}",
            remedy="start that engine, or correct requorum:hosts.endpoint; in the lab: make up",
            code="host-engine-failed",
        ) from None
    return {name.lstrip("/"): entry["State"] for entry in containers for name in entry["Names"]}
