"""Placement constraints against the nodes, as the swarm reads them (swarmkit, manager/constraint)."""

import re
from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from recovery.swarm.evidence import NodeSeen

FORM = re.compile(r"\s*(\S+?)\s*(==|!=)\s*(.*?)\s*")
IP = "node.ip"


def unmet(constraints: Sequence[str], nodes: Sequence[NodeSeen]) -> tuple[tuple[str, ...], bool]:
    """The constraints that no node meets which could take a task, and whether no node meets all of them."""
    able = [node for node in nodes if takes_tasks(node)]
    lacking = tuple(one for one in constraints if not any(is_met(one, node) for node in able))
    together = any(meets(constraints, node) for node in able)
    return lacking, bool(constraints) and not together


def meets(constraints: Sequence[str], node: NodeSeen) -> bool:
    """Whether a node meets all of them."""
    return all(is_met(one, node) for one in constraints)


def takes_tasks(node: NodeSeen) -> bool:
    """Whether the swarm gives tasks to that node at all."""
    return node.attributes.get("availability") == "active" and node.attributes.get("state") == "ready"


def is_met(constraint: str, node: NodeSeen) -> bool:
    """Whether a node meets a constraint. One that is in no known form is met: the swarm would have refused it."""
    parts = FORM.fullmatch(constraint)
    if parts is None:
        return True
    key, sign, wanted = parts.groups()
    has = node.attributes.get(key if key.startswith(("node.labels.", "engine.labels.")) else key.lower(), "")
    same = _is_in(has, wanted) if key.lower() == IP else has.casefold() == wanted.casefold()
    return same is (sign == "==")


def _is_in(address: str, wanted: str) -> bool:
    try:
        return ip_address(address) in ip_network(wanted, strict=False)
    except ValueError:
        return False
