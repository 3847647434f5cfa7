"""Takes the steps of a plan. It plans each step again, compares it with the consented plan, checks it, and carries it out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import takewhile

from recovery.errors import Refused, RequorumError
from recovery.parallel import side_by_side
from recovery.planning.consented import still_valid
from recovery.planning.diagnosis import Diagnosis
from recovery.planning.objections import objection
from recovery.planning.plan import Plan
from recovery.planning.steps import Action, Step
from recovery.steps import journal
from recovery.steps.aside import set_aside
from recovery.steps.compare import compare_with_copy
from recovery.steps.demote import demote_stand_in
from recovery.steps.force import force_new_cluster
from recovery.steps.found import found_swarm
from recovery.steps.join import join_swarm
from recovery.steps.leave import leave_swarm
from recovery.steps.lock import lock_again
from recovery.steps.readdress import take_vote
from recovery.steps.redirect import redirect
from recovery.steps.repair import repair_log
from recovery.steps.restore import restore_copy
from recovery.steps.run import PLAN_AGAIN, Run, planned
from recovery.steps.save import take_safety_copy
from recovery.steps.unlock import open_key_file, unlock_manager

CARRIED_OUT_BY: Mapping[Action, Callable[[Run, Step], None]] = {
    Action.FOUND: found_swarm,
    Action.SAVE: take_safety_copy,
    Action.UNLOCK: unlock_manager,
    Action.OPEN: open_key_file,
    Action.REPAIR: repair_log,
    Action.FORCE: force_new_cluster,
    Action.RESTORE: restore_copy,
    Action.COMPARE: compare_with_copy,
    Action.LOCK: lock_again,
    Action.LEAVE: leave_swarm,
    Action.ASIDE: set_aside,
    Action.JOIN: join_swarm,
    Action.READDRESS: take_vote,
    Action.REDIRECT: redirect,
    Action.DEMOTE: demote_stand_in,
}
"""All actions except REBUILD, which the host driver carries out, and PROVE (`recovery.operations.lifecycle.finish`)."""
SIDE_BY_SIDE = frozenset({Action.SAVE, Action.UNLOCK, Action.LEAVE})
"""The actions that run on several nodes at once. A survivor waits for no other, and one unlocked manager elects no leader."""


@dataclass(frozen=True)
class Phase:
    """A part of a plan that one resource, or one turn of the command line, carries out."""

    doing: str
    takes: Callable[[Run, Step], bool]
    """Whether a step of the plan belongs to the phase."""
    looks: Callable[[Run, Step], None]
    """The survey after a step. It asks the nodes again that the step has changed."""
    may_wait: frozenset[Action] = frozenset()
    """The actions that a later phase, or the next run, takes if they cannot be taken now."""


def carry_out(run: Run, phase: Phase) -> None:
    """Take the steps of a phase, one after the other, until the plan has no more of them.

    Raises: Refused if the new plan has no consent, or if Requorum must not take a step now; errors of the steps.
    """
    while batch := _next(run, phase):
        steps = [step for step in batch if _may_be_taken(run, phase, step)]
        side_by_side(lambda step: _take(run, phase, step), steps)
        run.done |= {(step.action, step.node) for step in batch}
        if steps:
            phase.looks(run, steps[0])


def _next(run: Run, phase: Phase) -> tuple[Step, ...]:
    """The next steps, which run at the same time; empty if the phase is over."""
    diagnosis = run.diagnose()
    fresh = run.plan_anew(diagnosis)
    phase_steps = tuple(step for step in fresh.steps if phase.takes(run, step))
    _require_consented(run.consented, replace(fresh, steps=phase_steps), diagnosis, phase.doing)
    rest = [step for step in phase_steps if (step.action, step.node) not in run.done and _is_wanted(run, step)]
    first = next(iter(rest), None)
    if first is None or first.action not in SIDE_BY_SIDE:
        return tuple(rest[:1])
    return tuple(takewhile(lambda step: step.action is first.action, rest))


def _is_wanted(run: Run, step: Step) -> bool:
    """Whether to take a step. A run that has restored the copy itself takes no safety copy before it compares the swarm."""
    return not (step.action is Action.SAVE and step.gives_quorum) or planned(run.consented, step) is not None


def _require_consented(consented: Plan, fresh: Plan, diagnosis: Diagnosis, doing: str) -> None:
    """Raises: Refused if the fresh plan is not what remains of the consented plan."""
    refusal = fresh.refusal
    if refusal and not refusal.consent:
        raise Refused(doing, f"{refusal.why}\n{diagnosis.text}", remedy=refusal.remedy, code=refusal.code)
    if why := still_valid(consented, fresh):
        raise Refused(doing, f"{why}\n{diagnosis.text}", remedy=PLAN_AGAIN, code="plan-outdated")


def _may_be_taken(run: Run, phase: Phase, step: Step) -> bool:
    """Whether to take a step now. Raises: Refused if Requorum must not take it now, and it cannot wait."""
    why = objection(step, run.survey, copies=run.copied)
    if not why:
        return True
    if step.action not in phase.may_wait:
        raise Refused(f"{phase.doing}: {step.effect}", why, remedy=PLAN_AGAIN, node=step.node, code="plan-outdated")
    run.say(f"{step.node}: not now: {step.effect}, because {why}")
    return False


def _take(run: Run, phase: Phase, step: Step) -> None:
    try:
        with journal.step(run.cluster, step.action, step.node, run.say):
            CARRIED_OUT_BY[step.action](run, step)
    except RequorumError as error:
        if step.action not in phase.may_wait:
            raise
        run.say(f"{step.node}: this step failed: {step.effect}. A later step for the node repeats it: {error}")
