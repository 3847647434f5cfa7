"""How far the swarm is with what the definition of a service asks for: a service that is created, updated or rolled back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recovery.swarm.workload import Service, Task

PAUSED = frozenset({"paused", "rollback_paused"})
ROLLED_BACK = "rollback_completed"
ENDED = frozenset({"", "completed", ROLLED_BACK})
"""States of an update after which the swarm does nothing more (moby, api/types/swarm: UpdateState)."""


@dataclass(frozen=True)
class Rollout:
    """One service on its way to its definition."""

    name: str
    state: str
    """The state of its last update; empty without one."""
    begun: str
    """When this update began, as the engine writes it."""
    done: int
    """The tasks that run and are of the definition."""
    wanted: int
    longest_wait: float = 0.0
    """The seconds that its definition lets the swarm wait between two tasks."""

    @property
    def settled(self) -> bool:
        """Whether the service is as its definition says."""
        return self.state in ENDED and self.done == self.wanted

    @property
    def line(self) -> str:
        """How far it is, in words."""
        how = {"rollback_started": ", the swarm rolls the update back"}.get(self.state, "")
        return f"{self.name}: {self.done} of {self.wanted} tasks run as defined{how}"

    def failure(self, known: str | None) -> str:
        """Why the swarm does not go on; empty if it does. ``known`` is when an update began that was told before."""
        if self.state == "paused":
            return f"the swarm paused its update with {self.done} of {self.wanted} tasks updated"
        if self.state == "rollback_paused":
            return "the swarm paused the rollback of its update"
        if self.state == ROLLED_BACK and self.begun != known:
            return "the swarm rolled its update back"
        return ""


def rollout(service: Service, tasks: Sequence[Task]) -> Rollout:
    """How far a service is. The swarm has a task for each node of a global service, and no number for them."""
    own = [task for task in tasks if task.service_id == service.service_id]
    done = sum(task.running and task.definition == service.definition for task in own)
    wanted = len(own) if service.replicas is None else service.replicas
    return Rollout(service.name, service.update, service.begun, done, wanted, service.longest_wait)


def unsettled(services: Sequence[Service], ids: Mapping[str, str]) -> tuple[str, ...]:
    """What an update should wait for or tell: services that are gone, or whose update the swarm paused. IDs by name."""
    known = {service.service_id: service for service in services}
    gone = (f"{name} is not in the swarm" for name, one in sorted(ids.items()) if one not in known)
    paused = (
        f"the update of {name} is paused"
        for name, one in sorted(ids.items())
        if one in known and known[one].update in PAUSED
    )
    return (*gone, *paused)


def others(services: Sequence[Service], ids: Mapping[str, str]) -> tuple[str, ...]:
    """The services that the swarm has beside these, by name."""
    return tuple(sorted(service.name for service in services if service.service_id not in ids.values()))
