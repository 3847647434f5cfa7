"""Diagnosis and plan, as JSON."""

from dataclasses import asdict
from typing import Any

from recovery.cli.show.contract import VERSION
from recovery.operations.assess import Assessment


def plan_json(assessment: Assessment) -> dict[str, Any]:
    """Diagnosis and plan as the contract has them."""
    plan = assessment.plan
    return {
        "version": VERSION,
        "diagnosis": str(assessment.diagnosis.kind),
        "evidence": list(assessment.diagnosis.evidence),
        "id": plan.id,
        "copy": plan.copy,
        "survivor": plan.survivor,
        "unsure": plan.unsure,
        "moves": [{"manager": move.manager, "from": move.old, "to": move.new} for move in plan.moves],
        "ahead": plan.ahead,
        "losses": list(plan.losses),
        "refusal": asdict(plan.refusal) if plan.refusal else None,
        "steps": [{**asdict(step), "action": str(step.action)} for step in plan.steps],
    }
