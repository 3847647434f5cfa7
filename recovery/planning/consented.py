"""Whether a plan that is made anew is what is left of the one that the operator saw."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

from recovery.planning.plan import Plan
from recovery.planning.steps import Action, Step, join
from recovery.swarm.machines import Node

FREE = frozenset({Action.SAVE, Action.UNLOCK, Action.PROVE})
"""What costs nothing: a safety copy may be taken at any time, an engine that restarts comes up locked, and every plan may
be closed by a proof."""


def with_join(plan: Plan, node: Node) -> Plan:
    """The plan with a join of the node, if it has none: the operator consents to that by a new resource."""
    planned = any(step.action is Action.JOIN and step.node == node.name for step in plan.steps)
    return plan if planned else replace(plan, steps=(*plan.steps, join(node)))


def still_valid(consented: Plan, fresh: Plan) -> str:
    """How a fresh plan differs from what is left of the one that was consented to; empty where it does not.

    Every node's steps are the last ones, or some, of its steps in the consented plan, in the same order; what they read
    and what they cost is the same. Between nodes there is no order: what one waits for is its step's precondition.
    """
    if fresh.refusal and not fresh.refusal.consent:
        return fresh.refusal.why
    if consented.cluster_id and fresh.cluster_id and fresh.cluster_id != consented.cluster_id:
        return f"the swarm is {fresh.cluster_id}, and the plan was made for {consented.cluster_id}"
    differences = chain(_other_steps(consented, fresh), _other_source(consented, fresh), _other_costs(consented, fresh))
    return next(differences, "")


def _other_steps(consented: Plan, fresh: Plan) -> Iterator[str]:
    left: dict[str, Iterator[Step]] = {}
    for step in fresh.steps:
        if step.action in FREE:
            continue
        planned = left.setdefault(step.node, (one for one in consented.steps if one.node == step.node))
        if not any(one.action is step.action for one in planned):
            yield f"{step.node} is now to {step.effect}, and that was not planned"


def _other_source(consented: Plan, fresh: Plan) -> Iterator[str]:
    for now, before in ((fresh.copy, consented.copy), (fresh.survivor, consented.survivor)):
        if now and now != before:
            yield f"the swarm would come from {now}, not from {before or 'what has its quorum'}"
    if fresh.copy and fresh.ca != consented.ca:
        yield f"the CA of {fresh.copy} is not the one that the plan was made for"


def _other_costs(consented: Plan, fresh: Plan) -> Iterator[str]:
    if further := set(fresh.moves) - set(consented.moves):
        yield f"it would also move {', '.join(sorted(move.text for move in further))}"
    if fresh.cut and fresh.cut != consented.cut:
        yield f"the repaired log would be that of {fresh.cut}, and the plan was made for {consented.cut or 'a log that is whole'}"
    if fresh.ahead and fresh.ahead != consented.ahead:
        yield f"{fresh.ahead} holds committed changes that no survivor has"
