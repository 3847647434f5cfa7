"""Makes the lab's network: a namespace for its engine, and one link to this machine."""

import os
from pathlib import Path

from lab import command, daemon
from lab.instance import Instance

_ADVICE = "Run `python -m lab down` to clear the lab's network, then try again"


def namespace_path(instance: Instance) -> Path:
    """The path of the namespace, for nsenter."""
    return Path("/run/netns") / instance.name


def enter(instance: Instance) -> list[str]:
    """The prefix of a command that runs in the namespace.

    It uses nsenter, because ``ip netns exec`` mounts another /sys without the cgroups.
    """
    return ["nsenter", f"--net={namespace_path(instance)}", "--"]


def _is_namespace(instance: Instance) -> bool:
    # Path.is_mount supports only folders, and a namespace is mounted on a file.
    return os.path.ismount(namespace_path(instance))


def device(instance: Instance) -> str:
    """The name of this machine's end of the link."""
    return f"requorum{instance.octet}"


def has_ipv6(instance: Instance) -> bool:
    """Whether the lab's network has IPv6 too: not with another engine, and not where the kernel has none."""
    return instance.owns_engine and Path("/proc/net/if_inet6").exists()


def is_up(instance: Instance) -> bool:
    """Whether the link is up, and the namespace if the lab has one."""
    if not Path("/sys/class/net", device(instance)).exists():
        return False
    return not instance.owns_engine or _is_namespace(instance)


def start(instance: Instance) -> None:
    """Build the network. First remove the remains of a killed lab."""
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
    forward = ["net.ipv4.ip_forward=1", "net.ipv4.icmp_ratelimit=0"]
    if has_ipv6(instance):
        # Without a check for duplicates the addresses can be used at once.
        _ip("address", "add", f"{instance.host_link6}/64", "dev", device(instance), "nodad")
        _ip(*inside, "address", "add", f"{instance.inside_link6}/64", "dev", "uplink", "nodad")
        _ip("route", "add", str(instance.subnet6), "via", str(instance.inside_link6))
        forward += ["net.ipv6.conf.all.forwarding=1", "net.ipv6.icmp.ratelimit=0"]
    # No default route inside: nodes reach each other and this machine. Whatever else they ask
    # for (a registry, a name server) is refused at once instead of being waited for, and for
    # that the kernel must not ration its refusals.
    command.run(
        [*enter(instance), "sysctl", "-q", "-w", *forward],
        doing="letting the lab's network forward",
        advice=_ADVICE,
    )


def remove(instance: Instance) -> None:
    """Remove the link and the namespace, with every process in the namespace."""
    members = inhabitants(instance)
    if members:
        daemon.end(members, patience=0.0)
    if Path("/sys/class/net", device(instance)).exists():
        _ip("link", "delete", device(instance))
    if namespace_path(instance).exists():
        _ip("netns", "delete", instance.name)


def inhabitants(instance: Instance) -> list[int]:
    """The processes in the namespace, and all their descendants.

    Containers have other namespaces, but they are children of shims in this namespace.
    """
    if not _is_namespace(instance):
        return []
    processes = [int(word) for word in _ip("netns", "pids", instance.name).split()]
    children = _children()
    for pid in processes:
        processes.extend(child for child in children.get(pid, ()) if child not in processes)
    return processes


def _children() -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        # The command name, in parentheses, may contain any characters.
        parent = int(text.rpartition(")")[2].split()[1])
        children.setdefault(parent, []).append(int(stat.parent.name))
    return children


def _ip(*arguments: str) -> str:
    return command.run(["ip", *arguments], doing="setting up the lab's network", advice=_ADVICE)
