"""Checks, right before a new cluster is forced, that nothing has changed since the survey."""

from time import monotonic, sleep

from recovery.errors import Refused
from recovery.s3 import cluster_lease
from recovery.settings import Settings
from recovery.survey.nodes import survey
from recovery.swarm.model import Survey
from recovery.swarm.raft import quorum

LOOK_AGAIN_SECONDS = 10.0
"""For managers that were lost a moment ago, and do not answer at once, to say that they still are."""
PAUSE = 0.5


def require_unchanged(settings: Settings, seen: Survey, doing: str) -> None:
    """Right before a new cluster is forced, make sure that what was ``seen`` still is so: copies may have taken minutes.

    Who was known to be lost is asked again, and survivors where they are enough for a leader; fewer never have one.
    Raises: Refused, also when somebody took the lease over.
    """
    cluster_lease.require_held(settings.keys, doing)
    many = sum(report.holds_raft for report in seen.managers) >= quorum(len(settings.managers))
    lost = [report.node.name for report in seen.managers if report.known_lost]
    asked = [node for node in settings.managers if many or node.name in lost]
    end = monotonic() + LOOK_AGAIN_SECONDS
    while True:
        now = survey(settings, nodes=asked)
        back = [f"{r.node.name} ({r.reach})" for r in now.managers if r.node.name in lost and not r.known_lost]
        if now.leader is None and not back:
            return
        if now.leader or monotonic() > end:
            why = "the swarm has a leader again" if now.leader else f"no longer known to be lost: {', '.join(back)}"
            raise Refused(doing, f"while it was prepared things changed: {why}", remedy="requorum plan; then run again")
        sleep(PAUSE)
