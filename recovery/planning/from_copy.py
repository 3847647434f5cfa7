"""The plan that restores the swarm from a copy."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from recovery.copies.copy import Choice
from recovery.copies.manifest import Manifest
from recovery.planning import steps
from recovery.planning.diagnosis import Diagnosis
from recovery.planning.losses import (
    LOCKED_AGAIN,
    at_other_addresses,
    left_alone,
    lost_objects,
    older_engine,
    unconfirmed_ca,
)
from recovery.planning.plan import Plan, Refusal, Source
from recovery.planning.returning import readdress, rebuilds
from recovery.swarm.engine_version import is_older

if TYPE_CHECKING:
    from recovery.settings import Settings


def restore_plan(diagnosis: Diagnosis, settings: Settings, source: Source, now: datetime) -> Plan:
    """Restore the chosen copy on its manager, and let every other node rejoin; or the refusal."""
    choice, moved = source.choice, source.moved
    passed_over = tuple(f"passed over {reason}" for reason in source.rejected) + tuple(
        f"passed over the copies of {name}: no machine answers at its address to restore them on"
        for name in diagnosis.away
    )
    if choice is None:
        return Plan(diagnosis.kind, refusal=_without_copy(diagnosis, settings, passed_over))
    manifest = choice.manifest
    seed = settings.node(manifest.manager)
    gone = [node for node in settings.nodes if node.name in diagnosis.missing]
    others = sorted((node for node in gone if node != seed), key=lambda node: node.role)
    seed_moves = seed.name in {move.manager for move in moved}
    alone = seed_moves and not [node for node in others if node.role == "manager"]
    if refusal := outdated(source.engine, choice, settings) or (needs_second_manager(seed.name) if alone else None):
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
        *left_alone(diagnosis),
    )
    joins = tuple(map(steps.join, others))
    second, rest = (readdress(seed.name, others[0], joins[:1]), joins[1:]) if seed_moves else ((), joins)
    made = (
        *rebuilds(diagnosis, settings),
        *steps.for_quorum(
            [steps.restore(seed, f"{choice.copy.name}, {_chosen(manifest, settings)}", manifest.cluster_id)]
        ),
        *steps.for_quorum([steps.compare(seed.name)]),
        *steps.for_quorum(
            [steps.lock(seed.name)] if manifest.autolock and settings.swarm.autolock is not False else ()
        ),
        *steps.for_quorum(second),
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


def _without_copy(diagnosis: Diagnosis, settings: Settings, passed_over: Sequence[str]) -> Refusal:
    """Why no copy can be restored: no machine is there for one, or none is good."""
    if all(manager.name in diagnosis.away for manager in settings.managers):
        addresses = ", ".join(str(manager.address) for manager in settings.managers)
        why = f"all managers are lost, and no machine answers at {addresses} to restore a copy on"
        return Refusal(why, "start a fresh machine at one of these addresses, then: pulumi preview", code="no-machine")
    asked = f" that requorum:copy ({settings.copy_from}) allows" if settings.copy_from else ""
    detail = "".join(f"\n  {line}" for line in passed_over)
    why = f"all managers are lost, and Requorum found no good copy of cluster {settings.cluster}{asked}{detail}"
    remedy = "list the copies and what is wrong with them (requorum backups), then correct requorum:backup or requorum:cluster"
    return Refusal(why, remedy, code="no-good-copy")


def needs_second_manager(name: str) -> Refusal:
    """Why a manager cannot be restored alone at another address."""
    why = (
        f"all lost: the plan restores {name} at another address. It can get its vote at the new address only beside a second "
        "manager, and no machine of another manager answers"
    )
    remedy = "start the machine of another manager, in no swarm, then run the same command again"
    return Refusal(why, remedy, code="second-manager-needed")


def _chosen(manifest: Manifest, settings: Settings) -> str:
    """Why a restore uses this copy."""
    match settings.copy_from:
        case None:
            return f"the newest {manifest.verdict} copy"
        case str():
            return f"the {manifest.verdict} copy that requorum:copy names"
        case moment:
            return f"the newest {manifest.verdict} copy up to {moment} (requorum:copy)"


def outdated(engine: str, choice: Choice, settings: Settings) -> Refusal | None:
    """Why a copy must not be restored on an engine of that version. None if it may, or if the operator names the copy."""
    manifest = choice.manifest
    if settings.copy_from == choice.copy.name or not is_older(engine, manifest.engine):
        return None
    remedy = (
        f"install engine {manifest.engine} or newer on {manifest.manager}. Or name a copy by engine {engine} or older in "
        f"requorum:copy. Or try this copy anyway: pulumi up --config copy={choice.copy.name}"
    )
    return Refusal(older_engine(engine, manifest), remedy, code="engine-too-old")
