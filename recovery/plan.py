"""From a diagnosis to what is to be done: pure. Preview shows the plan; the update is held to the copy or survivor it names."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from recovery import steps
from recovery.catalog import Choice
from recovery.copy import Copy
from recovery.diagnosis import Diagnosis, Kind
from recovery.manifest import Manifest
from recovery.model import Inventory
from recovery.moves import Move
from recovery.release import is_older
from recovery.settings import Node, Settings
from recovery.steps import Step
from recovery.survivors import Survivor

SHOWN = 5
"""Of the IDs of each kind of object that a plan names."""


@dataclass(frozen=True)
class Refusal:
    """Why nothing may be done, and what to do instead."""

    why: str
    remedy: str
    consent: bool = False
    """Whether nothing but the operator's word is missing."""


@dataclass(frozen=True)
class Plan:
    """Ordered steps, or a refusal; both where only the operator's word is missing. Neither: nothing to do."""

    kind: Kind
    cluster_id: str | None = None
    steps: tuple[Step, ...] = ()
    copy: str | None = None
    """Name of the copy that a restore reads."""
    ca: str | None = None
    """The digest of that copy's CA: nothing under another is restored."""
    vouched: bool = False
    """Whether a living node knows that CA, or the operator named the copy."""
    survivor: str | None = None
    """Name of the manager that a new cluster is forced from."""
    unsure: int = 0
    """How many of the survivor's last entries were never known to be committed, and may be dropped."""
    moves: tuple[Move, ...] = ()
    """The managers that a restore brings back at other addresses than they had: `recover: true` does not cover that."""
    ahead: str | None = None
    """Name of a copy that holds what no survivor has: nor does it cover that."""
    proven: str = ""
    """The newest report: a proof ends all consent that was given before, as the same survivor may be chosen at the next loss."""
    losses: tuple[str, ...] = ()
    """What the plan cannot bring back, and what was passed over."""
    refusal: Refusal | None = None

    @property
    def id(self) -> str:
        """What a recovery is consented to by: the same for the same diagnosis, cluster, source and what it costs,
        until the next proof; empty for other plans."""
        source = self.copy or self.survivor
        if source is None:
            return ""
        costs = (*(move.text for move in self.moves), str(self.ahead))
        said = "\0".join((self.kind, str(self.cluster_id), source, *costs, self.proven))
        return "r" + hashlib.sha256(said.encode()).hexdigest()[:7]

    @property
    def needs_id(self) -> bool:
        """Whether nothing but its ID in the settings consents to it: it costs what `recover: true` says nothing of."""
        return bool(self.moves or self.ahead)

    def agreed(self) -> "Plan":
        """The plan once the operator has given the word that was missing; elsewhere, only its ID in the settings is that."""
        given = self.refusal and self.refusal.consent and not self.needs_id
        return replace(self, refusal=None) if given else self

    @property
    def lines(self) -> tuple[str, ...]:
        """The plan as preview shows it."""
        numbered = tuple(f"{number}. {step.node}: {step.effect}" for number, step in enumerate(self.steps, 1))
        return numbered + tuple(f"note: {loss}" for loss in self.losses)


_LOCKED_AGAIN = (
    "the swarm is autolocked: it is opened with the key in escrow, and locked again with a new one, kept there too",
)


