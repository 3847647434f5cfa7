"""Checks, right before a new cluster is forced, that nothing has changed since the survey."""

from recovery.cluster import Cluster
from recovery.errors import Refused
from recovery.survey.nodes import survey
from recovery.swarm.model import Survey
from recovery.swarm.raft import quorum
from recovery.waiting import until

LOOK_AGAIN_SECONDS = 10.0
"""How long a manager that was known to be lost may take to answer again that it still is."""
PAUSE = 0.5


def require_unchanged(cluster: Cluster, seen: Survey, doing: str) -> None:
    """Right before a new cluster is forced, check that the survey ``seen`` still holds: safety copies may take minutes.

    Managers that were known to be lost are surveyed again. If the survivors are enough to elect a leader, they are too.
    Raises: Refused, also when another operator took the lease over.
    """
    cluster.require_held(doing)
    many = sum(report.holds_raft for report in seen.managers) >= quorum(len(cluster.settings.managers))
    lost = [report.node.name for report in seen.managers if report.known_lost]
    asked = [node for node in cluster.settings.managers if many or node.name in lost]

    def back(now: Survey) -> list[str]:
        return [f"{r.node.name} ({r.reach})" for r in now.managers if r.node.name in lost and not r.known_lost]

    now = until(
        lambda: survey(cluster, nodes=asked),
        LOOK_AGAIN_SECONDS,
        holds=lambda now: now.leader is not None or not back(now),
        pause=PAUSE,
    )
    if now.leader or back(now):
        why = "the swarm has a leader again" if now.leader else f"no longer known to be lost: {', '.join(back(now))}"
        raise Refused(
            doing,
            f"the cluster changed while Requorum prepared this step: {why}",
            remedy="make a new plan: requorum plan",
            code="plan-outdated",
        )
