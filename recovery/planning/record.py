"""A plan on its way to the process that carries it out: as plain values, as they lie in Pulumi's state."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from recovery.planning.diagnosis import Kind
from recovery.planning.plan import Plan
from recovery.planning.steps import Action, Step
from recovery.swarm.model import AddressChange

NOTHING = Plan(Kind.HEALTHY)
"""What is consented to where no plan is recorded, as in a state that an earlier version wrote."""
KNOWN = ("cluster_id", "copy", "ca", "survivor", "ahead", "cut")
"""What a fresh plan is compared with, besides steps and moves."""


def to_record(plan: Plan, steps: Iterable[Step]) -> dict[str, Any]:
    """The plan with only these of its steps; nothing where there are none."""
    taken = [{**asdict(step), "action": str(step.action)} for step in steps]
    if not taken:
        return {}
    known = {key: getattr(plan, key) for key in KNOWN}
    moves = [asdict(move) for move in plan.moves]
    return {"kind": str(plan.kind), **known, "moves": moves, "steps": taken}


def from_record(record: Mapping[str, Any]) -> Plan:
    """The plan in a record. Pulumi leaves out what is null. Raises: ValueError, TypeError, KeyError where it is none."""
    if "steps" not in record:
        return NOTHING
    steps = tuple(Step(**{**step, "action": Action(step["action"])}) for step in record["steps"])
    moves = tuple(AddressChange(**move) for move in record["moves"])
    known: dict[str, Any] = {key: record.get(key) for key in KNOWN}
    return Plan(Kind(record["kind"]), steps=steps, moves=moves, **known)
