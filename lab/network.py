"""The lab's network: a namespace for its engine, joined with this machine by one link."""

import os
from pathlib import Path

from lab import command, daemon
from lab.instance import Instance

_ADVICE = "Run `python -m lab down` to clear the lab's network, then try again"


def namespace_path(instance: Instance) -> Path:
    """What nsenter takes to run something inside."""
    return Path("/run/netns") / instance.name


def enter(instance: Instance) -> list[str]:
    """Prefix of a command that runs inside.

    nsenter and not ``ip netns exec``: that one mounts another /sys, and the cgroups are lost.
    """
    return ["nsenter", f"--net={namespace_path(instance)}", "--"]


def _is_namespace(instance: Instance) -> bool:
    # Path.is_mount knows folders only; a namespace is mounted on a file.
    return os.path.ismount(namespace_path(instance))


def device(instance: Instance) -> str:
    """Name of this machine's end of the link."""
    return f"requorum{instance.octet}"


def is_up(instance: Instance) -> bool:
    """Whether the link (and the namespace, where there is one) stands."""
    if not Path("/sys/class/net", device(instance)).exists():
        return False
    return not instance.owns_engine or _is_namespace(instance)


def start(instance: Instance) -> None:
    """Build the network from nothing; what a killed lab left is removed first."""
    remove(instance)
    if not instance.owns_engine:
        # Containers of an ordinary engine reach the addresses of this machine by themselves.
        _ip("link", "add", device(instance), "type", "bridge")
        _ip("address", "add", f"{instance.host_link}/30", "dev", device(instance))
        _ip("link", "set", device(instance), "up")
        return
    inside = ("-n", instance.name)
    _ip("netns", "add", instance.name)
    _ip("link", "add", device(instance), "type", "veth", "peer", "name", "uplink", "netns", instance.name)
    _ip("address", "add", f"{instance.host_link}/30", "dev", device(instance))
    _ip("link", "set", device(instance), "up")
    _ip(*inside, "link", "set", "lo", "up")
    _ip(*inside, "address", "add", f"{instance.inside_link}/30", "dev", "uplink")
    _ip(*inside, "link", "set", "uplink", "up")
    _ip("route", "add", str(instance.subnet), "via", str(instance.inside_link))
    # No default route inside: nodes reach each other and this machine. Whatever else they ask
    # for (a registry, a name server) is refused at once instead of being waited for, and for
    # that the kernel must not ration its refusals.
    command.run(
        [*enter(instance), "sysctl", "-q", "-w", "net.ipv4.ip_forward=1", "net.ipv4.icmp_ratelimit=0"],
        doing="letting the lab's network forward",
        advice=_ADVICE,
    )


def remove(instance: Instance) -> None:
    """Take the link and the namespace away, with every process that is still inside."""
    members = inhabitants(instance)
    if members:
        daemon.end(members, patience=0.0)
    if Path("/sys/class/net", device(instance)).exists():
        _ip("link", "delete", device(instance))
    if namespace_path(instance).exists():
        _ip("netns", "delete", instance.name)


def inhabitants(instance: Instance) -> list[int]:
    """Processes in the namespace and all their descendants.

    Containers have namespaces of their own; they are children of shims that live in this one.
    """
    if not _is_namespace(instance):
        return []
    found = [int(word) for word in _ip("netns", "pids", instance.name).split()]
    children = _children()
    for pid in found:
        found.extend(child for child in children.get(pid, ()) if child not in found)
    return found


def _children() -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        # The command name, in parentheses, may hold anything.
        parent = int(text.rpartition(")")[2].split()[1])
        children.setdefault(parent, []).append(int(stat.parent.name))
    return children


def _ip(*arguments: str) -> str:
    return command.run(["ip", *arguments], doing="setting up the lab's network", advice=_ADVICE)
