"""One node in detail, as lines and as JSON: how it stands, its copies, and what it has to do."""

from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from recovery.cli.screen import styled
from recovery.cli.show.cluster import NodeStatus, Status, as_json
from recovery.spans import span
from recovery.survey.load import NodeLoad

MIB = 1 << 20
LOW = 0.1
"""The share of memory or disk that should be free."""


def document(status: Status, node: NodeStatus, load: NodeLoad | None) -> dict[str, Any]:
    """The node as JSON of the contract."""
    (listed,) = (one for one in as_json(status)["nodes"] if one["name"] == node.name)
    return {
        "version": 1,
        "cluster": status.cluster,
        "taken": status.taken.isoformat(),
        **listed,
        "load": _load_json(load),
    }


def _load_json(load: NodeLoad | None) -> dict[str, Any] | None:
    if load is None:
        return None
    return {
        "load": load.load,
        "processors": load.processors,
        "memory": load.memory,
        "freeMemory": load.free_memory,
        "disk": load.disk,
        "freeDisk": load.free_disk,
        "containers": [{"name": one.name, "processor": one.processor, "memory": one.memory} for one in load.containers],
    }


def detail(status: Status, node: NodeStatus, load: NodeLoad | None) -> Group:
    """The node for a terminal. Without a ``load``, nobody could ask it."""
    facts = Table(box=None, pad_edge=False, show_header=False)
    for name, value in _facts(status, node, load):
        facts.add_row(styled(name, "dim"), value)
    parts: list[RenderableType] = [styled(f"{node.name} of cluster {status.cluster}", "bold"), facts]
    if load and load.containers:
        parts.append(_containers(load))
    return Group(*parts)


def _facts(status: Status, node: NodeStatus, load: NodeLoad | None) -> Iterator[tuple[str, RenderableType]]:
    role = "leader" if node.leader else node.role
    yield "role", f"{role}, zone {node.zone}, {node.availability or 'availability not known'}"
    state = node.state if node.fine else f"{node.state}, {node.standing.word or node.reach}"
    yield "state", styled(state, "green" if node.fine else "red")
    yield "address", f"{node.address}, node ID {node.node_id or 'not known'}, engine {node.engine or 'not known'}"
    if node.detail:
        yield "remark", styled(node.detail, "yellow")
    if node.drift:
        yield "drift", styled(f"{node.drift}. next: pulumi up", "yellow")
    if node.role == "manager":
        for name, at in (("last copy", node.last_copy), ("last proven", node.last_proven)):
            yield name, f"{span(status.taken - at)} ago" if at else styled("none", "yellow")
    if load is None:
        yield "load", styled("not known: the node cannot be asked", "yellow")
        return
    yield "load", f"{load.load:.2f} on {load.processors} processors"
    yield "memory", _free(load.free_memory, load.memory)
    yield "disk", _free(load.free_disk, load.disk)
    yield "containers", str(len(load.containers))


def _free(free: int, of: int) -> RenderableType:
    return styled(f"{free // MIB:,} MiB free of {of // MIB:,}", "red" if free < LOW * of else "")


def _containers(load: NodeLoad) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("container", overflow="fold")
    for heading in ("processor", "memory"):
        table.add_column(heading, justify="right")
    for one in load.containers:
        table.add_row(one.name, f"{one.processor:.1f} %", f"{one.memory:.1f} %")
    return table
