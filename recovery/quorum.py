"""Gives the cluster a quorum: adopts the one there is, founds the first, or restores one from a copy.

The two that make a swarm, `found` and `restore`, are guarded by promise 1: never while any
known manager address answers with a leader, and never beside copies that are not restored from.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from recovery import restore as files
from recovery.assessment import known_id
from recovery.catalog import Catalog
from recovery.diagnosis import Diagnosis, Kind, diagnose
from recovery.engine import Engine
from recovery.errors import ProofFailed, Refused
from recovery.model import Inventory, Report
from recovery.proof import compare
from recovery.settings import Node, Settings
from recovery.survey import settled, survey
from recovery.transport import Shell

Say = Callable[[str], None]
"""Tells the operator what is being done, a line at a time."""


@dataclass(frozen=True)
class Quorum:
    """A working quorum: the swarm's ID, how it came about, and the copy it was restored from."""

    cluster_id: str
    how: str
    copy: str | None = None


def establish(settings: Settings, *, copy: str | None, say: Say) -> Quorum:
    """Make sure that the cluster has a quorum.

    ``copy`` names the copy to restore from, as the plan that the operator saw names it; without it
    nothing is restored. Safe to run again after any interruption.

    Raises: Refused when neither adopting, founding nor restoring is safe; ProofFailed; StoreError.
    """
    catalog = Catalog(settings)
    seen = settled(settings, nodes=settings.managers)
    diagnosis = diagnose(seen, known_id(settings, catalog), copies=bool(catalog.copies))
    if leader := seen.leader:
        if diagnosis.kind in (Kind.FORKED, Kind.FOREIGN):
            raise _refused(diagnosis, settings)
        return _adopt(settings, leader)
    if diagnosis.kind is Kind.ABSENT:
        return _found(settings, say)
    if diagnosis.kind is Kind.ALL_LOST and copy:
        return _restore(settings, catalog, copy, say)
    raise _refused(diagnosis, settings)


def dissolve(settings: Settings, cluster_id: str) -> None:
    """End the swarm: every node that still answers and belongs to it leaves. Dead ones are not waited for."""
    for report in survey(settings).reports:
        if report.in_swarm and report.cluster_id == cluster_id:
            with Shell(report.node, settings.ssh) as shell:
                Engine(shell).leave()


def _adopt(settings: Settings, leader: Report) -> Quorum:
    with Shell(leader.node, settings.ssh) as shell:
        Engine(shell).set_options(settings.swarm)
    return Quorum(leader.cluster_id, "adopted")


def _found(settings: Settings, say: Say) -> Quorum:
    first = settings.managers[0]
    say(f"founding the swarm on {first.name} ({first.address})")
    with Shell(first, settings.ssh) as shell:
        engine = Engine(shell)
        engine.init(settings.swarm)
        return Quorum(engine.info()["Swarm"]["Cluster"]["ID"], "founded")


def _restore(settings: Settings, catalog: Catalog, name: str, say: Say) -> Quorum:
    chosen = next((copy for copy in catalog.copies if copy.name == name), None)
    if chosen is None:
        raise Refused(f"restoring {name}", "S3 does not hold that copy any more", remedy="run the preview again")
    with catalog.verified(chosen) as (manifest, archive):
        seed = _seed(settings, manifest.manager, manifest.address)
        start = monotonic()
        say(f"restoring {name} on {seed.name} ({seed.address})")
        with Shell(seed, settings.ssh) as shell:
            engine = Engine(shell)
            files.place(shell, engine, archive, manifest, files.WHOLE)
            say(f"forcing a new cluster on {seed.name}")
            engine.force_new_cluster()
            _prove_seed(engine, manifest.cluster_id, manifest.inventory, seed)
        say(f"quorum back on {seed.name}: swarm {manifest.cluster_id}, {monotonic() - start:.1f} s")
    return Quorum(manifest.cluster_id, "restored", name)


def _seed(settings: Settings, name: str, address: str) -> Node:
    node = next((manager for manager in settings.managers if manager.name == name), None)
    if node is None or str(node.address) != address:
        raise Refused(
            f"restoring a copy of {name} at {address}",
            "the stack file has no such manager at that address, and a manager's address cannot change",
            remedy=f"give {name} the address {address} in requorum:managers",
        )
    return node


def _prove_seed(engine: Engine, cluster_id: str, expected: Inventory, seed: Node) -> None:
    """Compare with the copy at once: when a restore fails unnoticed, the engine founds an empty swarm and says success."""
    try:
        found = engine.info()["Swarm"]["Cluster"]["ID"]
        compare(cluster_id, expected, found, engine.inventory(), node=seed.name)
    except ProofFailed:
        engine.leave()
        raise


def _refused(diagnosis: Diagnosis, settings: Settings) -> Refused:
    return Refused(
        f"giving cluster {settings.cluster} a quorum",
        f"{diagnosis.kind}\n{diagnosis.text}",
        remedy="requorum status; then pulumi preview --config recover=true",
    )
