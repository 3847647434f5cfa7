"""The facts that the rules of a diagnosis judge, gathered once."""

from dataclasses import dataclass

from recovery.planning.groups import Groups, group
from recovery.swarm.model import Survey


@dataclass(frozen=True)
class Facts:
    """The nodes' answers, and what other sources know of the cluster."""

    survey: Survey
    nodes: Groups
    leader: str
    """The leader's host name, as a manager that has one reports it. Empty if no manager reports a leader with its quorum."""
    swarm_id: str
    """The ID of the leader's swarm. Empty without a leader."""
    cluster: str
    """The cluster's name."""
    known_id: str | None
    """The swarm's ID from the stack file, the state or the copies. None if no source has one."""
    copies: bool
    """Whether S3 has copies under the cluster's name."""


def gather(survey: Survey, known_id: str | None, *, cluster: str, copies: bool) -> Facts:
    """The facts of a cluster. The arguments are as in `Facts`."""
    witness = survey.leader
    return Facts(
        survey=survey,
        nodes=group(survey),
        leader=next(member.hostname for member in witness.members if member.leader) if witness else "",
        swarm_id=witness.cluster_id if witness else "",
        cluster=cluster,
        known_id=known_id,
        copies=copies,
    )
