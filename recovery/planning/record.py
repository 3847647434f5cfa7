"""A plan as plain values. Pulumi stores them in its state for the process that carries out the plan."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from recovery.planning.diagnosis import Kind
from recovery.planning.plan import Plan
from recovery.planning.steps import Action, Step
from recovery.swarm.moved import AddressChange

NOTHING = Plan(Kind.HEALTHY)
"""The consented plan if the state records none, as in a state that an earlier version wrote."""
COMPARED = ("cluster_id", "copy", "content", "ca", "survivor", "term", "ahead", "cut")
"""What a fresh plan is compared with, besides steps and moves."""


def to_record(plan: Plan, steps: Iterable[Step]) -> dict[str, Any]:
    """The plan with only these of its steps; empty without steps."""
    records = [{**asdict(step), "action": str(step.action)} for step in steps]
    if not records:
        return {}
    fields = {key: getattr(plan, key) for key in COMPARED}
    moves = [asdict(move) for move in plan.moves]
    return {"kind": str(plan.kind), **fields, "moves": moves, "steps": records}


def quorum_record(plan: Plan) -> dict[str, Any]:
    """The plan's steps for the quorum, with the lines of the whole plan for readers; empty if there are none."""
    record = to_record(plan, plan.quorum_steps)
    return {**record, "vouched": plan.vouched, "plan": list(plan.lines)} if record else {}


def member_record(plan: Plan, name: str) -> dict[str, Any]:
    """All steps of the plan for a node; empty if it has none outside the steps for the quorum."""
    return to_record(plan, plan.all_of(name)) if plan.steps_of(name) else {}


def source_record(plan: Plan) -> dict[str, Any]:
    """The copy that the plan restores, whose it is, and which node made it; empty without one."""
    seed = next((step.node for step in plan.steps if step.action is Action.RESTORE), "")
    return {"source": {"copy": plan.copy, "manager": seed, "node_id": plan.maker}} if plan.copy else {}


def from_record(record: Mapping[str, Any]) -> Plan:
    """The plan in a record. Pulumi leaves out null values. Raises: ValueError, TypeError, KeyError if the record is no plan."""
    if "steps" not in record:
        return NOTHING
    steps = tuple(Step(**{**step, "action": Action(step["action"])}) for step in record["steps"])
    moves = tuple(AddressChange(**move) for move in record["moves"])
    fields: dict[str, Any] = {key: record[key] for key in COMPARED if record.get(key) is not None}
    return Plan(Kind(record["kind"]), steps=steps, moves=moves, **fields)
