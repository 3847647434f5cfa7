"""The firewall of the swarm's ports: where it is wanted, its rules, and whom it would cut off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from recovery.errors import Refused
from recovery.swarm.on_node import CHAIN, Chain

if TYPE_CHECKING:
    from recovery.settings import Settings
    from recovery.swarm.address import Network
    from recovery.swarm.entries import Member
    from recovery.swarm.model import NodeReport, Survey
    from recovery.swarm.on_node import OnNode

ENGINE, GOSSIP = (2375, 2376), 7946
"""The ports of an engine's API over TCP, which are open to nobody, and the port of gossip."""


@dataclass(frozen=True)
class Rules:
    """The rules of the chain, for ``iptables-restore`` and for ``ip6tables-restore``."""

    ipv4: tuple[str, ...]
    ipv6: tuple[str, ...]
    forwarded: tuple[str, ...]
    """The rules of the chain of the same name for what the machine forwards, which is what its containers send, over IPv4."""
    forwarded6: tuple[str, ...]
    """The same over IPv6; none if the nodes have no network of IPv6."""


def rules(settings: Settings, data_path_port: int) -> Rules:
    """The ports of swarm for the nodes' networks only, the engine's own ports for nobody.

    The whole networks and not each address: else a manager that is taken out would be cut off while it still votes.
    In a family in which the nodes have no network, the ports are open to nobody.

    The listen port, 2377/tcp by default, is the managers' API, 7946 gossip, the data path port carries overlay traffic (ESP when
    encrypted).

    What a container sends to another node comes there from the address of its own node, and so from the network. So the
    machine forwards nothing to these ports. Traffic of overlay networks is the machine's own, and not forwarded.
    """
    ipv4, ipv6 = (settings.subnet.of(version) for version in (4, 6))
    port = settings.swarm.listen_port
    return Rules(
        _entering(ipv4, data_path_port, port),
        _entering(ipv6, data_path_port, port),
        _passing(ipv4, data_path_port, port),
        _passing(ipv6, data_path_port, port),
    )


def _entering(subnets: Sequence[Network], data_path_port: int, listen_port: int) -> tuple[str, ...]:
    """What a machine takes from these networks of one family, and what it takes from nobody."""
    allowed = (
        rule
        for subnet in subnets
        for rule in (
            f"-A {CHAIN} -s {subnet} -p tcp -m multiport --dports {listen_port},{GOSSIP} -j ACCEPT",
            f"-A {CHAIN} -s {subnet} -p udp -m multiport --dports 7946,{data_path_port} -j ACCEPT",
            f"-A {CHAIN} -s {subnet} -p esp -j ACCEPT",
        )
    )
    return (
        f"-A {CHAIN} -i lo -j RETURN",
        *allowed,
        f"-A {CHAIN} -p tcp -m multiport --dports {','.join(map(str, (*ENGINE, listen_port, GOSSIP)))} -j DROP",
        f"-A {CHAIN} -p udp -m multiport --dports 7946,{data_path_port} -j DROP",
    )


def _passing(subnets: Sequence[Network], data_path_port: int, listen_port: int) -> tuple[str, ...]:
    """What a machine does not forward into these networks of one family: anything from outside them."""
    inside = (f"-A {CHAIN} -s {subnet} -j RETURN" for subnet in subnets)
    dropped = (
        f"-A {CHAIN} -d {subnet} {what} -j DROP"
        for subnet in subnets
        for what in (
            f"-p tcp -m multiport --dports {listen_port},{GOSSIP}",
            f"-p udp -m multiport --dports 7946,{data_path_port}",
            "-p esp",
        )
    )
    return (*inside, *dropped)


def is_wanted(settings: Settings, report: NodeReport | None) -> bool | None:
    """Whether a machine gets the firewall; None leaves the machine as it is.

    What `requorum:hosts.firewall` says counts. A swarm that Requorum creates has a firewall. A swarm that was taken over has
    none until somebody asks for it; a machine that this cluster gave one before keeps it.
    """
    if settings.hosts.firewall is not None:
        return settings.hosts.firewall
    if not settings.adopted:
        return True
    found = report.on_node if report else None
    return True if report and found and found.firewall and report.marked == settings.cluster else None


