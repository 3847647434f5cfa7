"""Managers that the stack file does not name: an adopted swarm has more than the settings list, or someone promoted a worker.

No survey asks them. If every surveyed manager is lost, they may still be the living swarm. A node's engine remembers the
addresses of managers, so Requorum asks each node that knows such an address whether a manager is up there. Copies tell
addresses too. Requorum asks the machines there, and, since it may not be let in, nodes whether a manager is up there.
"""

from collections.abc import Collection, Iterator
from ipaddress import ip_address

from recovery.cluster import Cluster
from recovery.copies.manifest import Manifest
from recovery.errors import Refused
from recovery.parallel import side_by_side
from recovery.survey.nodes import report
from recovery.swarm.machines import Node
from recovery.swarm.model import ENTERED, NodeReport, Survey
from recovery.swarm.moved import AddressChange, still_in_swarm
from recovery.swarm.peers import known_to
from recovery.swarm.presence import Presence

KNOCKING = 3
"""How many nodes try a manager that only copies know."""
KNOCK = """timeout 3 bash -c ': > "/dev/tcp/$1/$2"' knock "$1" "$2" 2>/dev/null"""
"""Run on the node, because the managers' port may be closed outside their network."""


def known(survey: Survey) -> tuple[tuple[str, NodeReport], ...]:
    """Addresses of managers that no node of the settings has, with each node that knows one: not every node may reach it."""
    ours = {str(told.node.address) for told in survey.reports}
    found = ((address, told) for told in survey.reports for address in known_to(told))
    return tuple((address, told) for address, told in found if address not in ours)


def require_none(
    cluster: Cluster, survey: Survey, copies: Collection[Manifest], moved: Collection[AddressChange]
) -> tuple[str, ...]:
    """Make sure that no such manager is up. Returns the addresses in copies whose machines answer and are not in this swarm.

    ``copies`` are manifests of this swarm. What ``moved`` may have left its old address to a machine of somebody else.
    Raises: Refused when such a manager is up, because a new cluster may be a second
    swarm; TransportError.
    """
    _require_no_silent_worker(cluster, survey, copies)
    left = _require_none_copied(cluster, copies)

    def is_up(at: tuple[str, NodeReport]) -> bool:
        address, told = at
        with cluster.shell(told.node) as shell:
            return shell.run(["sh", "-c", KNOCK, "knock", address, port], check=False).status == 0

    asked, port = (
        (*known(survey), *_copied(survey, copies, {*left, *(move.old for move in moved)})),
        str(cluster.settings.swarm.listen_port),
    )
    up = [at for at, answers in zip(asked, side_by_side(is_up, asked), strict=True) if answers]
    if up:
        address, told = up[0]
        raise _missing(cluster, f"{told.node.name} reaches a manager at {address}, which is up", told.node.name)
    return left


def _copied(survey: Survey, copies: Collection[Manifest], left: set[str]) -> Iterator[tuple[str, NodeReport]]:
    """Addresses that only copies tell, and that no machine has left, with some of the nodes that can try them."""
    settled = left | {str(told.node.address) for told in survey.reports}
    able = [told for told in survey.reports if told.reach in ENTERED][:KNOCKING]
    return ((one.address, told) for one in copies if one.address not in settled for told in able)


def _require_no_silent_worker(cluster: Cluster, survey: Survey, copies: Collection[Manifest]) -> None:
    """A node that the settings call a worker, and that manages the swarm as far as is known, is a silent manager."""
    told = survey.known_managers | {one.address for one in copies}
    unseen = (one for one in survey.workers if one.reach not in ENTERED and not one.known_lost)
    silent = [one.node.name for one in unseen if str(one.node.address) in told]
    if silent:
        names, fences = ", ".join(silent), "; ".join(f"requorum fence {name}" for name in silent)
        raise Refused(
            f"recovering cluster {cluster.settings.cluster}",
            f"{names} may manage the swarm, though requorum:workers lists it, and is not known to be lost",
            remedy=f"bring {names} back, or correct requorum:managers. If a machine is lost, confirm that: {fences}",
            node=silent[0],
            code="silent-manager",
        )


def _require_none_copied(cluster: Cluster, copies: Collection[Manifest]) -> tuple[str, ...]:
    ours = {str(node.address) for node in cluster.settings.nodes}
    asked = {
        one.address: Node(name=one.manager, address=ip_address(one.address), role="manager")
        for one in copies
        if one.address not in ours
    }
    swarms = {one.address: one.cluster_id for one in copies}
    reports = side_by_side(lambda node: report(cluster, node, Presence.UNKNOWN), list(asked.values()))
    for seen in reports:
        address = str(seen.node.address)
        if still_in_swarm(seen, swarms[address]):
            raise _missing(
                cluster, f"{seen.node.name} at {address}, of which S3 has copies, is still in the swarm", seen.node.name
            )
    told = (seen for seen in reports if seen.reach in ENTERED and (seen.cluster_id or not seen.holds_raft))
    return tuple(str(seen.node.address) for seen in told)


def _missing(cluster: Cluster, why: str, node: str) -> Refused:
    return Refused(
        f"recovering cluster {cluster.settings.cluster}",
        f"{why}, and is missing in requorum:managers",
        remedy="add it to requorum:managers. If its swarm state is not needed, run on it instead: docker swarm leave --force",
        node=node,
        code="unknown-manager",
    )
