"""The conditions of a recovery from here, as lines or as JSON."""

from typing import Any

from recovery.cli.show.cluster import Status
from recovery.cli.show.contract import VERSION
from recovery.planning import readiness
from recovery.planning.conditions import Condition


def lines(status: Status) -> tuple[str, ...]:
    """The state, a line for each condition, and what to run next."""
    conditions = (condition.line for condition in _conditions(status))
    meaning = (status.guidance.meaning,) if status.guidance.meaning else ()
    return (f"cluster {status.cluster}: {status.guidance.state}", *conditions, *meaning, *status.guidance.next)


def as_json(status: Status) -> dict[str, Any]:
    """The conditions as JSON of the contract."""
    return {
        "version": VERSION,
        "cluster": status.cluster,
        "diagnosis": str(status.diagnosis.kind),
        **status.guidance.json,
        "conditions": [condition.json for condition in _conditions(status)],
        "exitCode": status.exit_code,
        "taken": status.taken.isoformat(),
    }


def _conditions(status: Status) -> tuple[Condition, ...]:
    """The conditions of the swarm itself, then the others."""
    down = [f"{node.name} is {node.state}" for node in status.nodes if not node.fine]
    degraded = (*down, *status.diagnosis.warnings)
    return (*readiness.of_swarm(status.guidance, status.diagnosis.kind, degraded), *status.conditions)
