"""Every finding of a cluster, in the order of priority."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from recovery.planning.conditions import Condition
from recovery.planning.findings import (
    buckets,
    clocks,
    conditions,
    disks,
    drbd,
    layers,
    machines,
    managers,
    ports,
    services,
    units,
    volumes,
)
from recovery.planning.findings.finding import Finding, Kind
from recovery.s3.safety import Safety
from recovery.swarm.evidence import Evidence, SwarmSeen

if TYPE_CHECKING:
    from recovery.settings import Settings
    from recovery.swarm.model import Survey


def judge(
    settings: "Settings",
    survey: "Survey",
    looks: Sequence[Evidence],
    known: Sequence[Condition],
    safety: Sequence[Safety] = (),
) -> tuple[Finding, ...]:
    """What is wrong beside unhealthy nodes. Of one kind, the findings have the order of the nodes in the settings."""
    order = {kind: number for number, kind in enumerate(Kind)}
    found = (*_found(settings, survey, looks), *conditions.judge(known), *buckets.judge(safety))
    return tuple(sorted(found, key=lambda one: order[one.kind]))


def _found(settings: "Settings", survey: "Survey", looks: Sequence[Evidence]) -> Iterator[Finding]:
    leader, swarm = of_leader(survey, looks)
    for seen in looks:
        yield from disks.judge(seen)
        yield from layers.judge(seen, leader, swarm)
        yield from units.judge(seen)
    yield from services.judge(leader, swarm, looks)
    yield from volumes.judge(settings, survey, leader, swarm, looks)
    yield from clocks.judge(looks)
    yield from ports.judge(settings, survey, looks)
    yield from machines.judge(settings, survey, looks)
    yield from drbd.judge(looks)
    yield from managers.judge(settings, survey, leader, swarm)


def unseen(looks: Sequence[Evidence]) -> Iterator[str]:
    """What was not seen, a line for each node and part. Nodes that do not answer at all are findings of their own."""
    for one in looks:
        if one.looked:
            yield from (f"{one.node}: not looked at: {part}" for part in one.looked.unseen)


def of_leader(survey: "Survey", looks: Sequence[Evidence]) -> tuple[str, SwarmSeen | None]:
    """The manager whose word counts on services, and what it told. Empty without a leader."""
    told = {one.node: one.looked.swarm for one in looks if one.looked and one.looked.swarm}
    first = survey.leader.node.name if survey.leader else ""
    names = [first, *(report.node.name for report in survey.managers if report.led)]
    return next(((name, told[name]) for name in names if name in told), (first, None))
