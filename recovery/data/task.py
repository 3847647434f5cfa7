"""Which container is asked for a service's data: that of one running task, and the node that it runs on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from recovery.errors import Refused
from recovery.node.engine import Engine
from recovery.node.ssh import Shell
from recovery.settings import Data, Settings
from recovery.survey.nodes import stable_survey
from recovery.swarm.machines import Node
from recovery.swarm.model import Member, Service, Task


@dataclass(frozen=True)
class TaskLocation:
    """A running task of the service, and its node."""

    service: str
    task: Task
    node: Node
    others: int
    """How many tasks of the service run besides."""
    cluster_id: str

    @property
    def text(self) -> str:
        """As operators are told of it."""
        which = f"task {self.task.slot} of {self.service}" if self.task.slot else f"the task of {self.service}"
        passed = f" ({self.others} other running tasks are left alone)" if self.others else ""
        return f"{which} on {self.node.name}{passed}"

    def given(self, name: str, command: Sequence[str], volume: str | None) -> dict[str, Any]:
        """What `recovery.onnode.streaming` is told of it."""
        return {"name": name, "container": self.task.container, "command": command, "volume": volume}


def find(settings: Settings, data: Data) -> TaskLocation:
    """Ask the swarm where the data's service runs.

    Raises: Refused when no manager answers with a leader, or as `choose`; EngineError, TransportError, HostError.
    """
    leader = stable_survey(settings, nodes=settings.managers).leader
    if leader is None:
        raise Refused(f"looking for {data.service}", "no manager answers with a leader", remedy="requorum status")
    with Shell(leader.node, settings.ssh) as shell:
        chief = Engine(shell)
        services, tasks, members = chief.services(), chief.tasks(), chief.members()
    return choose(data, services, tasks, members, settings.nodes, leader.cluster_id)


def choose(
    data: Data,
    services: Sequence[Service],
    tasks: Sequence[Task],
    members: Sequence[Member],
    nodes: Sequence[Node],
    cluster_id: str = "",
) -> TaskLocation:
    """The running task with the lowest slot; of a global service, that on the node that comes first in the settings: pure.

    Raises: Refused when there is no such service, none of its tasks runs, or none on a node of the settings.
    """
    doing = f"looking for {data.service}"
    service = next((service for service in services if service.name == data.service), None)
    if service is None:
        known = ", ".join(sorted(service.name for service in services)) or "there is none"
        raise Refused(doing, "there is no such service", remedy=f"correct requorum:data to one of: {known}")
    running = [task for task in tasks if task.service_id == service.service_id and task.running and task.container]
    if not running:
        raise Refused(doing, "none of its tasks runs", remedy=f"docker service ps {data.service}, on a manager")
    standing = {member.node_id: node for member in members for node in nodes if member.stands_at(node)}
    known_nodes = [task for task in running if task.node_id in standing]
    if not known_nodes:
        remedy = "add the machine that it runs on to requorum:workers"
        raise Refused(doing, "it runs on no node of the settings", remedy=remedy)
    task = min(known_nodes, key=lambda task: (task.slot, nodes.index(standing[task.node_id]), task.container))
    return TaskLocation(data.service, task, standing[task.node_id], len(running) - 1, cluster_id)
