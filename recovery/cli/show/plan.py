"""Diagnosis and plan, as JSON."""

from dataclasses import asdict
from typing import Any

from recovery.cli.show.contract import VERSION, error_object
from recovery.errors import Refused
from recovery.operations.assess import Assessment
from recovery.planning.guidance import Guidance
from recovery.planning.objections import precondition


def plan_json(assessment: Assessment, guidance: Guidance, error: Refused | None = None) -> dict[str, Any]:
    """Diagnosis and plan as JSON of the contract. ``error`` is why `pulumi up` would refuse to begin."""
    plan = assessment.plan
    return {
        "version": VERSION,
        "diagnosis": str(assessment.diagnosis.kind),
        **guidance.json,
        "evidence": list(assessment.diagnosis.evidence),
        "id": plan.id,
        "copy": plan.copy,
        "survivor": plan.survivor,
        "unsure": plan.unsure,
        "moves": [{"manager": move.manager, "from": move.old, "to": move.new} for move in plan.moves],
        "ahead": plan.ahead,
        "cut": plan.cut,
        "without": list(plan.without),
        "losses": list(plan.losses),
        "changes": list(assessment.changes.lines),
        "refusal": asdict(plan.refusal) if plan.refusal else None,
        "error": error_object(error) if error else None,
        "steps": [
            {
                "action": str(step.action),
                "node": step.node,
                "effect": step.effect,
                "precondition": precondition(step.action),
                "postcondition": step.postcondition,
                "repeatable": step.repeatable,
            }
            for step in plan.steps
        ],
    }
