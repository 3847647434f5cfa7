"""Every finding of a cluster, in the order of priority."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from recovery.plain import line
from recovery.planning.conditions import IDENTITY, Condition, State
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
from recovery.planning.findings.finding import Finding, Kind, Remedy
from recovery.s3.safety import Safety
from recovery.swarm.evidence import Evidence, SwarmSeen
from recovery.swarm.model import ENTERED

if TYPE_CHECKING:
    from recovery.settings import Settings
    from recovery.swarm.model import Survey


CAUSES = frozenset({Kind.DISK_LOW, Kind.CERTIFICATE_ENDS, Kind.CLOCK_APART, Kind.PORT_CLOSED})
"""What keeps an engine or a manager from its work, and a restart does not repair."""


def judge(
    settings: "Settings",
    survey: "Survey",
    looks: Sequence[Evidence],
    known: Sequence[Condition],
    safety: Sequence[Safety] = (),
) -> tuple[Finding, ...]:
    """What is wrong beside unhealthy nodes. Of one kind, the findings have the order of the nodes in the settings."""
    order = {kind: number for number, kind in enumerate(Kind)}
    opens = any(one.name == IDENTITY and one.state is State.OK for one in known)
    found = (*_found(settings, survey, looks, opens=opens), *conditions.judge(known), *buckets.judge(safety))
    return tuple(sorted(found, key=lambda one: order[one.kind]))


def traced(unhealthy: Sequence[Finding], found: Sequence[Finding]) -> tuple[Finding, ...]:
    """The unhealthy nodes, each with the other findings of its own that may be the cause. A restart would not repair those."""
    return tuple(replace(one, evidence=(*one.evidence, *_causes(one, found))) for one in unhealthy)


def _causes(unhealthy: Finding, found: Sequence[Finding]) -> Iterator[str]:
    if unhealthy.proposals[0].remedy is Remedy.RESTART:
        causes = (one for one in found if one.node == unhealthy.node and one.kind in CAUSES)
        yield from (f"it may be the cause: begin with {one.name}" for one in causes)


def _found(settings: "Settings", survey: "Survey", looks: Sequence[Evidence], *, opens: bool) -> Iterator[Finding]:
    leader, swarm = of_leader(survey, looks)
    for seen in looks:
        report = survey.of(seen.node)
        yield from disks.judge(seen, report)
        yield from layers.judge(seen, leader, swarm)
        yield from units.judge(seen, report)
    yield from services.judge(survey, leader, swarm, looks)
    yield from volumes.judge(settings, survey, leader, swarm, looks, opens=opens)
    yield from clocks.judge(looks)
    yield from ports.judge(settings, survey, looks)
    yield from machines.judge(settings, survey, swarm, looks)
    yield from drbd.judge(looks)
    yield from managers.judge(settings, survey, leader, swarm)


def blind(survey: "Survey", looks: Sequence[Evidence]) -> tuple[str, ...]:
    """The nodes that answered and were not looked at, each with the reason. What does not answer is a finding of its own."""
    missing = (one for one in looks if one.looked is None and survey.of(one.node).reach in ENTERED)
    return tuple(f"{one.node}: not looked at: {line(one.fault)}" for one in missing)


def unseen(settings: "Settings", survey: "Survey", looks: Sequence[Evidence]) -> Iterator[str]:
    """What was not seen of nodes that were looked at, a line for each part."""
    for one in looks:
        if one.looked:
            yield from (f"{one.node}: not looked at: {part}" for part in one.looked.unseen)
            slow = (layer.name for layer in one.looked.layers if not layer.counted)
            yield from (f"{one.node}: not counted in time: what container {name} wrote" for name in slow)
    yield from ports.untried(settings, survey, looks)
    if survey.leader and of_leader(survey, looks)[1] is None:
        yield "services were not looked at: no manager told of them. next: requorum doctor"


def of_leader(survey: "Survey", looks: Sequence[Evidence]) -> tuple[str, SwarmSeen | None]:
    """The manager whose word counts on services, and what it told. Empty without a leader."""
    told = {one.node: one.looked.swarm for one in looks if one.looked and one.looked.swarm}
    first = survey.leader.node.name if survey.leader else ""
    names = [first, *(report.node.name for report in survey.managers if report.led)]
    return next(((name, told[name]) for name in names if name in told), (first, None))
