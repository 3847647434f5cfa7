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
    without_unnamed,
)
from recovery.planning.plan import Plan, Refusal, Source
from recovery.planning.returning import readdress, rebuilds, unlisted
from recovery.planning.sources import skipped, without_copy
from recovery.planning.steps import Step
from recovery.spans import span
from recovery.swarm.engine_version import is_older
from recovery.swarm.machines import Node

if TYPE_CHECKING:
    from recovery.settings import Settings


def restore_plan(diagnosis: Diagnosis, settings: Settings, source: Source, now: datetime) -> Plan:
    """The plan that restores the chosen copy on its manager and lets every other node rejoin, or the refusal."""
    choice = source.choice
    if choice is None:
        return Plan(diagnosis.kind, refusal=without_copy(diagnosis, settings, source))
    manifest = choice.manifest
    seed = settings.node(choice.manager)
    others = _others(diagnosis, settings, seed)
    alone = _moves(source, seed) and not [node for node in others if node.role == "manager"]
    if refusal := outdated(source.engine, choice, settings) or (needs_second_manager(seed.name) if alone else None):
        return Plan(diagnosis.kind, refusal=refusal)
    return Plan(
        diagnosis.kind,
        manifest.cluster_id,
        (
            *rebuilds(diagnosis, settings),
            *_restore(choice, settings, seed),
            *_joins(diagnosis, source, seed, others),
            *(step for name in source.unlisted for step in unlisted(settings.node(name))),
            steps.prove("same cluster ID and inventory, every manager reachable"),
        ),
        copy=choice.copy.name,
        content=manifest.archive_sha256,
        ca=manifest.ca_sha256,
        maker=manifest.node_id,
        vouched=manifest.ca_sha256 in source.cas,
        moves=source.moved,
        without=source.without,
        losses=_losses(diagnosis, source, choice, now),
    )


def _others(diagnosis: Diagnosis, settings: Settings, seed: Node) -> list[Node]:
    """The missing nodes that join the restored swarm, managers first."""
    nodes = (node for node in settings.nodes if node.name in diagnosis.missing and node != seed)
    return sorted(nodes, key=lambda node: node.role)


def _restore(choice: Choice, settings: Settings, seed: Node) -> tuple[Step, ...]:
    """The steps from the copy to a swarm with one manager."""
    manifest = choice.manifest
    restore = steps.restore(seed, f"{choice.copy.name}, {_chosen(manifest, settings)}", manifest.cluster_id)
    locks = manifest.autolock and settings.swarm.autolock is not False
    return steps.for_quorum((restore, steps.compare(seed.name), *([steps.lock(seed.name)] if locks else ())))


def _joins(diagnosis: Diagnosis, source: Source, seed: Node, others: Sequence[Node]) -> tuple[Step, ...]:
    """The steps that let the other nodes rejoin. If the seed has a new address, it gets its vote back through the first of them."""
    joins, moves = tuple(map(steps.join, others)), _moves(source, seed)
    second, rest = (readdress(seed.name, others[0], joins[:1]), joins[1:]) if moves else ((), joins)
    stranded = (name for name in diagnosis.stranded if name not in source.unlisted)
    return (*steps.for_quorum(second), *map(steps.redirect, stranded), *rest)


def _moves(source: Source, seed: Node) -> bool:
    """Whether the manager of the copy comes back at another address."""
    return seed.name in {move.manager for move in source.moved}


def _losses(diagnosis: Diagnosis, source: Source, choice: Choice, now: datetime) -> tuple[str, ...]:
    """What the restore of the chosen copy cannot bring back, and what the operator must know about it."""
    manifest, moment = choice.manifest, choice.copy.dated
    return (
        f"changes to the swarm after {moment:%Y-%m-%d %H:%M:%S} UTC ({span(now - moment)} ago) are lost",
        *skipped(diagnosis, source),
        *lost_objects(manifest.inventory, source.newer),
        *unconfirmed_ca(manifest, source.cas),
        *((older_engine(source.engine, choice),) if is_older(source.engine, manifest.engine) else ()),
        *at_other_addresses(source.moved),
        *without_unnamed(source.without),
        *(LOCKED_AGAIN if manifest.autolock else ()),
        *left_alone(diagnosis),
    )


def needs_second_manager(name: str) -> Refusal:
    """Why Requorum does not restore a manager at another address without a second manager."""
    why = (
        f"all lost: the plan restores {name} at another address. {name} gets its vote at the new address only while a second manager "
        "votes, and no machine of another manager answers"
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
    """Why Requorum does not restore a copy on an engine of this version. None if it does, or if the operator names the copy."""
    manifest = choice.manifest
    if settings.copy_from == choice.copy.name or not is_older(engine, manifest.engine):
        return None
    remedy = (
        f"install engine {manifest.engine} or newer on {choice.manager}. Or name in requorum:copy a copy that engine {engine} or "
        f"older made. To use this copy anyway, look at its plan: pulumi preview --config copy={choice.copy.name}"
    )
    return Refusal(older_engine(engine, choice), remedy, code="engine-too-old")
