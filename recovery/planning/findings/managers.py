"""How many managers there are, where they are, and what runs on them."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

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
    """A finding for each manager that runs tasks although there are workers and nobody asked for that."""
    if not (swarm and leader and settings.workers):
        return
    for report in survey.managers:
        entry = survey.entry(report.node)
        names = [one.name for one in swarm.services if entry and entry.node_id in one.runs_on]
        if entry and names and entry.availability == "active" and report.node.availability != "active":
            argv = ("docker", "node", "update", "--availability", "drain", entry.node_id)
            effect = "moves its tasks to the workers. Set its availability in the stack file too"
            drain = on_node(Remedy.SETTING, effect, Run(leader, argv))
            trouble = "a manager runs tasks, which may take the memory and the disk that raft needs"
            evidence = (f"services: {', '.join(sorted(names))}",)
            yield Finding(report.node.name, trouble, (drain,), Kind.MANAGER_WORKS, evidence, Weight.ADVICE)


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
