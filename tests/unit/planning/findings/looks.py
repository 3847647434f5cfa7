"""Looks at nodes, as values for tests of what the doctor judges."""

from dataclasses import replace
from typing import Any

from recovery.planning.conditions import IDENTITY, Condition, State
from recovery.planning.findings import all as findings
from recovery.planning.findings.finding import Finding
from recovery.swarm.evidence import Evidence, Looked, SwarmSeen
from tests.unit import factories as make
from tests.unit.planning.test_diagnosis import WORKERS, A, B, C, S, led

AT = 1_700_000_000.0
HEALTHY = make.survey([led(A), led(B), led(C), *WORKERS])
NAMES = ("manager-a", "manager-b", "manager-c", "worker-1", "worker-2")
SWARM = SwarmSeen()


def look(node: str, **found: Any) -> Evidence:
    """A look at one node, which began and ended within the second in which it was asked."""
    return Evidence(node, AT, AT + 6, Looked(AT + 0.5, AT + 5.5, root="/var/lib/docker", **found))


OPENS = Condition(IDENTITY, State.OK, "an identity here opens the copies")


def judged(
    *looks: Evidence, of: Any = S, survey: Any = HEALTHY, known: tuple[Condition, ...] = (OPENS,)
) -> tuple[Finding, ...]:
    """What is found, with nothing to tell of the nodes that are not among the looks."""
    told = {one.node for one in looks}
    rest = tuple(look(node.name) for node in of.nodes if node.name not in told)
    return findings.judge(of, survey, (*looks, *rest), known)


def named(*looks: Evidence, **given: Any) -> list[str]:
    """The names of the findings."""
    return [one.name for one in judged(*looks, **given)]


def only(*looks: Evidence, **given: Any) -> Finding:
    """The one finding."""
    (found,) = judged(*looks, **given)
    return found


def changed(one: Evidence, **found: Any) -> Evidence:
    """The same look with something else."""
    assert one.looked
    return replace(one, looked=replace(one.looked, **found))
