"""Carries out FORCE: forces a new cluster from a survivor."""

from time import monotonic

from recovery.copies.order import furthest
from recovery.errors import ProofFailed
from recovery.node.engine import Engine
from recovery.node.ssh import Shell
from recovery.planning.steps import Step
from recovery.progress import Say
from recovery.steps import swarm_directory
from recovery.steps.recheck import require_unchanged
from recovery.steps.run import Run
from recovery.swarm.model import NodeReport


def force_new_cluster(run: Run, step: Step) -> None:
    """Force a new cluster from the survivor's own log.

    Requorum does not survey the survivor's engine again before. An engine that has just lost its leader takes up to 20 s to
    answer, and accepts no other request until then.

    Raises: Refused if the cluster has changed since the survey; ProofFailed if another swarm starts, which the node then
    leaves; EngineError, TransportError, StoreError.
    """
    before = run.survey.of(step.node)
    ca_rotations = _ca_rotations(run, before.cluster_id)
    require_unchanged(run.cluster, run.survey, f"forcing a new cluster from {step.node}")
    force(run.shell(before.node), before, ca_rotations, say=run.say)


def force(shell: Shell, before: NodeReport, ca_rotations: int | None, *, say: Say) -> None:
    """Force a new cluster from the log of a manager, which had the report ``before``. Raises: as `force_new_cluster`.

    ``ca_rotations`` are those of the swarm, if a copy tells them.
    """
    engine, name = Engine(shell), before.node.name
    say(f"forcing a new cluster on {name}")
    start = monotonic()
    engine.force_new_cluster(ca_rotations)
    after = engine.info()["Swarm"]
    if (after["NodeID"], after["Cluster"]["ID"]) != (before.node_id, before.cluster_id):
        engine.leave()
        raise ProofFailed(
            "forcing a new cluster",
            f"Docker started swarm {after['Cluster']['ID']} with node {after['NodeID']} instead of swarm {before.cluster_id} "
            f"with node {before.node_id}. The node has left swarm {after['Cluster']['ID']}. The old log is in the safety copy "
            "(docs/runbooks/quorum-lost.md)",
            remedy="make a plan without this manager's log: requorum plan",
            node=name,
            code="swarm-differs",
        )
    swarm_directory.forced(shell, engine)
    say(f"quorum back on {name}: swarm {before.cluster_id}, {monotonic() - start:.1f} s")


def _ca_rotations(run: Run, cluster_id: str) -> int | None:
    """How often the swarm's CA was rotated, as the newest copy tells that knows it. Raises: StoreError."""
    newest = run.catalog.newest_manifests().items()
    told = {copy: one for copy, one in newest if one.cluster_id == cluster_id and one.ca_rotations is not None}
    furthest_told = furthest(told)
    return told[furthest_told].ca_rotations if furthest_told else None