def is_old(settings: Settings, found: OnNode) -> bool:
    """Whether the firewall of an earlier release, which knew only IPv4, stays as it is: nobody asked for a newer one."""
    return settings.hosts.firewall is None and found.ipv4 is Chain.OLD and found.ipv6 is not Chain.CHANGED


def faults(settings: Settings, found: OnNode) -> Mapping[str, Chain]:
    """The families of addresses in which the rules are not as they should be."""
    if is_old(settings, found):
        return {}
    families = {"IPv4": found.ipv4, "IPv6": found.ipv6}
    return {name: chain for name, chain in families.items() if chain not in (Chain.OK, Chain.UNUSED, Chain.BUSY)}


def outside(settings: Settings, survey: Survey) -> tuple[Member, ...]:
    """The entries of the swarm's own node list, named by the stack file or not, whose address the firewall shuts out."""
    listed = survey.leader.members if survey.leader else ()
    return tuple(entry for entry in listed if _is_outside(settings, entry.raft_address or entry.address))


def require_nobody_cut_off(settings: Settings, survey: Survey, closing: Sequence[NodeReport]) -> None:
    """Raises: Refused when the rules are to be put on a node of the swarm, and a Ready node of the swarm comes from outside.

    ``closing`` are the machines on which an update puts the rules. One that is in no swarm yet closes nothing that is open.
    """
    names = [report.node.name for report in closing if report.in_swarm]
    cut = [entry for entry in outside(settings, survey) if entry.ready]
    if names and cut:
        shown = ", ".join(f"{entry.hostname} ({entry.raft_address or entry.address})" for entry in cut)
        raise Refused(
            f"putting the firewall's rules on {', '.join(names)}",
            f"it would cut off {shown}, which is Ready in the swarm and outside requorum:subnet {settings.subnet}",
            remedy="widen requorum:subnet so that it has every node of the swarm, or leave the firewall to yourself: set "
            "requorum:hosts.firewall to false",
            code="firewall-cuts-off",
        )


def notes(settings: Settings, survey: Survey, closing: Sequence[NodeReport]) -> Iterator[str]:
    """Whom the firewall touches, where an update puts its rules on machines: a line for the ports, then one for each that loses access."""
    old = [r.node.name for r in survey.reports if is_wanted(settings, r) and r.on_node and is_old(settings, r.on_node)]
    if old:
        yield (
            f"the firewall of {', '.join(old)} is of an earlier release, and leaves the ports open by IPv6. To close them too, "
            "set requorum:hosts.firewall to true"
        )
    if not closing:
        return
    port = data_path_port(settings, survey)
    yield (
        f"the firewall of {', '.join(report.node.name for report in closing)} opens {settings.swarm.listen_port}/tcp, "
        f"{GOSSIP} and {port}/udp to "
        f"{settings.subnet} only, and closes 2375/tcp and 2376/tcp. Ports that services publish stay as they are"
    )
    for entry in outside(settings, survey):
        yield f"{entry.hostname} at {entry.raft_address or entry.address} is outside {settings.subnet}, and is cut off"
    for report in closing:
        for open_ in report.on_node.connections if report.on_node else ():
            if _loses(settings, open_.port, open_.peer):
                yield f"{report.node.name}: {open_.peer} is connected to port {open_.port}, and is cut off"


def data_path_port(settings: Settings, survey: Survey) -> int:
    """The swarm's port; that of the settings where no manager tells it."""
    facts = survey.leader.swarm if survey.leader else None
    return facts.data_path_port if facts else settings.swarm.data_path_port


def _loses(settings: Settings, port: int, peer: str) -> bool:
    try:
        address = ip_address(peer)
    except ValueError:
        return False
    if address.is_loopback:
        return False
    return port in ENGINE or _is_outside(settings, peer)


def _is_outside(settings: Settings, text: str) -> bool:
    """Whether an address is not in the nodes' network. An engine that does not know its address tells none, or 0.0.0.0."""
    try:
        address = ip_address(text.strip("[]"))
    except ValueError:
        return False
    if address.is_unspecified or address.is_loopback:
        return False
    return address not in settings.subnet
