"""Collects from the nodes and the leader, in parallel, the facts that a proof checks (`recovery/planning/checks.py`).

It changes nothing. `recovery.steps.gossip` restarts engines that do not listen for gossip or do not report.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from time import monotonic, sleep

from recovery.cluster import Cluster
from recovery.errors import TransportError
from recovery.node.engine import Engine
from recovery.node.garbled import garbled
from recovery.node.ssh import Shell
from recovery.parallel import side_by_side
from recovery.swarm.client import IN_SHELL
from recovery.swarm.machines import Node
from recovery.swarm.workload import Inventory, NodeWorkload, Workload
from recovery.waiting import until

GOSSIP_SECONDS = 15.0
"""How long a Ready node may take to open its gossip port: less than a restart takes."""
PAUSE = 0.3
LABEL = "com.docker.swarm.service.name"
"""The engine's own, on every container of a service."""
CONTAINER = re.compile(r"([0-9a-f]{64}|[\w.-]{1,64}) ([\w.-]{1,255})")
"""A line of the answer: a container's ID, and the name of its service."""
ASK_WORKLOAD = (
    "if found=$(ss -Hlnt 'sport = :7946' 2>/dev/null); then [ -n \"$found\" ] && echo open || echo closed; else echo unknown; fi; "
    f'[ -z "$1" ] || timeout 10 {IN_SHELL} ps --no-trunc --filter "label=$1" '
    '--format "{{.ID}} {{.Label \\"$1\\"}}"'
)
"""Prints whether the gossip port is listened on, then, for a worker, each container of a service with the service's name."""


def containers(cluster: Cluster, workers: Sequence[Node]) -> dict[str, Mapping[str, str]]:
    """The service containers that run on each worker that answers: ID to service."""
    return {name: look.containers for name, look in node_workloads(cluster, workers).items()}


def node_workloads(cluster: Cluster, nodes: Sequence[Node]) -> dict[str, NodeWorkload]:
    """What each node that answers does, by its name."""

    def one(node: Node) -> NodeWorkload | None:
        try:
            with cluster.shell(node) as shell:
                return node_workload(shell)
        except TransportError:
            return None

    return {node.name: look for node, look in zip(nodes, side_by_side(one, nodes), strict=True) if look}


def node_workload(shell: Shell) -> NodeWorkload:
    """What the node of an open shell does. Raises: TransportError."""
    label = LABEL if shell.node.role == "worker" else ""
    answer = shell.run(["sh", "-c", ASK_WORKLOAD, "look", label], seconds=15).stdout.decode(errors="replace")
    port, _, listed = answer.partition("\n")
    found = [CONTAINER.fullmatch(line) for line in listed.splitlines()]
    if None in found:
        raise garbled(shell.node.name, "listing its containers", "a line names no container of a service")
    running = {container[1]: container[2] for container in found if container}
    return NodeWorkload({"open": True, "closed": False}.get(port), running)


def running_workload(cluster: Cluster, leader: Node, runs: Callable[[Workload], bool], *, seconds: float) -> Workload:
    """The services and tasks of the swarm, once what must run ``runs``, or after so many ``seconds``.

    Raises: TransportError, EngineError.
    """
    with cluster.shell(leader) as shell:
        engine = Engine(shell)
        return until(lambda: Workload(engine.services(), engine.tasks()), seconds, holds=runs, pause=PAUSE)


def inventory_of(cluster: Cluster, leader: Node) -> Inventory:
    """What the swarm holds. Raises: TransportError, EngineError."""
    with cluster.shell(leader) as shell:
        return Engine(shell).inventory()


def without_gossip(nodes: Sequence[Node], looks: Mapping[str, NodeWorkload]) -> list[Node]:
    """The nodes that do not listen for gossip, as far as can be told."""
    return [node for node in nodes if node.name in looks and looks[node.name].listening is False]


def await_gossip(cluster: Cluster, nodes: Sequence[Node], looks: dict[str, NodeWorkload]) -> dict[str, NodeWorkload]:
    """The looks, after closed gossip ports have had `GOSSIP_SECONDS` to open."""
    end = monotonic() + GOSSIP_SECONDS
    while (closed := without_gossip(nodes, looks)) and monotonic() < end:
        sleep(PAUSE)
        looks = {**looks, **node_workloads(cluster, closed)}
    return looks