@dataclass(frozen=True)
class Source:
    """What a restore would read, and what is known of it; looked for when all managers are lost."""

    choice: Choice | None = None
    """The copy."""
    rejected: tuple[str, ...] = ()
    """Why newer ones were passed over."""
    newer: Choice | None = None
    """The newest of these, as far as its manifest can be read: it tells what is lost."""
    cas: frozenset[str] = frozenset()
    """The digests of the CA that living nodes know."""
    engine: str = ""
    """The version of the engine that it would be restored on, where that answers."""
    moved: tuple[Move, ...] = ()
    """The managers that would come back elsewhere."""
    ahead: Copy | None = None
    """With survivors: a copy that holds what none of them has."""
    proven: str = ""
    """The newest report."""


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
    was used up before this loss (`recovery.consent`).
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
            return Plan(diagnosis.kind, diagnosis.cluster_id, _joins(diagnosis, settings))
        case Kind.MINORITY_LOST | Kind.LOCKED:
            made = (*map(steps.unlock, diagnosis.locked), *_joins(diagnosis, settings))
            return Plan(diagnosis.kind, diagnosis.cluster_id, made, losses=_silence(diagnosis))
        case Kind.ABSENT:
            return _build(diagnosis, settings)
        case Kind.ALL_LOST:
            return _restore(diagnosis, settings, source, now)
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
        *(_LOCKED_AGAIN if best.locked else ()),
        *_silence(diagnosis),
    )
    gone = [node for node in settings.nodes if node.name in diagnosis.missing]
    made = (
        *_rebuilds(gone, settings),
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


def _restore(diagnosis: Diagnosis, settings: Settings, source: Source, now: datetime) -> Plan:
    choice, moved = source.choice, source.moved
    passed_over = tuple(f"passed over {reason}" for reason in source.rejected) + tuple(
        f"passed over the copies of {name}: no machine is there to restore them on" for name in diagnosis.away
    )
    if choice is None:
        asked = f" that requorum:copy ({settings.copy_from}) allows" if settings.copy_from else ""
        why = f"all managers are lost and S3 holds no good copy of cluster {settings.cluster}{asked}"
        detail = "".join(f"\n  {line}" for line in passed_over)
        remedy = "correct requorum:backup (bucket, prefix) or requorum:cluster, or bring the copies back; see `requorum backups`"
        return Plan(diagnosis.kind, refusal=Refusal(why + detail, remedy))
    manifest = choice.manifest
    seed = settings.node(manifest.manager)
    gone = [node for node in settings.nodes if node.name in diagnosis.missing]
    others = sorted((node for node in gone if node != seed), key=lambda node: node.role)
    seed_moves = seed.name in {move.manager for move in moved}
    alone = seed_moves and not [node for node in others if node.role == "manager"]
    if refusal := outdated(source.engine, choice, settings) or (_lonely(seed.name) if alone else None):
        return Plan(diagnosis.kind, refusal=refusal)
    taken = choice.copy.dated
    age = (now - taken).total_seconds()
    losses = (
        f"changes to the swarm after {taken:%Y-%m-%d %H:%M:%S} UTC ({age:.0f} s ago) are lost",
        *passed_over,
        *_objects(manifest.inventory, source.newer),
        *_unvouched(manifest, source.cas),
        *((_older(source.engine, manifest),) if is_older(source.engine, manifest.engine) else ()),
        *_elsewhere(moved),
        *(_LOCKED_AGAIN if manifest.autolock else ()),
        *_silence(diagnosis),
    )
    joins = tuple(map(steps.join, others))
    second, rest = (joins[:1], joins[1:]) if seed_moves else ((), joins)
    made = (
        *_rebuilds(gone, settings),
        steps.restore(seed, f"{choice.copy.name}, {_chosen(manifest, settings)}", manifest.cluster_id),
        *second,
        *((steps.readdress(seed.name),) if seed_moves else ()),
        *map(steps.redirect, diagnosis.stranded),
        *rest,
        steps.prove("same cluster ID and inventory, every manager reachable"),
    )
    return Plan(
        diagnosis.kind,
        manifest.cluster_id,
        made,
        copy=choice.copy.name,
        ca=manifest.ca_sha256,
        vouched=manifest.ca_sha256 in source.cas or isinstance(settings.copy_from, str),
        moves=moved,
        losses=losses,
    )


def _objects(chosen: Inventory, newer: Choice | None) -> tuple[str, ...]:
    """Which objects are lost, and which come back, by what a newer copy lists."""
    if newer is None:
        return ()
    listed = newer.manifest.inventory
    told = {"lost": listed.missing_from(chosen), "back, and removed since": chosen.missing_from(listed)}
    return tuple(f"{what}, going by {newer.copy.name}: {_counted(ids)}" for what, ids in told.items() if ids)


def _counted(objects: Mapping[str, Sequence[str]]) -> str:
    more = {kind: f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else "" for kind, ids in objects.items()}
    return "; ".join(f"{kind} {', '.join(ids[:SHOWN])}{more[kind]}" for kind, ids in objects.items())


def _unvouched(manifest: Manifest, cas: frozenset[str]) -> tuple[str, ...]:
    """What is to be said of a copy whose CA no living node knows."""
    if not cas:
        return (
            f"no living node knows the swarm's CA: that the copy's ({manifest.ca_sha256[:12]}…) is that, only Pulumi's state can tell",
        )
    if manifest.ca_sha256 not in cas:
        return (f"the copy's CA ({manifest.ca_sha256[:12]}…) is not the one that the living nodes know",)
    return ()


def _lonely(name: str) -> Refusal:
    why = f"all lost: {name} would be restored at another address, and only with a second manager beside it the swarm takes that up"
    return Refusal(why, "have the machine of another manager up, in no swarm; then run again")


def _elsewhere(moved: tuple[Move, ...]) -> tuple[str, ...]:
    """What follows from other addresses, and what nobody but the operator can know."""
    if not moved:
        return ()
    return (
        f"elsewhere: {', '.join(move.text for move in moved)}",
        f"no machine of this swarm answers at {', '.join(move.old for move in moved)}; if a manager runs there "
        "unheard, or comes back, there are two swarms",
        "whatever knows managers by those addresses (workers that are not named here, clients, DNS, load balancers) finds "
        "nobody: tell it the new ones; such a worker must leave the swarm and join again, and its containers are replaced",
    )


def _chosen(manifest: Manifest, settings: Settings) -> str:
    """How a copy came to be the one."""
    match settings.copy_from:
        case None:
            return f"the newest {manifest.verdict} copy"
        case str():
            return f"which requorum:copy names ({manifest.verdict})"
        case moment:
            return f"the newest {manifest.verdict} copy of {moment} or before, as requorum:copy says"


def outdated(engine: str, choice: Choice, settings: Settings) -> Refusal | None:
    """Why a copy is not restored on an engine of that version; an operator who names the copy takes the risk (`recovery.release`)."""
    manifest = choice.manifest
    if settings.copy_from == choice.copy.name or not is_older(engine, manifest.engine):
        return None
    remedy = (
        f"install engine {manifest.engine} or newer on {manifest.manager}, or name a copy in requorum:copy: "
        f"one by engine {engine} or older, or {choice.copy.name} to try it all the same"
    )
    return Refusal(_older(engine, manifest), remedy)


def _older(engine: str, manifest: Manifest) -> str:
    return (
        f"the engine of {manifest.manager} ({engine}) is older than the copy's ({manifest.engine}): it may not read it, "
        "or drop what it does not know of a service"
    )


def _joins(diagnosis: Diagnosis, settings: Settings) -> tuple[Step, ...]:
    concerned = [node for node in settings.nodes if node.name in diagnosis.missing + diagnosis.unfinished]
    joins = tuple(steps.join(node) if node.name in diagnosis.missing else steps.finish(node.name) for node in concerned)
    return (*map(steps.readdress, diagnosis.misplaced), *map(steps.redirect, diagnosis.stranded), *joins)


def _rebuilds(gone: Sequence[Node], settings: Settings) -> tuple[Step, ...]:
    """Containers are made again; existing machines are there, or they are named lost and left alone."""
    return () if settings.hosts.driver == "existing" else tuple(steps.rebuild(node.name) for node in gone)


def _silence(diagnosis: Diagnosis) -> tuple[str, ...]:
    return tuple(f"{name} is silent and not known to be lost: it is left alone" for name in diagnosis.silent)


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
