"""Carries out RESTORE: restores the swarm from a copy."""

from time import monotonic

from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog
from recovery.copies.choice import usable
from recovery.copies.copy import Choice
from recovery.copies.escrow import Escrow
from recovery.copies.manifest import Manifest
from recovery.errors import ProofFailed, Refused
from recovery.node.engine import Engine
from recovery.node.ssh import Shell
from recovery.planning import address_changes
from recovery.planning.from_copy import outdated
from recovery.planning.steps import Action
from recovery.progress import Say
from recovery.settings import Settings
from recovery.steps import journal, unlock
from recovery.steps import swarm_directory as files
from recovery.steps.outcome import Quorum
from recovery.steps.prove import compare
from recovery.steps.readdress import readdress
from recovery.steps.recheck import require_unchanged
from recovery.survey.addresses import require_vacated
from recovery.survey.nodes import stable_survey
from recovery.swarm.machines import Node
from recovery.swarm.model import Survey


def restore_copy(settings: Settings, catalog: Catalog, seen: Survey, name: str, ca: str | None, say: Say) -> Quorum:
    """Restore the copy of that name on its manager and force a new cluster there. Raises: Refused, ProofFailed, StoreError."""
    chosen = catalog.named(name)
    with usable(catalog, Escrow(settings, catalog.store), chosen) as (manifest, archive, key):
        if ca and manifest.ca_sha256 != ca:
            raise Refused(
                f"restoring {name}",
                "its CA is not the CA in the plan",
                remedy="make a new plan: pulumi preview",
                code="plan-outdated",
            )
        seed = settings.node(manifest.manager)
        moved = address_changes.since_copied(
            settings.managers, catalog.newest_manifests(), manifest.cluster_id, manifest
        )
        start = monotonic()
        say(f"restoring {name} on {seed.name} ({seed.address})")
        with journal.step(settings, Action.RESTORE, seed.name, say), Shell(seed, settings.ssh) as shell:
            engine = Engine(shell)
            if fault := outdated(engine.info()["ServerVersion"], Choice(chosen, manifest), settings):
                raise Refused(
                    f"restoring {name}", fault.why, remedy=fault.remedy, node=seed.name, code="engine-too-old"
                )
            files.place(shell, engine, archive, manifest, files.WHOLE, key=key, mark=name)
            require_vacated(Cluster(settings), moved, manifest.cluster_id)
            require_unchanged(settings, seen, f"restoring {name}")
            say(f"forcing a new cluster on {seed.name}")
            engine.force_new_cluster()
            prove_seed(shell, engine, manifest, seed)
            unlock.lock_again(settings, shell, engine, say=say)
        say(f"quorum back on {seed.name}: swarm {manifest.cluster_id}, {monotonic() - start:.1f} s")
    if moved:
        readdress(settings, stable_survey(Cluster(settings), nodes=settings.managers), say)
    return Quorum(manifest.cluster_id, manifest.ca_sha256, remade=True)


def prove_seed(shell: Shell, engine: Engine, manifest: Manifest, seed: Node) -> None:
    """Compare the swarm with the copy at once: after a failed restore, the engine creates an empty swarm and reports success."""
    try:
        found = engine.info()["Swarm"]["Cluster"]["ID"]
        compare(manifest.cluster_id, manifest.inventory, found, engine.inventory(), node=seed.name)
    except ProofFailed:
        engine.leave()
        raise
    files.proven(shell, engine)
