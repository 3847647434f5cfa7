"""Removes and restarts node containers on their Docker engine."""

from collections.abc import Iterator
from contextlib import contextmanager

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

from recovery.errors import HostError
from recovery.settings import Settings
from recovery.survey.hosts import LABEL, connect, volume_name
from recovery.swarm.machines import Node

ACT_SECONDS = 60
"""For what Docker does: a busy host takes long over the kill and the unmounting, and ends them whoever has given up."""
GRACE_SECONDS = 10
"""For a container to shut down in an orderly way."""


def clear(settings: Settings, node: Node) -> bool:
    """Remove a container of the node's name that carries our label; whether there was one.

    For one that an update made and was killed before it could write that down. The caller knows that it
    holds no swarm state. Raises: HostError.
    """
    endpoint = settings.hosts.endpoint_of(node.zone)
    try:
        engine = connect(endpoint, seconds=ACT_SECONDS)
        try:
            filters = {"name": f"^/{node.name}$", "label": f"{LABEL}={settings.cluster}"}
            found = engine.containers(all=True, filters=filters)
            for entry in found:
                engine.remove_container(entry["Id"], force=True)
        finally:
            engine.close()
    except (DockerException, RequestException, OSError) as error:
        raise HostError(
            f"removing the container {node.name} that an interrupted update left",
            str(error),
            remedy=f"docker rm -f {node.name}, then run again",
        ) from None
    return bool(found)


def remove(settings: Settings, node: Node) -> None:
    """Remove the node's container and its volume, as far as they are there; both must carry our label.

    Raises: HostError, with nothing removed where one of them is not ours.
    """
    volume = volume_name(node.name)
    with _asked(settings, node, f"removing the container and the volume of {node.name}") as engine:
        containers = engine.containers(all=True, filters={"name": f"^/{node.name}$"})
        volumes = [v for v in engine.volumes(filters={"name": volume})["Volumes"] or () if v["Name"] == volume]
        for found, what in ((containers, f"the container {node.name}"), (volumes, f"the volume {volume}")):
            if any((entry.get("Labels") or {}).get(LABEL) != settings.cluster for entry in found):
                raise HostError(
                    f"removing {what}",
                    f"it does not carry the label {LABEL}={settings.cluster}: it is not this cluster's",
                    remedy="look what it is; remove it by hand if it may go",
                    node=node.name,
                )
        for entry in containers:
            engine.remove_container(entry["Id"], force=True)
        for _ in volumes:
            engine.remove_volume(volume, force=True)


def restart(settings: Settings, node: Node) -> None:
    """Restart the node's container: what a reboot is to a machine. Raises: HostError."""
    with _asked(settings, node, f"restarting the container {node.name}") as engine:
        engine.restart(node.name, timeout=GRACE_SECONDS)


@contextmanager
def _asked(settings: Settings, node: Node, doing: str) -> Iterator[docker.APIClient]:
    endpoint = settings.hosts.endpoint_of(node.zone)
    try:
        engine = connect(endpoint, seconds=ACT_SECONDS)
        try:
            yield engine
        finally:
            engine.close()
    except (DockerException, RequestException, OSError) as error:
        remedy = f"see the Docker engine at {endpoint}, then run the same command again"
        raise HostError(doing, str(error), remedy=remedy, node=node.name) from None
