"""Makes nodes of a lab without Pulumi, lists them, waits for them, and destroys them."""

import socket
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from docker import DockerClient

from lab import image, keys, node_container
from lab.engine_client import connect
from lab.errors import LabError
from lab.instance import Instance

_ENGINE_READY = "until curl -sf --unix-socket /run/docker.sock http://engine/_ping >/dev/null; do sleep 0.03; done"
READY_SECONDS = 180.0
"""How long a node may take to start, also on a machine that is slow or busy."""
_BANNER_SECONDS = 10.0
"""How long sshd may take to show its banner. Each try makes sshd start another process."""
_POLL_SECONDS = 0.03
_AT_ONCE = 16


@dataclass(frozen=True)
class Node:
    """A node container in the engine's list. ``state`` is running, paused, exited and so on."""

    name: str
    address: str
    state: str


def make(
    instance: Instance,
    nodes: Mapping[str, str],
    *,
    version: str = image.DEFAULT,
    timeout: float = READY_SECONDS,
) -> None:
    """Make the node containers (name to address), and return when all are ready.

    A node is ready when sshd shows its banner and the engine in the node answers. If a container exists and does not
    run, start it. Raises: LabError after ``timeout`` seconds.
    """
    keys.ensure(instance, nodes)
    with connect(instance, f"making the nodes {' '.join(nodes)}") as client:
        node_container.ensure_network(client, instance, nodes.values())

        def make_one(name: str) -> None:
            present = node_container.find(client, name)
            if present is not None:
                present.start()
            else:
                node_container.create(client, instance, name, nodes[name], version)

        together(nodes, make_one)
    wait(instance, nodes, timeout=timeout)


def wait(instance: Instance, nodes: Mapping[str, str], *, timeout: float = READY_SECONDS) -> None:
    """Return when sshd and the engine of every node (name to address) answer."""
    deadline = time.monotonic() + timeout
    with connect(instance, "waiting for nodes", timeout=int(timeout) + 5) as client:

        def wait_for(name: str) -> None:
            _wait_for_ssh(name, nodes[name], deadline)
            remaining = max(1, int(deadline - time.monotonic()))
            container = client.containers.get(name)
            status, _ = container.exec_run(["timeout", str(remaining), "sh", "-c", _ENGINE_READY])
            if status != 0:
                raise LabError(
                    f"waiting for {name}",
                    "its Docker engine does not answer",
                    f"`docker exec {name} journalctl -u docker` shows why",
                )

        together(nodes, wait_for)


def existing(instance: Instance) -> list[Node]:
    """All containers that have an address of this lab, sorted by name."""
    with connect(instance, "listing the nodes") as client:
        return found(client, instance)


def lose(instance: Instance, names: Iterable[str]) -> None:
    """Destroy containers and volumes of these nodes. None of their state remains. The function is repeatable.

    Raises: LabError, before anything is destroyed, for a name that never was a node of this lab.
    """
    wanted = list(names)
    with connect(instance, f"destroying {' '.join(wanted)}") as client:
        for name in wanted:
            if not (
                node_container.find(client, name)
                or node_container.has_volume(client, name)
                or instance.identity(name).exists()
            ):
                raise unknown(client, instance, f"destroying {name}", name)
        together(wanted, lambda name: node_container.destroy(client, name))


def remove_all(instance: Instance) -> None:
    """Remove every container of this lab with its volume, and the networks of its subnet."""
    with connect(instance, "removing all nodes") as client:
        names = [node.name for node in found(client, instance)]
        together(names, lambda name: node_container.destroy(client, name))
        for network in client.networks.list():
            pools = network.attrs["IPAM"]["Config"] or ()
            if str(instance.subnet) in {pool.get("Subnet") for pool in pools}:
                network.remove()


def found(client: DockerClient, instance: Instance) -> list[Node]:
    """The nodes of the lab, which are all containers with an address of the lab."""
    nodes = []
    for container in client.containers.list(all=True, ignore_removed=True):
        address = node_container.address(instance, container)
        if address is not None:
            nodes.append(Node(str(container.name), address, container.status))
    return sorted(nodes, key=lambda node: node.name)


def unknown(client: DockerClient, instance: Instance, doing: str, name: str) -> LabError:
    """The error for a name that is no node of this lab."""
    names = " ".join(node.name for node in found(client, instance)) or "none"
    return LabError(doing, f"lab {instance.octet} has no node {name}", f"Its nodes are: {names}")


def together(names: Iterable[str], act: Callable[[str], object]) -> None:
    """Call ``act`` for all names at the same time. At the end, raise the first error."""
    wanted = list(names)
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        for _ in pool.map(act, wanted):
            pass


def _wait_for_ssh(name: str, address: str, deadline: float) -> None:
    while True:
        try:
            with socket.create_connection((address, 22), timeout=_BANNER_SECONDS) as connection:
                if connection.recv(4) == b"SSH-":
                    return
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise LabError(
                f"waiting for {name}",
                f"sshd does not answer at {address}",
                f"`docker exec {name} systemctl --failed` shows why",
            )
        time.sleep(_POLL_SECONDS)
