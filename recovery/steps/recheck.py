"""Checks, right before Requorum forces a new cluster, that nothing has changed since the survey."""

from recovery.cluster import Cluster
from recovery.errors import Refused
from recovery.survey.nodes import survey
from recovery.swarm.model import Survey
from recovery.swarm.raft import quorum
from recovery.waiting import until

LOOK_AGAIN_SECONDS = 10.0
"""How long a manager that was known to be lost may take to answer that it still is in no swarm."""
PAUSE = 0.5


def require_unchanged(cluster: Cluster, before: Survey, doing: str) -> None:
    """Check that the survey ``before`` is still true right before Requorum forces a new cluster. Safety copies may take minutes.

    It surveys the managers again that were known to be lost. If the survivors are enough to elect a leader, or S3 does not say that
    the lease is still ours, it surveys all.
    Raises: Refused, also if another operator took the lease over.
    """
    held = cluster.require_held(doing)
    may_elect = not held or sum(report.holds_raft for report in before.managers) >= quorum(
        len(cluster.settings.managers)
    )
    lost = [report.node.name for report in before.managers if report.known_lost]
    nodes = [node for node in cluster.settings.managers if may_elect or node.name in lost]

    def back(now: Survey) -> list[str]:
        return [f"{r.node.name} ({r.reach})" for r in now.managers if r.node.name in lost and not r.known_lost]

    now = until(
        lambda: survey(cluster, nodes=nodes),
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
