"""Ports between nodes that do not pass, in each direction, and packets of overlay networks that are too large for the path."""

import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from recovery.planning.findings.clocks import bounds
from recovery.planning.findings.finding import Finding, Kind, Proposal, Remedy, Run, on_node
from recovery.planning.firewall import data_path_port
from recovery.swarm.evidence import Evidence, Heard, Ports
from recovery.swarm.limits import REFUSED, VXLAN
from recovery.swarm.machines import Node
from recovery.swarm.model import LocalState, Survey

if TYPE_CHECKING:
    from recovery.settings import Settings

GOSSIP_PORT = 7946
OVERLAP_SECONDS = 1.4
"""Two nodes that listened together for less may have missed each other: a node sends every 0.9 s."""
RULE = re.compile(r"-A INPUT (?:[\w./:,-]+|!)(?: (?:[\w./:,-]+|!))*")
"""A rule as iptables lists it, without quotes."""
TO = re.compile(r"(?<!! )--(?:dports?|ports) (\S+)")
"""The ports to which the packets of a rule go (iptables-extensions(8): tcp, udp, multiport)."""
DEVICE = re.compile(r"[\w.-]{1,15}")
SHOWN = 6


def judge(settings: "Settings", survey: Survey, looks: Sequence[Evidence]) -> Iterator[Finding]:
    """Findings of ports, then of packets that are too large."""
    seen, udp = _looked(survey, looks), _tried(settings, survey)
    nodes = {node.name: node for node in settings.nodes}
    closed: dict[tuple[str, int, str], list[str]] = {}
    for source, target in _pairs(seen, nodes):
        for port, why in _untaken(seen[source], seen[target], nodes[target], survey):
            closed.setdefault((target, port, "tcp"), []).append(f"from {source}: {why}")
        if _listened_together(seen[source], seen[target]):
            for port in _unheard(seen[target], source, udp):
                closed.setdefault((target, port, "udp"), []).append(f"from {source}: no packet arrives")
    for (target, port, protocol), lines in sorted(closed.items()):
        yield _closed(seen[target], nodes[target], port, protocol, lines)
    active = {name: one for name, one in seen.items() if _is_active(survey, name)}
    yield from _too_large(active, nodes, settings.swarm.data_path_port)


def untried(settings: "Settings", survey: Survey, looks: Sequence[Evidence]) -> Iterator[str]:
    """The nodes between which UDP was not tried, because they did not listen at the same time, and a port that nobody tried."""
    seen, udp = _looked(survey, looks), _tried(settings, survey)
    nodes = {node.name: node for node in settings.nodes}
    pairs = [
        f"{source} to {target}"
        for source, target in _pairs(seen, nodes)
        if not _listened_together(seen[source], seen[target]) and _unheard(seen[target], source, udp)
    ]
    if pairs:
        more = f" and {len(pairs) - SHOWN} more ways" if len(pairs) > SHOWN else ""
        yield f"UDP was not tried: {', '.join(pairs[:SHOWN])}{more}. next: requorum doctor"
    if seen and (port := data_path_port(settings, survey)) not in udp:
        yield f"{port}/udp, the swarm's overlay traffic, was not tried. next: set requorum:swarm.dataPathPort to {port}"


def _looked(survey: Survey, looks: Sequence[Evidence]) -> Mapping[str, Evidence]:
    """The looks that tried the ports, of nodes that are in the swarm."""
    return {one.node: one for one in looks if one.looked and one.looked.ports and survey.of(one.node).in_swarm}


def _is_active(survey: Survey, name: str) -> bool:
    """Whether a node's engine works in the swarm. One that does not listens at no port of it, and has none of its networks."""
    return survey.of(name).state is LocalState.ACTIVE


def _tried(settings: "Settings", survey: Survey) -> tuple[int, ...]:
    """The UDP ports of the swarm that a look tries: the overlay's only if the settings name the swarm's own."""
    port = settings.swarm.data_path_port
    return (GOSSIP_PORT, port) if port == data_path_port(settings, survey) else (GOSSIP_PORT,)


def _unheard(target: Evidence, source: str, udp: Sequence[int]) -> list[int]:
    """The UDP ports of a node at which no packet of another one arrived."""
    heard = _ports(target).heard
    return [port for port in udp if Heard(source, port, large=False) not in heard]


def _pairs(seen: Mapping[str, Evidence], nodes: Mapping[str, Node]) -> Iterator[tuple[str, str]]:
    """Each node with each other that tried each other: those of one family of addresses."""
    for source in seen:
        for target in seen:
            if source != target and nodes[source].address.version == nodes[target].address.version:
                yield source, target


def _ports(of: Evidence) -> Ports:
    assert of.looked
    assert of.looked.ports
    return of.looked.ports


