"""What a swarm holds and runs: its objects, its services with their tasks, and the containers on its nodes."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Inventory:
    """The objects that a swarm holds: their IDs by kind, and the highest ``Version.Index`` of all objects."""

    objects: Mapping[str, frozenset[str]]
    index: int

    def common_with(self, later: "Inventory") -> "Inventory":
        """The objects that are in this inventory and in a later one, at the index of this inventory."""
        both = {kind: ids & later.objects.get(kind, frozenset()) for kind, ids in self.objects.items()}
        return Inventory(both, self.index)

    def missing_from(self, other: "Inventory") -> dict[str, list[str]]:
        """The IDs by kind that this inventory has and ``other`` lacks."""
        lost = {kind: sorted(ids - other.objects.get(kind, frozenset())) for kind, ids in self.objects.items()}
        return {kind: ids for kind, ids in lost.items() if ids}


@dataclass(frozen=True)
class Service:
    """One service, with what a proof checks. Jobs, which end by themselves, are not included."""

    service_id: str
    name: str
    replicas: int | None
    """None for a global service, which has one task on each suitable node."""
    virtual_ips: tuple[tuple[str, str], ...] = ()
    """Pairs of network ID and address."""
    networks: frozenset[str] = frozenset()
    """The IDs of the networks on which the name of the service resolves."""
    update: str = ""
    """The state of the last update. Empty if no update happened."""
    begun: str = ""
    """When its last update began, as the engine writes it."""
    definition: str = ""
    """A digest of what its tasks should be. A task with another one is of an earlier definition."""
    longest_wait: float = 0.0
    """The seconds that its definition lets the swarm wait between two tasks of an update."""


@dataclass(frozen=True)
class Task:
    """One task that the swarm wants to run."""

    service_id: str
    node_id: str
    running: bool
    slot: int = 0
    """The number of the task within a replicated service, from 1. 0 for a global service."""
    container: str = ""
    image: str = ""
    definition: str = ""


@dataclass(frozen=True)
class NodeWorkload:
    """Whether one node listens for gossip (None if unknown), and its service containers (ID to service)."""

    listening: bool | None
    containers: Mapping[str, str]


@dataclass(frozen=True)
class Workload:
    """The services and tasks that the leader reports, and its whole inventory if the caller asked for it."""

    services: tuple[Service, ...] = ()
    tasks: tuple[Task, ...] = ()
    inventory: Inventory | None = None
