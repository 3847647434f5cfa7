"""The engine through which a verb changes a living swarm: that of a manager with a leader."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from recovery.cluster import Cluster
from recovery.errors import Refused
from recovery.node.engine import Engine
from recovery.survey.nodes import stable_survey
from recovery.swarm.machines import Node
from recovery.swarm.model import Survey


@contextmanager
def leading(
    cluster: Cluster, doing: str, *, about: str | None = None, nodes: Sequence[Node] | None = None
) -> Iterator[tuple[Survey, Engine]]:
    """The survey, of all nodes or of ``nodes``, and the engine of a manager with a leader. Raises: Refused, which names the node ``about``."""
    seen = stable_survey(cluster, nodes=nodes)
    if seen.leader is None:
        why, remedy = "no manager with a leader answers", "find out which managers are down: requorum status"
        raise Refused(doing, why, remedy=remedy, node=about, code="no-leader")
    with cluster.shell(seen.leader.node) as shell:
        yield seen, Engine(shell)
