"""What Requorum puts on a machine, and what a look at the machine finds of it."""

from dataclasses import dataclass
from enum import StrEnum

MARK_PATH = "/etc/requorum/cluster"
"""Holds the cluster's name on every machine we prepared."""
VERSION_PATH = "/etc/requorum/prepared"
"""Holds the version of the preparation. The preparation writes it last."""
FIREWALL_PATH = "/etc/requorum/firewall"
"""The rules of a family are in ``FIREWALL_PATH.v4`` and ``.v6``, and next to each the digest of the rules as the kernel lists them."""
FIREWALL_UNIT = "/etc/systemd/system/requorum-firewall.service"
CHAIN = "REQUORUM"
RULES_OF_IPV4 = (
    f"iptables -w 1 -S {CHAIN} && iptables -w 1 -t mangle -S {CHAIN} && "
    f"iptables -w 1 -t mangle -S FORWARD | grep -xF -e '-A FORWARD -j {CHAIN}'"
)
"""Prints the firewall's rules of IPv4 as the kernel lists them, also those for what the machine forwards."""
RULES_OF_IPV6 = (
    f"ip6tables -w 1 -S {CHAIN} && {{ [ ! -s {FIREWALL_PATH}.forward6 ] || {{ ip6tables -w 1 -t mangle -S {CHAIN} && "
    f"ip6tables -w 1 -t mangle -S FORWARD | grep -xF -e '-A FORWARD -j {CHAIN}'; }}; }}"
)
"""The same of IPv6. Only where the nodes have a network of IPv6 are there rules for what the machine forwards."""
AGENT_HOME = "/usr/local/lib/requorum/agent"
AGENT_INSTALLED = "/etc/requorum/agent/installed"
"""Holds the digest of the installed agent."""
TOOLS = (
    "age",
    "bash",
    "docker",
    "ip",
    "iptables-restore",
    "openssl",
    "python3",
    "sha256sum",
    "systemd-run",
    "tar",
    "unshare",
    "zstd",
)


class Chain(StrEnum):
    """How the firewall's chain stands in one family of addresses."""

    OK = "in place"
    MISSING = "missing"
    CHANGED = "changed"
    LATE = "not the first in INPUT"
    OLD = "of an earlier release"
    """In place; a release that knew only IPv4 put them there."""
    BUSY = "not known"
    """Something else changed the rules at that moment."""
    UNUSED = "not used"
    """The machine has no such addresses."""


@dataclass(frozen=True)
class Connection:
    """An open connection to one of the machine's swarm ports."""

    port: int
    peer: str


@dataclass(frozen=True)
class OnNode:
    """What was found on a machine."""

    version: str = ""
    """The version of its preparation; empty if an earlier release prepared it, or nobody did."""
    lacks: tuple[str, ...] = ()
    """The tools that it lacks."""
    firewall: bool = False
    """Whether the firewall's unit is installed."""
    at_boot: bool = False
    """Whether the firewall starts with the machine."""
    ipv4: Chain = Chain.MISSING
    ipv6: Chain = Chain.MISSING
    agent: str = ""
    """The digest of the installed agent; empty if none is installed."""
    units: tuple[str, ...] = ()
    """The agent's units that are not as they were installed."""
    stopped: tuple[str, ...] = ()
    """The agent's units that do not run."""
    connections: tuple[Connection, ...] = ()
    addresses: tuple[str, ...] = ()
    """The machine's own addresses."""
    data_path: str = ""
    """The address of its overlay traffic, if the node joined with one."""
