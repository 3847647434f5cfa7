"""systemd units that failed."""

import re
from collections.abc import Iterator

from recovery.planning.findings.finding import Finding, Kind, Proposal, Remedy, Run, Weight, on_node
from recovery.swarm.evidence import Evidence, Unit
from recovery.swarm.model import NodeReport

NAME = re.compile(r"[\w:.\\@-]+\.\w+")
"""systemd.unit(5): a valid unit name."""
ENGINE = frozenset({"docker.service", "docker.socket", "containerd.service"})
"""A restart of these goes through `requorum restart`, which asks whether the quorum survives it."""


def judge(seen: Evidence, report: NodeReport) -> Iterator[Finding]:
    """A finding for each failed unit. An engine that fails over its log or its disk is a finding with another repair."""
    known = ENGINE if report.damage or report.full else frozenset()
    for unit in seen.looked.units if seen.looked else ():
        if NAME.fullmatch(unit.name) and unit.name not in known:
            trouble = f"unit {unit.name} failed" + (f": {unit.why}" if unit.why else "")
            evidence = tuple(unit.lines[-5:])
            weight = Weight.URGENT if unit.name in ENGINE else Weight.SOON
            yield Finding(
                seen.node, trouble, (_proposal(seen.node, unit),), Kind.UNIT_FAILED, evidence, weight, unit.name
            )


def _proposal(node: str, unit: Unit) -> Proposal:
    if unit.name in ENGINE:
        return Proposal(
            Remedy.RESTART, f"requorum restart {node}", "restarts the Docker engine, if the quorum survives that"
        )
    effect = "starts the unit again. If it fails again, its journal says why"
    return on_node(Remedy.UNIT, effect, Run(node, ("systemctl", "restart", "--", unit.name)))
