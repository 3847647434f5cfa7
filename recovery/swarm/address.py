"""Addresses of machines, of both families, and how they are written with a port and in names."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class Networks:
    """The networks of a cluster's nodes, one or several, of one family or both."""

    every: tuple[Network, ...]

    def __str__(self) -> str:
        return ", ".join(map(str, self.every))

    def __contains__(self, address: Address) -> bool:
        return any(address in network for network in self.every)

    def of(self, version: int) -> tuple[Network, ...]:
        """Those of one family, by its version."""
        return tuple(network for network in self.every if network.version == version)

    @property
    def reserved(self) -> frozenset[Address]:
        """The addresses that are no machine's: of each network its own, and of IPv4 the broadcast address.

        In a network of one or two addresses, all are a machine's (RFC 3021, RFC 6164).
        """
        larger = [network for network in self.every if network.num_addresses > 2]
        broadcast = (network.broadcast_address for network in larger if network.version == 4)
        return frozenset((*(network.network_address for network in larger), *broadcast))


def family(of: Address | Network) -> str:
    """The family, as people call it."""
    return f"IPv{of.version}"


def with_port(address: Address, port: int) -> str:
    """``ADDRESS:PORT``, where an IPv6 address stands in brackets."""
    return f"[{address}]:{port}" if isinstance(address, IPv6Address) else f"{address}:{port}"


def port_of(text: str) -> int:
    """The port in ``ADDRESS:PORT``; 0 if there is none."""
    host, colon, port = text.rpartition(":")
    return int(port) if colon and port.isdecimal() and (host.startswith("[") or ":" not in host) else 0


def without_port(text: str) -> str:
    """The address in ``ADDRESS`` or ``ADDRESS:PORT``, written in one way. A text that is no address stays, without its port."""
    host = text
    if text.startswith("[") or text.count(":") == 1:
        host = text.rpartition(":")[0] if not text.endswith("]") else text
    host = host.strip("[]")
    try:
        return str(ip_address(host))
    except ValueError:
        return host


def known(text: str) -> Address | None:
    """The address in ``ADDRESS`` or ``ADDRESS:PORT``; None for any other text, and for 0.0.0.0 and ``::``, which name nobody."""
    try:
        address = ip_address(without_port(text))
    except ValueError:
        return None
    return None if address.is_unspecified else address


def as_name(address: Address) -> str:
    """The address as a part of a name: with hyphens, and none at the ends."""
    return str(address).replace(".", "-").replace(":", "-").strip("-")
