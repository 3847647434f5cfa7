"""Makes a worker a manager in place of one that is lost."""

from recovery.cluster import Cluster
from recovery.errors import Refused
from recovery.node.engine import Engine
from recovery.planning import doctor
from recovery.progress import Say
from recovery.steps import votes
from recovery.survey.nodes import stable_survey
from recovery.swarm.machines import Node


def promote(cluster: Cluster, worker: Node, *, say: Say) -> None:
    """Make a worker a manager until the lost one is back. Raises: Refused; ProofFailed; EngineError."""
    doing = "promoting it"
    seen = stable_survey(cluster)
    leader, entry = seen.leader, seen.entry(worker)
    if reason := doctor.objection(cluster.settings, seen, worker):
        raise Refused(doing, reason, remedy="requorum doctor", node=worker.name, code="not-promotable")
    assert leader is not None and entry is not None, "an objection otherwise"  # noqa: PT018
    say(f"promoting {worker.name} until every manager is back")
    with cluster.shell(leader.node) as shell:
        chief = Engine(shell)
        with chief.short_log():
            chief.update_member(entry.node_id, role="manager")
            votes.await_entry(
                chief, entry.node_id, lambda now: now.reachable, doing, "it is not Reachable as a manager"
            )
