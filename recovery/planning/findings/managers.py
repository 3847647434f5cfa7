"""How many managers there are, where they are, and what runs on them."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from recovery.planning.findings.constraints import meets, takes_tasks
from recovery.planning.findings.finding import Finding, Kind, Proposal, Remedy, Run, Weight, on_node
from recovery.swarm.evidence import SwarmSeen
from recovery.swarm.model import Survey

if TYPE_CHECKING:
    from recovery.settings import Settings

MOST = 7
"""More managers make every write slower and the quorum no safer (docs.docker.com, Administer and maintain a swarm)."""


def judge(settings: "Settings", survey: Survey, leader: str, swarm: SwarmSeen | None) -> Iterator[Finding]:
    """Advice on managers."""
    if len(settings.managers) > MOST:
        trouble = f"{len(settings.managers)} managers: every change waits for {len(settings.managers) // 2 + 1} of them"
        hand = Proposal(
            Remedy.SETTING, f"keep at most {MOST} in requorum:managers, then: pulumi up", "makes changes faster"
        )
        yield Finding("cluster", trouble, (hand,), Kind.MANAGERS_MANY, weight=Weight.ADVICE)
    yield from _working(settings, survey, leader, swarm)
    yield from _together(settings)


def _working(settings: "Settings", survey: Survey, leader: str, swarm: SwarmSeen | None) -> Iterator[Finding]:
    """A finding for each manager that runs tasks that a worker could run, and nobody asked for that."""
    if not (swarm and leader and settings.workers):
        return
    for report in survey.managers:
        entry = survey.entry(report.node)
        if not entry or entry.availability != "active" or report.node.availability == "active":
            continue
        tasks = Tasks.on(entry.node_id, swarm)
        if tasks.movable:
            trouble = "a manager runs tasks, which may take the memory and the disk that raft needs"
            evidence = (f"services: {', '.join((*tasks.movable, *tasks.bound))}",)
            proposals = (tasks.drained(entry.node_id, leader, "Set its availability in the stack file too"),)
            yield Finding(report.node.name, trouble, proposals, Kind.MANAGER_WORKS, evidence, Weight.ADVICE)


@dataclass(frozen=True)
class Tasks:
    """The services with tasks on a node: those that another node takes, those that would have no place elsewhere, and the global
    ones, whose tasks end with their node."""

    movable: tuple[str, ...]
    bound: tuple[str, ...]
    ending: tuple[str, ...] = ()

    @classmethod
    def on(cls, node_id: str, swarm: SwarmSeen) -> Self:
        """The services on the node of that ID. A worker takes a service if it meets all its constraints."""
        present = sorted((one for one in swarm.services if node_id in one.runs_on), key=lambda one: one.name)
        here = [one for one in present if not one.everywhere]
        workers = [node for node in swarm.nodes if takes_tasks(node) and node.attributes.get("node.role") == "worker"]
        movable = [one for one in here if any(meets(one.constraints, worker) for worker in workers)]
        bound = tuple(one.name for one in here if one not in movable)
        return cls(tuple(one.name for one in movable), bound, tuple(one.name for one in present if one.everywhere))

    def drained(self, node_id: str, leader: str, further: str) -> Proposal:
        """The command that drains the node; by hand if a service would stop."""
        run = Run(leader, ("docker", "node", "update", "--availability", "drain", node_id))
        ends = f". Of {', '.join(self.ending)}, which each node has, its task ends" if self.ending else ""
        if self.bound:
            effect = f"moves tasks to the workers. No worker takes {', '.join(self.bound)}: it waits, or another manager takes it"
            return Proposal(Remedy.SETTING, run.where, f"{effect}{ends}. {further}")
        return on_node(Remedy.SETTING, f"moves its tasks to the workers{ends}. {further}", run)


def _together(settings: "Settings") -> Iterator[Finding]:
    """A finding for each zone with two managers more than another zone has, or with the quorum."""
    of_zones = Counter(node.zone for node in settings.managers if node.zone)
    zones = dict.fromkeys([node.zone for node in settings.nodes if node.zone])
    free = [zone for zone in zones if not of_zones[zone]]
    for zone, count in of_zones.items():
        if count > 1 and free:
            names = [node.name for node in settings.managers if node.zone == zone]
            trouble = f"{' and '.join(names)} are in zone {zone}, and zone {free[0]} has no manager"
            hand = Proposal(
                Remedy.SETTING, f"move one of them to zone {free[0]}, then: pulumi up", "lets the quorum survive a zone"
            )
            yield Finding(zone, trouble, (hand,), Kind.ONE_ZONE, settings.weaknesses, Weight.ADVICE)
