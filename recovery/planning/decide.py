"""Makes the plan from a diagnosis."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from recovery.copies.copy import Copy
from recovery.planning import steps
from recovery.planning.diagnosis import Diagnosis, Kind
from recovery.planning.from_copy import restore_plan
from recovery.planning.losses import LOCKED_AGAIN, silence
from recovery.planning.plan import Plan, Refusal, Source
from recovery.planning.steps import Step, rebuilds
from recovery.swarm.model import Survivor

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
) -> Plan:
    """What to do about a diagnosis, and its warnings.

    ``survivors`` are ranked, the best first (looked at when the quorum is lost). ``spent`` says that `recover: true`
    was used up before this loss (`recovery.operations.consent`).
    """
    made = _decide(diagnosis, settings, source, survivors, now)
    if made.id:
        made = _with_consent(replace(made, proven=source.proven), settings, spent)
    return replace(made, losses=made.losses + diagnosis.warnings)


def _decide(
    diagnosis: Diagnosis, settings: Settings, source: Source, survivors: tuple[Survivor, ...], now: datetime
) -> Plan:
    match diagnosis.kind:
        case Kind.HEALTHY | Kind.PARTITIONED:
            return Plan(diagnosis.kind, diagnosis.cluster_id, joins(diagnosis, settings))
        case Kind.MINORITY_LOST | Kind.LOCKED:
            made = (*map(steps.unlock, diagnosis.locked), *joins(diagnosis, settings))
            return Plan(diagnosis.kind, diagnosis.cluster_id, made, losses=silence(diagnosis))
        case Kind.ABSENT:
            return _build(diagnosis, settings)
        case Kind.ALL_LOST:
            return restore_plan(diagnosis, settings, source, now)
        case Kind.QUORUM_LOST if survivors and not (diagnosis.stand_ins or _silent_managers(diagnosis, settings)):
            return _force(diagnosis, settings, survivors, source.ahead)
        case _:
            held = tuple(f"survivor {survivor.text}" for survivor in survivors)
            return Plan(diagnosis.kind, losses=held, refusal=refusal_of(diagnosis, settings))


def _with_consent(plan: Plan, settings: Settings, spent: bool) -> Plan:
    """The plan, refused where the settings do not consent to it."""
    if settings.recover == plan.id or (settings.recover is True and not spent and not plan.needs_id):
        return plan
    source = f"the newest good copy is {plan.copy}" if plan.copy else f"the survivor that holds most is {plan.survivor}"
    why = f"{plan.kind}: {source}"
    remedy = f"look at the plan {plan.id}, then run: pulumi up --config recover=true"
    if plan.moves:
        why += f"; it would move {', '.join(move.text for move in plan.moves)}, to which only the plan's ID consents"
        remedy = (
            "give the managers the addresses they had in requorum:managers; or, if no manager runs there any more, look "
            f"at the plan {plan.id}, then run: pulumi up --config recover={plan.id}"
        )
    elif plan.ahead:
        why += f"; but {plan.ahead} holds what was committed and no survivor has, and only the plan's ID consents to lose that"
        remedy = (
            "bring back a manager that went on longer; or go back to that copy (docs/runbooks/quorum-lost.md); or, to "
            f"force from {plan.survivor} all the same, look at the plan {plan.id}, then run: pulumi up --config recover={plan.id}"
        )
    elif settings.recover:
        given = (
            "true was used up before this loss"
            if spent and settings.recover is True
            else f"{settings.recover} is of another plan"
        )
        why += f"; recover: {given}"
        remedy = f"look at the plan {plan.id}, then run: pulumi up --config recover={plan.id}"
    return replace(plan, refusal=Refusal(why, remedy, consent=True))


def _force(diagnosis: Diagnosis, settings: Settings, survivors: tuple[Survivor, ...], ahead: Copy | None) -> Plan:
    best, *others = survivors
    unsure = best.position.index - best.position.commit
    losses = (
        f"chosen between {', '.join(survivor.text for survivor in survivors)}",
        *(
            ("requorum:copy counts for nothing here: no copy is restored while there are survivors",)
            if settings.copy_from
            else ()
        ),
        *(
            (f"the last {unsure} of {best.name}'s entries may never have been committed, and may be dropped",)
            if unsure
            else ()
        ),
        *((f"{ahead.name} holds what was committed and no survivor has: it is lost",) if ahead else ()),
        *(LOCKED_AGAIN if best.locked else ()),
        *silence(diagnosis),
    )
    gone = [node for node in settings.nodes if node.name in diagnosis.missing]
    made = (
        *rebuilds(gone, settings),
        steps.save(", ".join(survivor.name for survivor in survivors)),
        steps.force(settings.node(best.name)),
        *((steps.leave(", ".join(survivor.name for survivor in others)),) if others else ()),
        *(steps.rejoin(survivor.name) for survivor in others),
        *map(steps.join, gone),
        steps.prove("same cluster ID, every manager reachable"),
    )
    return Plan(
        diagnosis.kind,
        diagnosis.cluster_id,
        made,
        survivor=best.name,
        unsure=unsure,
        ahead=ahead.name if ahead else None,
        losses=losses,
    )


def _silent_managers(diagnosis: Diagnosis, settings: Settings) -> list[str]:
    return [manager.name for manager in settings.managers if manager.name in diagnosis.silent]


def _build(diagnosis: Diagnosis, settings: Settings) -> Plan:
    if settings.recover:
        why = f"there is nothing to recover: no node is in a swarm, and S3 holds no copy of cluster {settings.cluster}"
        remedy = "correct requorum:backup or requorum:cluster; to found a new swarm: pulumi config rm recover"
        return Plan(diagnosis.kind, refusal=Refusal(why, remedy))
    first, *others = settings.managers
    joins = map(steps.join, (*others, *settings.workers))
    return Plan(diagnosis.kind, None, (steps.found(first), *joins, steps.prove("every manager is reachable")))


def joins(diagnosis: Diagnosis, settings: Settings) -> tuple[Step, ...]:
    """The steps that make the nodes members of a swarm that has a leader."""
    concerned = [node for node in settings.nodes if node.name in diagnosis.missing + diagnosis.unfinished]
    made = tuple(steps.join(node) if node.name in diagnosis.missing else steps.finish(node.name) for node in concerned)
    return (*map(steps.readdress, diagnosis.misplaced), *map(steps.redirect, diagnosis.stranded), *made)


def refusal_of(diagnosis: Diagnosis, settings: Settings) -> Refusal:
    """Why a diagnosis lets nothing be done, and what to do instead."""
    silent = ", ".join(_silent_managers(diagnosis, settings))
    headline = diagnosis.evidence[0]
    match diagnosis.kind:
        case Kind.FOREIGN:
            remedy = (
                "give the node an address of its own, or take it out of that swarm (docker swarm leave --force, there); "
                "to manage that very swarm, set requorum:clusterId to its ID"
            )
        case Kind.FORKED:
            remedy = "decide which swarm is to live; on each manager of the other: docker swarm leave --force"
        case _ if diagnosis.stand_ins:
            remedy = "see docs/runbooks/unhealthy-manager.md: recover by hand from the stand-in, which may hold most"
        case _:
            headline += f"; not known to be lost: {silent}"
            start = "docker start NODE" if settings.hosts.driver == "docker" else "start the machine"
            fences = ", ".join(f"`requorum fence {name}`" for name in _silent_managers(diagnosis, settings))
            remedy = f"bring {silent} back ({start}; see requorum doctor), or {fences} if it is lost; then run again"
    return Refusal(f"{diagnosis.kind}: {headline}", remedy)
