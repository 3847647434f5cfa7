"""Managers without a leader: where their logs end, and which log holds most."""

from recovery.cluster import Cluster
from recovery.copies import snapshot
from recovery.errors import DamagedCopy
from recovery.parallel import side_by_side
from recovery.swarm.machines import Node
from recovery.swarm.model import Survey, Survivor


def read_survivors(cluster: Cluster, survey: Survey) -> tuple[Survivor, ...]:
    """Every survivor of a survey. Each log is read on its own node and does not leave it.

    Raises: TransportError, DamagedCopy.
    """
    nodes = [report.node for report in survey.managers if report.raft and (report.in_swarm or report.left_over)]

    def read(node: Node) -> Survivor:
        with cluster.shell(node) as shell:
            try:
                return Survivor(node.name, *snapshot.look(shell))
            except DamagedCopy as error:
                raise DamagedCopy(
                    "reading where its log ends",
                    error.why,
                    remedy="copy /var/lib/docker/swarm on that node to a safe place. To recover without its log, run on it: "
                    "docker swarm leave --force. If it is in no swarm, move that directory away instead",
                    node=node.name,
                    code="log-unreadable",
                ) from None

    return side_by_side(read, nodes)
