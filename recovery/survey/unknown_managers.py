"""Managers that the stack file does not name: of a swarm that was taken over with too short a list, or promoted by hand.

No survey asks them. Where every manager that is asked is lost, they may be the living swarm all the same, so whoever
knows them is asked whether one is there: a node's engine remembers where it last heard that managers are.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from recovery.errors import Refused
from recovery.node.engine import SWARM_PORT
from recovery.node.ssh import Shell
from recovery.settings import Settings
from recovery.swarm.model import NodeReport, Survey

KNOCK = 'timeout 3 bash -c ": > /dev/tcp/$1/$2" 2>/dev/null'
"""From the node: the port of managers may be closed to everybody who is not in their network."""


def known(survey: Survey) -> Mapping[str, NodeReport]:
    """Addresses of managers that no node of the settings has, each with a node that knows it; pure."""
    ours = {str(report.node.address) for report in survey.reports}
    found = {remote.rsplit(":", 1)[0]: report for report in survey.reports for remote in report.remotes}
    return {address: report for address, report in found.items() if address not in ours}


def require_none(settings: Settings, survey: Survey) -> None:
    """Raises: Refused where such a manager is up: a new cluster beside it may be a second swarm; TransportError."""

    def is_up(at: tuple[str, NodeReport]) -> bool:
        address, report = at
        with Shell(report.node, settings.ssh) as shell:
            return shell.run(["sh", "-c", KNOCK, "knock", address, str(SWARM_PORT)], check=False).status == 0

    asked = known(survey).items()
    with ThreadPoolExecutor(max_workers=max(len(asked), 1)) as pool:
        up = [at for at, answers in zip(asked, pool.map(is_up, asked), strict=True) if answers]
    if up:
        address, report = up[0]
        raise Refused(
            f"recovering cluster {settings.cluster}",
            f"{report.node.name} knows a manager at {address}, which requorum:managers does not name, and it is up",
            remedy="name it in requorum:managers, so that it is asked too; or, if what it holds may go, docker swarm leave "
            "--force, there; then run again",
            node=report.node.name,
        )
