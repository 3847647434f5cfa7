"""Carries out COMPARE: compares a restored swarm with its copy."""

from recovery.errors import ProofFailed
from recovery.node.engine import Engine
from recovery.planning.steps import Step
from recovery.steps import swarm_directory
from recovery.steps.run import Run
from recovery.swarm.workload import Inventory

COMPARING = "comparing the restored swarm with its copy"
REMEDY = "check the copies: requorum copies verify"


def compare_with_copy(run: Run, step: Step) -> None:
    """Check that the swarm has the copy's ID and everything that the copy lists. If it differs, the node leaves it.

    Raises: ProofFailed with the difference; EngineError, TransportError, StoreError.
    """
    report = run.survey.of(step.node)
    manifest = run.catalog.manifest(run.catalog.named(report.placed))
    shell = run.shell(report.node)
    engine = Engine(shell)
    try:
        require_same_swarm(manifest.cluster_id, report.cluster_id, node=step.node)
        require_inventory(manifest.inventory, engine.inventory(), node=step.node)
    except ProofFailed:
        engine.leave()
        raise
    swarm_directory.proven(shell, engine)


def require_same_swarm(cluster_id: str, actual_id: str, *, node: str) -> None:
    """Check that a restored swarm has the copy's ID. Raises: ProofFailed."""
    if actual_id != cluster_id:
        raise _differs(f"its ID is {actual_id}, and the copy's is {cluster_id}", node)


def require_inventory(expected: Inventory, actual: Inventory, *, node: str) -> None:
    """Check that a restored swarm has what the copy lists. Raises: ProofFailed with the difference."""
    if missing := expected.missing_from(actual):
        objects = "; ".join(f"{kind}: {', '.join(ids)}" for kind, ids in missing.items())
        raise _differs(f"it lacks {objects}", node)
    if actual.index < expected.index:
        raise _differs(f"its newest change has version {actual.index}, and the copy's has {expected.index}", node)


def _differs(why: str, node: str) -> ProofFailed:
    why += ". The node leaves this swarm"
    return ProofFailed(COMPARING, why, remedy=REMEDY, node=node, code="swarm-differs")
