"""The container that holds a service's data: the one of a running task, and its node."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from recovery.cluster import Cluster
from recovery.errors import Refused
from recovery.node.engine import Engine
from recovery.settings import Data
from recovery.survey.nodes import stable_survey
from recovery.swarm.entries import NOBODY, Member, Told, entries_of
from recovery.swarm.machines import Node
from recovery.swarm.workload import Service, Task


@dataclass(frozen=True)
class TaskLocation:
    """A running task of the service, and its node."""

    service: str
    task: Task
    node: Node
    others: int
    """How many other tasks of the service run."""
    cluster_id: str

    @property
    def text(self) -> str:
        """The description for operators."""
        which = f"task {self.task.slot} of {self.service}" if self.task.slot else f"the task of {self.service}"
        passed = f" ({self.others} other running tasks stay untouched)" if self.others else ""
        return f"{which} on {self.node.name}{passed}"

    def given(self, name: str, command: Sequence[str], volume: str | None) -> dict[str, Any]:
        """The arguments for `recovery.onnode.streaming`."""
        return {"name": name, "container": self.task.container, "command": command, "volume": volume}


def find(cluster: Cluster, data: Data) -> TaskLocation:
    """Ask the swarm where the data's service runs.

    Raises: Refused if no manager has a leader, or as `choose`; EngineError, TransportError, HostError.
    """
    seen = stable_survey(cluster)
    leader = seen.leader
    if leader is None:
        doing, why = f"looking for service {data.service}", "no manager reports a leader"
        raise Refused(doing, why, remedy="requorum status", code="no-leader")
    with cluster.shell(leader.node) as shell:
        chief = Engine(shell)
        services, tasks, members = chief.services(), chief.tasks(), chief.members()
    return choose(data, services, tasks, members, cluster.settings.nodes, leader.cluster_id, told=seen.told)


def choose(
    data: Data,
    services: Sequence[Service],
    tasks: Sequence[Task],
    members: Sequence[Member],
    nodes: Sequence[Node],
    cluster_id: str = "",
    *,
    told: Told = NOBODY,
) -> TaskLocation:
    """The running task with the lowest slot. Of a global service, the task on the first node of the settings. Pure.

    Raises: Refused if the service does not exist, or none of its tasks runs on a node of the settings.
    """
    doing = f"looking for service {data.service}"
    service = next((service for service in services if service.name == data.service), None)
    if service is None:
        known = ", ".join(sorted(service.name for service in services)) or "none"
        remedy = f"correct requorum:data. The swarm's services are: {known}"
        raise Refused(doing, "the swarm has no service of that name", remedy=remedy, code="no-such-service")
    running = [task for task in tasks if task.service_id == service.service_id and task.running and task.container]
    if not running:
        remedy = f"on a manager: docker service ps {data.service}"
        raise Refused(doing, "none of its tasks is running", remedy=remedy, code="service-not-running")
    standing = {member.node_id: node for node in nodes for member in entries_of(node, members, told)}
    known_nodes = [task for task in running if task.node_id in standing]
    if not known_nodes:
        why, remedy = "it runs only on machines outside the stack file", "add its machine to requorum:workers"
        raise Refused(doing, why, remedy=remedy, code="service-not-running")
    task = min(known_nodes, key=lambda task: (task.slot, nodes.index(standing[task.node_id]), task.container))
    return TaskLocation(data.service, task, standing[task.node_id], len(running) - 1, cluster_id)
