"""Makes a worker a manager in place of one that is lost."""

from recovery.cluster import Cluster
from recovery.errors import Refused
from recovery.node.engine import Engine
from recovery.planning import doctor
from recovery.progress import Say
from recovery.steps import votes
from recovery.survey.nodes import stable_survey
from recovery.swarm.machines import Node
from recovery.swarm.model import Survey

DOING = "promoting it"


def check(cluster: Cluster, worker: Node) -> Survey:
    """Check that the worker may stand in for a manager, and return the survey. Raises: Refused."""
    seen = stable_survey(cluster)
    if reason := doctor.objection(cluster.settings, seen, worker):
        raise Refused(DOING, reason, remedy="requorum doctor", node=worker.name, code="not-promotable")
    return seen


def promote(cluster: Cluster, worker: Node, *, say: Say) -> None:
    """Make a worker a manager until the lost one is back. Raises: Refused; ProofFailed; EngineError."""
    seen = check(cluster, worker)
    leader, entry = seen.leader, seen.entry(worker)
    assert leader is not None and entry is not None, "an objection otherwise"  # noqa: PT018
    say(f"promoting {worker.name} until every manager is back")
    with cluster.shell(leader.node) as shell:
        chief = Engine(shell)
        with chief.short_log():
            chief.update_member(entry.node_id, role="manager")
            votes.await_entry(
                chief, entry.node_id, lambda now: now.reachable, DOING, "it is not Reachable as a manager"
            )
