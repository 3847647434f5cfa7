"""Faults of nodes that can be undone. ``nodes.lose`` cannot be undone."""

import json
from collections.abc import Callable, Iterable

from docker.models.containers import Container

from lab import command, network, node_container, nodes
from lab.engine_client import connect, patiently
from lab.errors import LabError
from lab.instance import Instance

Act = Callable[[Container], None]


def pause(instance: Instance, names: Iterable[str]) -> None:
    """Freeze the nodes. Their kernel accepts connections, but no process answers."""

    def one(node: Container) -> None:
        node.reload()
        if node.status != "paused":
            node.pause()

    _each(instance, names, "pausing", lambda node: patiently(lambda: one(node)))


def unpause(instance: Instance, names: Iterable[str]) -> None:
    """Continue paused nodes."""

    def one(node: Container) -> None:
        if node.status == "paused":
            node.unpause()

    _each(instance, names, "unpausing", one)


def stop(instance: Instance, names: Iterable[str]) -> None:
    """Shut the nodes down. Their state stays."""
    _each(instance, names, "stopping", lambda node: node.stop(timeout=10))


def kill(instance: Instance, names: Iterable[str]) -> None:
    """Stop the nodes at once, as a power loss does. Their state stays."""

    def one(node: Container) -> None:
        node.reload()
        if node.status in ("running", "paused"):
            node.kill()

    _each(instance, names, "killing", lambda node: patiently(lambda: one(node)))


def start(instance: Instance, names: Iterable[str]) -> None:
    """Start stopped nodes. Returns before they are ready (see ``nodes.wait``)."""
    _each(instance, names, "starting", lambda node: node.start())


def cut_off(instance: Instance, names: Iterable[str]) -> None:
    """Cut the nodes off from this machine. Packets to them are dropped. Their peers still reach them."""
    if not instance.owns_engine:
        raise LabError(
            "cutting nodes off", "an ordinary engine has no network in between", "Unset LAB_ENGINE, or use isolate"
        )

    def one(node: Container) -> None:
        _ip(instance, "route", "replace", "blackhole", _address(instance, node))

    _each(instance, names, "cutting off", one)


def isolate(instance: Instance, names: Iterable[str]) -> None:
    """Disconnect the nodes from the network. Neither this machine nor their peers reach them."""

    def one(node: Container) -> None:
        _ip(instance, "link", "set", _port(instance, node), "down")

    _each(instance, names, "isolating", one)


def heal(instance: Instance, names: Iterable[str]) -> None:
    """Undo ``cut_off`` and ``isolate``. A connected node stays as it is."""

    def one(node: Container) -> None:
        if node.status in ("running", "paused"):
            _ip(instance, "link", "set", _port(instance, node), "up")
        if instance.owns_engine:
            address = _address(instance, node)
            family = "-6" if ":" in address else "-4"
            _ip(instance, family, "-force", "route", "flush", "type", "blackhole", "exact", address)

    _each(instance, names, "healing", one)


def _each(instance: Instance, names: Iterable[str], doing: str, act: Act) -> None:
    wanted = list(names)
    with connect(instance, f"{doing} {' '.join(wanted)}") as client:
        containers: dict[str, Container] = {}
        for name in wanted:
            container = node_container.find(client, name)
            if container is None:
                raise nodes.unknown(client, instance, f"{doing} {name}", name)
            containers[name] = container
        nodes.together(wanted, lambda name: act(containers[name]))


def _address(instance: Instance, node: Container) -> str:
    address = node_container.address(instance, node)
    if address is None:
        raise LabError(f"finding the address of {node.name}", "it has none of this lab", "Start it first")
    return address


def _port(instance: Instance, node: Container) -> str:
    """The name of the bridge's port for the node's network card."""
    inside = ["nsenter", f"--net=/proc/{node.attrs['State']['Pid']}/ns/net", "--"]
    doing, advice = f"finding the network port of {node.name}", "It must be running: start it first"
    card = json.loads(command.run([*inside, "ip", "-j", "link", "show", "eth0"], doing=doing, advice=advice))[0]
    for port in json.loads(_ip(instance, "-j", "link", "show")):
        if port["ifindex"] == card["link_index"]:
            return str(port["ifname"])
    raise LabError(doing, "its card is not plugged in here", advice)


def _ip(instance: Instance, *arguments: str) -> str:
    inside = network.enter(instance) if instance.owns_engine else []
    return command.run([*inside, "ip", *arguments], doing="changing the lab's network", advice="See `ip route`")
