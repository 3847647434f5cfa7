"""Managers that are left without a leader: what their logs hold, and which of them holds most."""

from concurrent.futures import ThreadPoolExecutor

from recovery.copies import snapshot
from recovery.errors import DamagedCopy
from recovery.node.ssh import Shell
from recovery.settings import Settings
from recovery.swarm.machines import Node
from recovery.swarm.model import Survey, Survivor


def read_survivors(settings: Settings, survey: Survey) -> tuple[Survivor, ...]:
    """Every survivor of a survey. Their logs are read where they are, and leave no node.

    Raises: TransportError, DamagedCopy.
    """
    nodes = [report.node for report in survey.managers if report.raft and (report.in_swarm or report.left_over)]

    def read(node: Node) -> Survivor:
        with Shell(node, settings.ssh) as shell:
            try:
                return Survivor(node.name, *snapshot.look(shell))
            except DamagedCopy as error:
                raise DamagedCopy(
                    "reading how far its log reaches",
                    error.why,
                    remedy="keep /var/lib/docker/swarm there aside; to go on without what it holds: docker swarm leave --force, "
                    "there, or where it is in no swarm move that directory away; then run again",
                    node=node.name,
                ) from None

    with ThreadPoolExecutor(max_workers=max(len(nodes), 1)) as pool:
        return tuple(pool.map(read, nodes))
