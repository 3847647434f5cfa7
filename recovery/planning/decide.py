"""Makes the plan from a diagnosis."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from recovery.planning import damaged, steps
from recovery.planning.diagnosis import Diagnosis, Kind
from recovery.planning.from_copy import needs_second_manager, restore_plan
from recovery.planning.losses import LOCKED_AGAIN, left_alone, without_unnamed
from recovery.planning.plan import Plan, Refusal, Source
from recovery.planning.returning import beside, rebuilds, still_to_do
from recovery.planning.steps import Step
from recovery.swarm.survivor import Survivor

if TYPE_CHECKING:
    from recovery.settings import Settings


def make_plan(
    diagnosis: Diagnosis,
    settings: Settings,
    source: Source,
    survivors: tuple[Survivor, ...],
    now: datetime,
    *,
    spent: bool = False,
    typed: bool = False,
) -> Plan:
    """The plan for a diagnosis, with its warnings.

    ``survivors`` are ranked, the best first. Only a lost quorum needs them. ``spent`` says that `recover: true` was set
    before this loss (`recovery.operations.consent`). ``typed`` says that a person gave the flag for this run.
    """
    plan = _decide(diagnosis, settings, source, survivors, now)
    if plan.id:
        plan = _with_consent(replace(plan, proven=source.proven), settings.recover, spent=spent, typed=typed)
    return replace(plan, losses=plan.losses + diagnosis.warnings)


def _decide(
    diagnosis: Diagnosis, settings: Settings, source: Source, survivors: tuple[Survivor, ...], now: datetime
) -> Plan:
    if refusal := damaged.disk_full(diagnosis):
        return Plan(diagnosis.kind, refusal=refusal)
    match diagnosis.kind:
        case Kind.HEALTHY | Kind.PARTITIONED | Kind.MINORITY_LOST | Kind.LOCKED:
            if diagnosis.misplaced and not beside(diagnosis, settings):
                return Plan(diagnosis.kind, refusal=needs_second_manager(diagnosis.misplaced[0]))
            sequence = (*rebuilds(diagnosis, settings), *still_to_do(diagnosis, settings))
            notes = () if diagnosis.kind in (Kind.HEALTHY, Kind.PARTITIONED) else left_alone(diagnosis)
            return Plan(diagnosis.kind, diagnosis.cluster_id, sequence, losses=notes)
        case Kind.ABSENT:
            return _build(diagnosis, settings)
        case Kind.ALL_LOST:
            return restore_plan(diagnosis, settings, source, now)
        case Kind.QUORUM_LOST if survivors and not (diagnosis.stand_ins or _silent_managers(diagnosis, settings)):
            return _force(diagnosis, settings, survivors, source)
        case _:
            notes = tuple(f"survivor {survivor.text}" for survivor in survivors)
            return Plan(diagnosis.kind, losses=notes, refusal=refusal_of(diagnosis, settings))


def _with_consent(plan: Plan, recover: bool | str, *, spent: bool, typed: bool) -> Plan:
    """The plan, with a refusal if the operator did not consent to it."""
    if recover == plan.id or (recover is True and (typed or not spent) and not plan.needs_id):
        return plan
    effect = (
        f"restores the swarm from the copy {plan.copy}"
        if plan.copy
        else f"forces a new cluster from {plan.survivor}, the survivor whose log reaches furthest"
    )
    why = f"plan {plan.id} {effect}, and needs your consent"
    remedy = plan.consent
    if plan.without:
        unseen = ", ".join(plan.without)
        why += (
            f". It goes on without managers that no settings name and that may still run: {unseen}. Only the plan's ID consents "
            "to that"
        )
        remedy = f"if a manager at {unseen} runs, add it to requorum:managers. If they are off for good: {remedy}"
    elif plan.moves:
        moves = ", ".join(move.text for move in plan.moves)
        why += (
            f". It moves {moves}. Only the plan's ID consents to these moves. If a manager still runs at an old address, "
            "give the managers their old addresses in requorum:managers instead"
        )
        remedy = f"if no manager runs at an old address any more: {remedy}"
    elif plan.ahead:
        why += f". Changes that only copy {plan.ahead} holds are lost. Only the plan's ID consents to the loss of these changes"
        remedy = (
            "bring back a manager that continued longer, or restore the copy (docs/runbooks/quorum-lost.md). "
            f"To force from {plan.survivor} anyway: {remedy}"
        )
    elif plan.cut:
        why += f". Its log is damaged, and the repaired log ends for {plan.cut}. Only the plan's ID consents to that"
    elif plan.copy and not plan.vouched:
        why += f". No living node and no requorum:caSha256 confirms its CA ({plan.ca}). Only the plan's ID consents to that"
    elif recover is True:
        why += ". The recover: true in the stack file was set before this loss, or S3 has no signed note that it counts"
    elif recover:
        why += f". The ID {recover} in requorum:recover belongs to another plan"
    return replace(plan, refusal=Refusal(why, remedy, consent=True, code="consent-needed"))


def _force(diagnosis: Diagnosis, settings: Settings, survivors: tuple[Survivor, ...], source: Source) -> Plan:
    best = survivors[0]
    if best.useless:
        return Plan(diagnosis.kind, refusal=damaged.nothing_usable(diagnosis, survivors))
    return Plan(
        diagnosis.kind,
        diagnosis.cluster_id,
        _forcing(diagnosis, settings, survivors),
        survivor=best.name,
        term=best.position.term,
        unsure=best.position.index - best.position.commit,
        ahead=source.ahead.name if source.ahead else None,
        cut=best.cut or None,
        without=source.without,
        losses=_losses(diagnosis, settings, survivors, source),
    )


def _losses(
    diagnosis: Diagnosis, settings: Settings, survivors: tuple[Survivor, ...], source: Source
) -> tuple[str, ...]:
    """What a forced new cluster cannot bring back, and what the operator must know about it."""
    best, ahead = survivors[0], source.ahead
    unsure = best.position.index - best.position.commit
    return (
        f"survivors, the best first: {', '.join(survivor.text for survivor in survivors)}",
        *(
            ("requorum:copy has no effect: Requorum restores no copy while a manager survives",)
            if settings.copy_from
            else ()
        ),
        *(
            (f"entries of {best.name}'s log that are not known to be committed, and may be lost: {unsure}",)
            if unsure
            else ()
        ),
        *damaged.losses(best, source.newer),
        *((f"changes that only copy {ahead.name} holds are lost",) if ahead else ()),
        *without_unnamed(source.without),
        *(LOCKED_AGAIN if best.locked else ()),
        *left_alone(diagnosis),
    )


def _forcing(diagnosis: Diagnosis, settings: Settings, survivors: tuple[Survivor, ...]) -> tuple[Step, ...]:
    """The steps from the survivors to a swarm with every manager."""
    best, *others = survivors
    opens = best.locked and not best.damage
    repairs = best.damage and not best.in_place
    given_up = {one.name for one in others if one.name in diagnosis.old_logs or one.name in diagnosis.halted}
    other_names = {survivor.name for survivor in others}
    returns = [node for node in settings.nodes if node.name in other_names or node.name in diagnosis.missing]
    known = {*diagnosis.holders, *diagnosis.missing, *diagnosis.left_alone}
    promoted = [manager.name for manager in settings.managers if manager.name not in known]
    return (
        *rebuilds(diagnosis, settings),
        *steps.for_quorum(steps.save(survivor.name) for survivor in survivors),
        *steps.for_quorum([steps.open_key_file(best.name)] if opens else ()),
        *steps.for_quorum([steps.repair(best.name, best.end)] if repairs else ()),
        *steps.for_quorum([steps.force(settings.node(best.name))]),
        *steps.for_quorum([steps.compare(best.name)] if best.name in diagnosis.unproven else ()),
        *steps.for_quorum([steps.lock(best.name)] if best.locked and settings.swarm.autolock is not False else ()),
        *steps.for_quorum(steps.leave(one.name) for one in others if one.name not in given_up),
        *(steps.set_aside(one.name) for one in others if one.name in given_up),
        *(steps.rejoin(node.name) if node.name in other_names else steps.join(node) for node in returns),
        *map(steps.finish, promoted),
        steps.prove("same cluster ID, every manager reachable"),
    )


def _silent_managers(diagnosis: Diagnosis, settings: Settings) -> list[str]:
    return [manager.name for manager in settings.managers if manager.name in diagnosis.silent]


def _build(diagnosis: Diagnosis, settings: Settings) -> Plan:
    if settings.recover:
        why = f"there is nothing to recover: no node is in a swarm, and S3 holds no copy of cluster {settings.cluster}"
        remedy = "correct requorum:backup or requorum:cluster. To create a new swarm, remove the consent: pulumi config rm recover"
        return Plan(diagnosis.kind, refusal=Refusal(why, remedy, code="nothing-to-recover"))
    first, *others = settings.managers
    joins = (steps.join(node, new=True) for node in (*others, *settings.workers))
    sequence = (*steps.for_quorum([steps.found(first)]), *joins, steps.prove("every manager is reachable"))
    return Plan(diagnosis.kind, None, (*rebuilds(diagnosis, settings), *sequence))


def refusal_of(diagnosis: Diagnosis, settings: Settings) -> Refusal:
    """Why Requorum cannot plan anything for a diagnosis, and what the operator should do."""
    why = f"{diagnosis.kind}: {diagnosis.evidence[0]}"
    if diagnosis.prepared_for:
        remedy = (
            f"set requorum:cluster to {diagnosis.prepared_for}. If {settings.cluster} is right, correct the addresses of its "
            "nodes"
        )
        return Refusal(why, remedy, code="foreign-swarm")
    if diagnosis.kind is Kind.FOREIGN:
        remedy = (
            "check the cluster's name in requorum:cluster, and the node's address. To manage the swarm that the node is in, "
            "set requorum:clusterId to its ID. To take the node out of that swarm, run on it: docker swarm leave --force"
        )
        return Refusal(why, remedy, code="foreign-swarm")
    if diagnosis.kind is Kind.FORKED:
        remedy = "decide which swarm to keep, then run on each manager of the other: docker swarm leave --force"
        return Refusal(why, remedy, code="forked-swarm")
    if diagnosis.stand_ins:
        remedy = "recover by hand from the stand-in, which may hold the newest log: docs/runbooks/unhealthy-manager.md"
        return Refusal(why, remedy, code="stand-in-holds-log")
    names = _silent_managers(diagnosis, settings)
    if unseen := [name for name in names if name in diagnosis.unseen]:
        why += "" if diagnosis.kind is Kind.ACCESS else f"; not seen from here: {', '.join(unseen)}"
        return Refusal(why, "repair the access, as requorum doctor says for each node", code="not-seen")
    if not names:
        return Refusal(why, "find out what each manager reports: requorum doctor", code="no-survivor")
    silent, fences = ", ".join(names), "; ".join(f"requorum fence {name}" for name in names)
    why += f"; not known to be lost: {silent}. A silent manager may be alive"
    remedy = f"bring {silent} back, as requorum doctor says. If a machine is lost, confirm that: {fences}"
    return Refusal(why, remedy, code="silent-manager")