def _untaken(source: Evidence, target: Evidence, node: Node, survey: Survey) -> Iterator[tuple[int, str]]:
    """The TCP ports of a node that another one could not reach. A worker has no port of managers.

    An engine that does not work in the swarm does not listen, so that its machine refuses connections. That counts only if
    a rule of its own firewall refuses them too: the rule may be why the engine does not work.
    """
    manages = survey.of(node.name).raft and node.role == "manager"
    for one in _ports(source).untaken:
        if one.peer != node.name or not (one.port == GOSSIP_PORT or (one.port == node.listen_port and manages)):
            continue
        rejected = any(_is_about(rule, one.port, "tcp") and "REJECT" in rule.split() for rule in _ports(target).rules)
        if one.why != REFUSED or _is_active(survey, node.name) or rejected:
            yield one.port, one.why


def _listened_together(one: Evidence, other: Evidence) -> bool:
    """Whether both listened at the same time for long enough, by this machine's clock, as far as that is sure."""
    begins, ends = [], []
    for seen in (one, other):
        low, high = bounds(seen)
        begins.append(_ports(seen).began - low)
        ends.append(_ports(seen).ended - high)
    return min(ends) - max(begins) >= OVERLAP_SECONDS


def _closed(seen: Evidence, node: Node, port: int, protocol: str, lines: Sequence[str]) -> Finding:
    rules = tuple(rule for rule in _ports(seen).rules if _closes(rule, port, protocol))
    more = (f"and from {len(lines) - SHOWN} more",) if len(lines) > SHOWN else ()
    evidence = (*lines[:SHOWN], *more, *(f"its firewall has the rule {rule}" for rule in rules))
    trouble = (
        f"{port}/{protocol} of {node.name} does not pass from {len(lines)} other node{'s' if len(lines) > 1 else ''}"
    )
    proposals: tuple[Proposal, ...] = ()
    address = node.data_path if protocol == "udp" and port != GOSSIP_PORT else node.address
    if rules:
        program = "iptables" if address.version == 4 else "ip6tables"
        runs = (Run(node.name, (program, "-w", "5", "-D", *shlex.split(rule)[1:])) for rule in rules)
        proposals = (on_node(Remedy.NETWORK, "removes the rules until somebody or a service adds them again", *runs),)
    by_hand = f"let {port}/{protocol} to {address} pass, in the firewalls of the nodes and of the network between them"
    found = (*proposals, Proposal(Remedy.NETWORK, by_hand, "lets the nodes reach each other"))
    return Finding(node.name, trouble, found, Kind.PORT_CLOSED, evidence, detail=f"{port}/{protocol}")


def _closes(rule: str, port: int, protocol: str) -> bool:
    """Whether a rule is one that the operator may remove, and is about that port."""
    return bool(RULE.fullmatch(rule)) and _is_about(rule, port, protocol)


def _is_about(rule: str, port: int, protocol: str) -> bool:
    to = {one for ports in TO.findall(rule) for one in ports.split(",")}
    return str(port) in to and protocol in rule.split()


def _too_large(seen: Mapping[str, Evidence], nodes: Mapping[str, Node], overlay: int) -> Iterator[Finding]:
    """A finding for each node with a device that is too small, and one if only the path is."""
    lost = [
        (source, target)
        for source, target in _pairs(seen, nodes)
        if Heard(source, overlay, large=False) in _ports(seen[target]).heard
        and Heard(source, overlay, large=True) not in _ports(seen[target]).heard
    ]
    small = {name for pair in lost for name in pair if 0 < _ports(seen[name]).mtu < _ports(seen[name]).large}
    usual = Counter(_ports(one).mtu for one in seen.values() if _ports(one).mtu).most_common(1)
    for name in [name for name in seen if name in small]:
        found = _ports(seen[name])
        trouble = (
            f"packets of overlay networks have {found.large} bytes, and its device {found.device} takes {found.mtu}"
        )
        evidence = tuple(
            f"{source} to {target}: a small packet arrives, a large one does not" for source, target in lost
        )
        proposals = tuple(_of_small(nodes[name], found, usual[0][0]))
        yield Finding(name, trouble, proposals, Kind.MTU_SMALL, evidence[:SHOWN], detail=found.device)
    between = [pair for pair in lost if not small & {*pair}]
    if between:
        large = max(_ports(seen[name]).large for pair in between for name in pair)
        trouble = f"packets of overlay networks have {large} bytes, and do not pass between some nodes"
        evidence = tuple(f"{source} to {target}" for source, target in between[:SHOWN])
        yield Finding("network", trouble, (_smaller_networks("what passes"),), Kind.MTU_SMALL, evidence)


def _of_small(node: Node, found: Ports, usual: int) -> Iterator[Proposal]:
    if usual >= found.large and DEVICE.fullmatch(found.device):
        argv = ("ip", "link", "set", "dev", found.device, "mtu", str(usual))
        effect = f"gives the device the {usual} bytes of the other nodes, until it restarts"
        yield on_node(Remedy.NETWORK, effect, Run(node.name, argv))
    yield _smaller_networks(str(found.mtu - VXLAN[node.data_path.version]))


def _smaller_networks(mtu: str) -> Proposal:
    command = f"make the overlay networks again: docker network create --opt com.docker.network.driver.mtu={mtu} …"
    return Proposal(Remedy.NETWORK, command, "lets their packets pass. Services must be taken off a network first")
