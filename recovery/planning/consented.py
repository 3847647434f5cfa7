"""Compares a new plan with the plan that the operator consented to. The new plan must be what remains of it."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

from recovery.planning.plan import Plan
from recovery.planning.steps import Action, Step, finish, join
from recovery.swarm.machines import Node

FREE = frozenset({Action.SAVE, Action.UNLOCK, Action.PROVE})
"""The actions that need no consent: a safety copy and a proof cost nothing, and an engine may start locked at any time.

To finish the return of a member needs none either: it is what Requorum does with each member of the settings. A copy, or the log
of a survivor, may list an earlier entry of a node beside its own.
"""


def with_join(plan: Plan, node: Node) -> Plan:
    """The plan with a join of the node. A new resource is the operator's consent to the join."""
    has_join = any(step.action is Action.JOIN and step.node == node.name for step in plan.steps)
    return plan if has_join else replace(plan, steps=(*plan.steps, join(node)))


def still_valid(consented: Plan, fresh: Plan) -> str:
    """How a fresh plan differs from what remains of the consented plan; empty if it does not differ.

    Each node's steps must be some of its steps in the consented plan, in the same order. The copy or survivor and the costs
    must be the same. An earlier release recorded neither the content of the copy nor the term of the survivor's log. The order
    between nodes is free, because each step has a precondition.
    """
    if fresh.refusal and not fresh.refusal.consent:
        return fresh.refusal.why
    if consented.cluster_id and fresh.cluster_id and fresh.cluster_id != consented.cluster_id:
        return f"the swarm is {fresh.cluster_id}. The plan that Requorum showed is for {consented.cluster_id}"
    differences = chain(_other_steps(consented, fresh), _other_source(consented, fresh), _other_costs(consented, fresh))
    return next(differences, "")


def _other_steps(consented: Plan, fresh: Plan) -> Iterator[str]:
    rest: dict[str, Iterator[Step]] = {}
    for step in fresh.steps:
        if step.action in FREE or step == finish(step.node):
            continue
        remaining = rest.setdefault(step.node, (one for one in consented.steps if one.node == step.node))
        if not any(one.action is step.action for one in remaining):
            yield f"the plan that Requorum showed does not have this step: {step.node}: {step.effect}"


def _other_source(consented: Plan, fresh: Plan) -> Iterator[str]:
    old_source = consented.copy or consented.survivor or "no copy and no survivor"
    for now, before in ((fresh.copy, consented.copy), (fresh.survivor, consented.survivor)):
        if now and now != before:
            yield f"the new plan uses {now}. The plan that Requorum showed uses {old_source}"
    if fresh.copy and fresh.ca != consented.ca:
        yield f"the CA of {fresh.copy} is not the CA in the plan that Requorum showed"
    if fresh.copy and consented.content and fresh.content != consented.content:
        yield f"the content of {fresh.copy} is not the content in the plan that Requorum showed"
    if fresh.survivor and consented.term and fresh.term != consented.term:
        yield f"{fresh.survivor} had a leader again after the plan that Requorum showed"


def _other_costs(consented: Plan, fresh: Plan) -> Iterator[str]:
    if further := set(fresh.moves) - set(consented.moves):
        yield f"the new plan would also move {', '.join(sorted(move.text for move in further))}"
    if fresh.cut and fresh.cut != consented.cut:
        old = consented.cut or "a log that is whole"
        yield f"the repaired log would be that of {fresh.cut}. The plan that Requorum showed is for {old}"
    if fresh.ahead and fresh.ahead != consented.ahead:
        yield f"changes that only copy {fresh.ahead} holds would be lost"
