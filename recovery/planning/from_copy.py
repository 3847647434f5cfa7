"""The plan that restores the swarm from a copy."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from recovery.copies.copy import Choice
from recovery.copies.manifest import Manifest
from recovery.planning import steps
from recovery.planning.diagnosis import Diagnosis
from recovery.planning.losses import (
    LOCKED_AGAIN,
    at_other_addresses,
    lost_objects,
    older_engine,
    silence,
    unconfirmed_ca,
)
from recovery.planning.plan import Plan, Refusal, Source
from recovery.planning.steps import rebuilds
from recovery.swarm.engine_version import is_older

if TYPE_CHECKING:
    from recovery.settings import Settings


def restore_plan(diagnosis: Diagnosis, settings: Settings, source: Source, now: datetime) -> Plan:
    """Restore the chosen copy on its manager, and let every other node rejoin; or the refusal."""
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
    if refusal := outdated(source.engine, choice, settings) or (_needs_second_manager(seed.name) if alone else None):
        return Plan(diagnosis.kind, refusal=refusal)
    taken = choice.copy.dated
    age = (now - taken).total_seconds()
    losses = (
        f"changes to the swarm after {taken:%Y-%m-%d %H:%M:%S} UTC ({age:.0f} s ago) are lost",
        *passed_over,
        *lost_objects(manifest.inventory, source.newer),
        *unconfirmed_ca(manifest, source.cas),
        *((older_engine(source.engine, manifest),) if is_older(source.engine, manifest.engine) else ()),
        *at_other_addresses(moved),
        *(LOCKED_AGAIN if manifest.autolock else ()),
        *silence(diagnosis),
    )
    joins = tuple(map(steps.join, others))
    second, rest = (joins[:1], joins[1:]) if seed_moves else ((), joins)
    made = (
        *rebuilds(gone, settings),
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


def _needs_second_manager(name: str) -> Refusal:
    why = f"all lost: {name} would be restored at another address, and only with a second manager beside it the swarm takes that up"
    return Refusal(why, "have the machine of another manager up, in no swarm; then run again")


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
    """Why a copy is not restored on an engine of that version; an operator who names the copy takes the risk (`recovery.swarm.engine_version`)."""
    manifest = choice.manifest
    if settings.copy_from == choice.copy.name or not is_older(engine, manifest.engine):
        return None
    remedy = (
        f"install engine {manifest.engine} or newer on {manifest.manager}, or name a copy in requorum:copy: "
        f"one by engine {engine} or older, or {choice.copy.name} to try it all the same"
    )
    return Refusal(older_engine(engine, manifest), remedy)
