"""Nodes, services and tasks as swarm's scheduler sees them, and which nodes it may give a task to.

The rules are those of swarmkit (manager/scheduler/filter.go, manager/constraint), without those for plugins and volumes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address, ip_network

from recovery.swarm.entries import Member

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
RUNS = frozenset({"assigned", "accepted", "preparing", "ready", "starting", "running"})
"""The states of a task that has, or will soon have, a container on its node."""


@dataclass(frozen=True)
class Room:
    """A node of the swarm, with what constraints and reservations ask for."""

    member: Member
    os: str = ""
    architecture: str = ""
    cpus: int = 0
    """In billionths."""
    memory: int = 0
    """In bytes."""
    engine_labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def takes_tasks(self) -> bool:
        """Whether the scheduler gives tasks to the node at all."""
        return self.member.ready and self.member.availability == "active"


@dataclass(frozen=True)
class Needs:
    """What a service needs of each node that runs one of its tasks."""

    service: str
    everywhere: bool = False
    """Whether it is a global service, with one task on each suitable node."""
    constraints: tuple[str, ...] = ()
    platforms: tuple[tuple[str, str], ...] = ()
    """Pairs of operating system and architecture; empty for any."""
    most_per_node: int = 0
    """0 for no limit."""
    ports: frozenset[str] = frozenset()
    """The ports that it publishes on the node itself, such as ``8080/tcp``."""
    cpus: int = 0
    memory: int = 0


@dataclass(frozen=True)
class Placed:
    """A task that the swarm wants to run on a node."""

    node_id: str
    needs: Needs


@dataclass(frozen=True)
class Load:
    """Every node of a swarm, and every task that the swarm wants to run."""

    rooms: tuple[Room, ...] = ()
    tasks: tuple[Placed, ...] = ()

    def on(self, node_id: str) -> tuple[Placed, ...]:
        """The tasks on one node."""
        return tuple(task for task in self.tasks if task.node_id == node_id)


Fits = Callable[[Room], bool]
ALONE = "no other node is ready and active"


def without_place(load: Load, node_id: str) -> dict[str, str]:
    """Each service that would lose tasks if the node took none, with the reason that no other node takes them.

    The tasks are given to the other nodes one after the other, the largest first. A global service loses its task on the
    node in any case. It is named only if no other node may run it.
    """
    others = [room for room in load.rooms if room.member.node_id != node_id]
    given = [task for task in load.tasks if task.node_id != node_id]
    found: dict[str, str] = {}
    tasks = sorted(load.on(node_id), key=lambda task: (task.needs.memory, task.needs.cpus), reverse=True)
    for needs in (task.needs for task in tasks):
        left, missing = others, ""
        for reason, fits in _filters(needs, given):
            if left and not (left := [room for room in left if fits(room)]):
                missing = reason
        if missing or not others:
            found.setdefault(needs.service, missing or ALONE)
        elif not needs.everywhere:
            fewest = min(left, key=lambda room: sum(task.node_id == room.member.node_id for task in given))
            given.append(Placed(fewest.member.node_id, needs))
    return found


def _filters(needs: Needs, given: Sequence[Placed]) -> Iterator[tuple[str, Fits]]:
    """The scheduler's filters in turn, each with the reason if it leaves no node."""
    yield ALONE, lambda room: room.takes_tasks
    for constraint in needs.constraints:
        yield f"no other node meets {constraint}", partial(meets, constraint)
    yield "no other node has its platform", lambda room: _has_platform(room, needs)
    if needs.everywhere:
        return
    yield "the other nodes have too little memory or too few CPUs left", lambda room: _has_left(room, needs, given)
    yield (
        f"the other nodes have no free port {', '.join(sorted(needs.ports))}",
        lambda room: not any(task.node_id == room.member.node_id and task.needs.ports & needs.ports for task in given),
    )
    yield (
        f"the other nodes run the most that it allows, {needs.most_per_node} each",
        lambda room: (
            not needs.most_per_node
            or sum(t.node_id == room.member.node_id and t.needs.service == needs.service for t in given)
            < needs.most_per_node
        ),
    )


def meets(constraint: str, room: Room) -> bool:
    """Whether a node meets a constraint such as ``node.labels.disk==ssd``. No node meets one that swarm does not know."""
    key, equal, value = constraint.partition("==")
    if not equal:
        key, unequal, value = constraint.partition("!=")
        if not unequal:
            return False
    key, value = key.strip(), value.strip()
    found = _value(room, key)
    if found is None:
        return False
    same = _is_in(found, value) if key.lower() == "node.ip" else found.lower() == value.lower()
    return same == bool(equal)


def _value(room: Room, key: str) -> str | None:
    """What a node has for the key of a constraint; None for a key that swarm does not know."""
    member = room.member
    known = {
        "node.id": member.node_id,
        "node.hostname": member.hostname,
        "node.ip": member.address,
        "node.role": member.role,
        "node.platform.os": room.os,
        "node.platform.arch": room.architecture,
    }
    for prefix, labels in (("node.labels.", member.labels), ("engine.labels.", room.engine_labels)):
        if key.lower().startswith(prefix):
            return labels.get(key[len(prefix) :], "")
    return known.get(key.lower())


def _is_in(address: str, network: str) -> bool:
    try:
        return ip_address(address) in ip_network(network, strict=False)
    except ValueError:
        return False


def _has_platform(room: Room, needs: Needs) -> bool:
    here = room.os, ARCHITECTURES.get(room.architecture, room.architecture)
    wanted = [(os, ARCHITECTURES.get(architecture, architecture)) for os, architecture in needs.platforms]
    return not wanted or any(os in ("", here[0]) and arch in ("", here[1]) for os, arch in wanted)


def _has_left(room: Room, needs: Needs, given: Sequence[Placed]) -> bool:
    mine = [task.needs for task in given if task.node_id == room.member.node_id]
    cpus, memory = room.cpus - sum(one.cpus for one in mine), room.memory - sum(one.memory for one in mine)
    return needs.cpus <= max(cpus, 0) and needs.memory <= max(memory, 0)
