"""The steps that remain in a swarm with a leader: how each node returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recovery.planning import steps
from recovery.planning.diagnosis import Diagnosis, Kind
from recovery.planning.steps import Step
from recovery.swarm.machines import Node

if TYPE_CHECKING:
    from recovery.settings import Settings


def still_to_do(diagnosis: Diagnosis, settings: Settings) -> tuple[Step, ...]:
    """The steps that finish the quorum, then the steps of every node, stranded workers first."""
    quorum = steps.for_quorum(finish_quorum(diagnosis, settings))
    joins = {step.node for step in quorum if step.action is steps.Action.JOIN}
    stranded = (name for name in diagnosis.stranded if name not in diagnosis.unlisted)
    redirects = tuple(map(steps.redirect, stranded))
    returns = (step for node in settings.nodes if node.name not in joins for step in of_node(diagnosis, node))
    return (*quorum, *redirects, *returns, *demotions(diagnosis, settings))


def finish_quorum(diagnosis: Diagnosis, settings: Settings) -> tuple[Step, ...]:
    """The steps that unlock every manager if there is no leader, then those that finish an interrupted restore or force."""
    usable = (name for name in diagnosis.locked if name not in diagnosis.damaged)
    unlocks = map(steps.unlock, usable if diagnosis.kind is Kind.LOCKED else ())
    proofs = (step for name in diagnosis.unproven for step in (steps.save(name), steps.compare(name)))
    locks = map(steps.lock, diagnosis.opened if settings.swarm.autolock is not False else ())
    return (*unlocks, *proofs, *locks, *_readdresses(diagnosis, settings))


def of_node(diagnosis: Diagnosis, node: Node) -> tuple[Step, ...]:
    """The steps that bring one node back: save and give up its old state, then join. Empty if the node needs none."""
    name, sequence = node.name, []
    damaged = name in diagnosis.damaged and name not in diagnosis.old_logs
    if name in diagnosis.unlisted:
        return unlisted(node)
    if name in diagnosis.old_logs or damaged:
        sequence.append(steps.save(name))
    if damaged:
        gives_up = steps.set_aside if name in diagnosis.halted else steps.leave_damaged
        return (*sequence, gives_up(name), steps.rejoin(name))
    if name in diagnosis.left_behind:
        sequence.append(steps.leave(name))
    elif name in diagnosis.old_logs:
        sequence.append(steps.set_aside(name))
    elif name in diagnosis.locked and diagnosis.kind is not Kind.LOCKED:
        sequence.append(steps.unlock(name))
    if name in diagnosis.missing or (name in diagnosis.old_logs and name not in diagnosis.left_behind):
        sequence.append(steps.join(node))
    elif name in diagnosis.left_behind:
        sequence.append(steps.rejoin(name))
    elif name in diagnosis.unfinished:
        sequence.append(steps.finish(name))
    return tuple(sequence)


def unlisted(node: Node) -> tuple[Step, ...]:
    """The steps that bring back a worker that the swarm does not list."""
    return steps.leave_unlisted(node.name), steps.join(node)


def beside(diagnosis: Diagnosis, settings: Settings) -> Node | None:
    """The second manager, which lets a manager with a former address get its vote back: the first that votes or can join."""
    unable = {*diagnosis.misplaced, *diagnosis.left_alone, *diagnosis.old_logs, *diagnosis.locked}
    return next((manager for manager in settings.managers if manager.name not in unable), None)


def demotions(diagnosis: Diagnosis, settings: Settings) -> tuple[Step, ...]:
    """The steps that demote stand-ins, when no manager of the settings is silent or declared lost any more."""
    waits = any(manager.name in diagnosis.left_alone for manager in settings.managers)
    return () if waits else tuple(map(steps.demote, diagnosis.stand_ins))


def readdress(seed: str, second: Node, joins: tuple[Step, ...]) -> tuple[Step, ...]:
    """The steps that put a manager's new address into the log. A second manager votes, and reaches it through a detour."""
    return (steps.detour(second.name, seed), *joins, steps.readdress(seed), steps.give_vote(seed))


def _readdresses(diagnosis: Diagnosis, settings: Settings) -> tuple[Step, ...]:
    second = beside(diagnosis, settings)
    if second is None:
        return ()
    joins = of_node(diagnosis, second)
    return tuple(step for name in diagnosis.misplaced for step in readdress(name, second, joins))


def rebuilds(diagnosis: Diagnosis, settings: Settings) -> tuple[Step, ...]:
    """The steps that make machines that do not exist. The `existing` driver makes no machines."""
    return tuple(map(steps.rebuild, diagnosis.gone)) if settings.hosts.made else ()
