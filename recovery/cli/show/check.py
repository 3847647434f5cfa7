"""The conditions of a recovery from here, as lines or as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from recovery.cli.show.cluster import Status, conditions_code
from recovery.cli.show.contract import VERSION
from recovery.planning import readiness
from recovery.planning.conditions import Condition, unmet
from recovery.planning.diagnosis import Kind
from recovery.planning.guidance import Guidance

SEVERITY = (0, 1, 3, 5, 4)
"""The exit statuses, the worst last."""


@dataclass(frozen=True)
class Checked:
    """The conditions of a cluster, and what to run next."""

    status: Status
    guidance: Guidance
    conditions: tuple[Condition, ...]
    exit_code: int


def check(status: Status, setup: Sequence[Condition]) -> Checked:
    """The conditions of the swarm and of a recovery, then those of the set-up. A swarm that is not there has only these."""
    if status.diagnosis.kind is Kind.ABSENT:
        return Checked(status, _prepared(status.guidance, setup), tuple(setup), conditions_code(setup))
    down = [f"{node.name} is {node.state}" for node in status.nodes if not node.fine]
    degraded = (*down, *status.diagnosis.warnings)
    swarm = readiness.of_swarm(status.guidance, status.diagnosis.kind, degraded)
    others = [one for one in setup if one.name not in {known.name for known in status.conditions}]
    code = max(status.exit_code, conditions_code(others), key=SEVERITY.index)
    guidance = readiness.completed(status.guidance, status.diagnosis.kind, others)
    return Checked(status, guidance, (*swarm, *status.conditions, *others), code)


def lines(checked: Checked) -> tuple[str, ...]:
    """The state, a line for each condition, and what to run next."""
    guidance = checked.guidance
    meaning = (guidance.meaning,) if guidance.meaning else ()
    conditions = (condition.line for condition in checked.conditions)
    return (f"cluster {checked.status.cluster}: {guidance.state}", *conditions, *meaning, *guidance.next)


def as_json(checked: Checked) -> dict[str, Any]:
    """The conditions as JSON of the contract."""
    return {
        "version": VERSION,
        "cluster": checked.status.cluster,
        "diagnosis": str(checked.status.diagnosis.kind),
        **checked.guidance.json,
        "conditions": [condition.json for condition in checked.conditions],
        "exitCode": checked.exit_code,
        "taken": checked.status.taken.isoformat(),
    }


def _prepared(guidance: Guidance, setup: Sequence[Condition]) -> Guidance:
    """The guidance before the swarm is created: the gravest fault of the set-up comes first."""
    faults = unmet(setup)
    if not faults:
        return guidance
    shorts = ", ".join(dict.fromkeys(fault.short for fault in faults))
    return replace(guidance, state=f"{guidance.state}, {shorts}", command=faults[0].remedy)
