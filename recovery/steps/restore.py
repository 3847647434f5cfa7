"""Carries out RESTORE: restores the swarm from a copy."""

from time import monotonic

from recovery.copies.choice import usable
from recovery.errors import ProofFailed
from recovery.node.engine import Engine
from recovery.planning import address_changes
from recovery.planning.steps import Step
from recovery.steps import swarm_directory as files
from recovery.steps.compare import require_same_swarm
from recovery.steps.recheck import require_unchanged
from recovery.steps.run import Run
from recovery.survey.addresses import require_vacated


def restore_copy(run: Run, step: Step) -> None:
    """Put the consented copy in place on its manager, and force a new cluster on this manager.

    If a restore fails, the engine creates an empty swarm and reports success. Requorum therefore checks the swarm's ID at
    once. The node leaves a swarm with another ID.

    Raises: Refused if the cluster has changed since the survey; ProofFailed; DamagedCopy, NoUnlockKey, StoreError,
    EngineError, TransportError.
    """
    settings, name = run.settings, str(run.consented.copy)
    seed = settings.node(step.node)
    with usable(run.catalog, run.cluster.escrow, run.catalog.named(name)) as (manifest, archive, key):
        newest = run.catalog.newest_of_machines
        moves = address_changes.since_copied(settings.nodes, newest, manifest.cluster_id, manifest)
        start = monotonic()
        run.say(f"restoring {name} on {seed.name} ({seed.address})")
        shell = run.shell(seed)
        engine = Engine(shell)
        files.place(shell, engine, archive, manifest, files.WHOLE, key=key, mark=name)
        require_vacated(run.cluster, moves, manifest.cluster_id)
        require_unchanged(run.cluster, run.survey, f"restoring {name}")
        run.say(f"forcing a new cluster on {seed.name}")
        engine.force_new_cluster(manifest.ca_rotations)
        try:
            require_same_swarm(manifest.cluster_id, engine.info()["Swarm"]["Cluster"]["ID"], node=seed.name)
        except ProofFailed:
            engine.leave()
            raise
        run.say(f"quorum back on {seed.name}: swarm {manifest.cluster_id}, {monotonic() - start:.1f} s")
