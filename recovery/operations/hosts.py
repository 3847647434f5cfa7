"""Removes and restarts node containers on their Docker engine."""

from collections.abc import Iterator
from contextlib import contextmanager

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

from recovery.errors import HostError
from recovery.settings import Settings
from recovery.survey import hosts
from recovery.survey.hosts import LABEL, connect
from recovery.swarm.machines import Node

ACT_SECONDS = 60
"""The limit for a change. A busy host needs long to kill a container and unmount its files, and goes on after the limit."""
GRACE_SECONDS = 10
"""How long a container may take to shut down before it is killed."""


def clear(settings: Settings, node: Node) -> bool:
    """Remove the node's container, if it has our label. Returns whether there was one.

    It removes the container of an update that was killed before it could record the container. The caller knows that
    the container holds no swarm state. Raises: HostError.
    """
    with _asked(settings, node, "removing its container, which an interrupted update left") as engine:
        found = hosts.at(node, hosts.listed(settings, engine))
        if found is None or found.label != settings.cluster:
            return False
        engine.remove_container(found.container_id, force=True)
        return True


def remove(settings: Settings, node: Node) -> None:
    """Remove the node's container and its volume, if they exist. Both must have our label.

    Raises: HostError. If one of them does not have our label, nothing is removed.
    """
    with _asked(settings, node, f"removing the container and the volume of {node.name}") as engine:
        container = hosts.at(node, hosts.listed(settings, engine))
        volume = (container.volume if container else "") or hosts.volume_name(node.name)
        volumes = [v for v in engine.volumes(filters={"name": volume})["Volumes"] or () if v["Name"] == volume]
        labels = [(container.label, f"the container {container.name}")] if container else []
        labels += [((entry.get("Labels") or {}).get(LABEL, ""), f"the volume {volume}") for entry in volumes]
        for label, what in labels:
            if label != settings.cluster:
                raise HostError(
                    f"removing {what}",
                    f"it does not belong to this cluster. It does not have the label {LABEL}={settings.cluster}",
                    remedy="find out what it is, and remove it by hand if it is not needed",
                    node=node.name,
                    code="foreign-container",
                )
        if container:
            engine.remove_container(container.container_id, force=True)
        for _ in volumes:
            engine.remove_volume(volume, force=True)


def restart(settings: Settings, node: Node) -> None:
    """Restart the node's container: what a reboot is to a machine. Raises: HostError."""
    with _asked(settings, node, f"restarting the container of {node.name}") as engine:
        container = hosts.at(node, hosts.listed(settings, engine))
        engine.restart(container.container_id if container else node.name, timeout=GRACE_SECONDS)


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
        remedy = f"check the Docker engine at {endpoint}, then run the same command again"
        raise HostError(doing, str(error), remedy=remedy, node=node.name, code="host-engine-failed") from None
