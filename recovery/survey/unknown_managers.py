"""Managers that the stack file does not name: an adopted swarm has more than the settings list, or someone promoted a worker.

No survey asks them. If every surveyed manager is lost, they may still be the living swarm. A node's engine remembers the
addresses of managers, so Requorum asks each node that knows such an address whether a manager is up there.
"""

from collections.abc import Mapping

from recovery.cluster import Cluster
from recovery.errors import Refused
from recovery.parallel import side_by_side
from recovery.swarm.machines import SWARM_PORT
from recovery.swarm.model import NodeReport, Survey

KNOCK = """timeout 3 bash -c ': > "/dev/tcp/$1/$2"' knock "$1" "$2" 2>/dev/null"""
"""Run on the node, because the managers' port may be closed outside their network."""


def known(survey: Survey) -> Mapping[str, NodeReport]:
    """Addresses of managers that no node of the settings has, each with a node that knows it."""
    ours = {str(report.node.address) for report in survey.reports}
    found = {remote.rsplit(":", 1)[0].strip("[]"): report for report in survey.reports for remote in report.remotes}
    return {address: report for address, report in found.items() if address not in ours}


def require_none(cluster: Cluster, survey: Survey) -> None:
    """Raises: Refused when such a manager is up, because a new cluster may be a second swarm; TransportError."""

    def is_up(at: tuple[str, NodeReport]) -> bool:
        address, report = at
        with cluster.shell(report.node) as shell:
            return shell.run(["sh", "-c", KNOCK, "knock", address, str(SWARM_PORT)], check=False).status == 0

    asked = known(survey).items()
    up = [at for at, answers in zip(asked, side_by_side(is_up, asked), strict=True) if answers]
    if up:
        address, report = up[0]
        raise Refused(
            f"recovering cluster {cluster.settings.cluster}",
            f"{report.node.name} knows a manager at {address}, which is up and is missing in requorum:managers",
            remedy="add it to requorum:managers. If its swarm state is not needed, run on it instead: docker swarm leave "
            "--force",
            node=report.node.name,
            code="unknown-manager",
        )
