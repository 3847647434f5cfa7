"""Makes sure that no manager is left at an address that the settings no longer name."""

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address

from recovery.cluster import Cluster
from recovery.errors import Refused
from recovery.parallel import side_by_side
from recovery.survey.nodes import report
from recovery.swarm.moved import AddressChange, still_in_swarm
from recovery.swarm.presence import Presence


def require_vacated(cluster: Cluster, moves: Sequence[AddressChange], cluster_id: str | None) -> None:
    """Check the old addresses of moved managers, except addresses that the settings give to another node.

    Raises: Refused when a machine there is still in this swarm: a new cluster would be a second swarm.
    """
    settings = cluster.settings
    taken = {str(node.address) for node in settings.nodes}
    before = [
        replace(settings.node(move.manager), address=ip_address(move.old), ssh_address="")
        for move in moves
        if move.old not in taken
    ]
    for seen in side_by_side(lambda node: report(cluster, node, Presence.UNKNOWN), before):
        if still_in_swarm(seen, cluster_id):
            raise Refused(
                f"recovering cluster {settings.cluster} at other addresses",
                f"the machine at {seen.node.address}, the old address of {seen.node.name}, is still in this swarm or holds "
                "its log",
                remedy="set the old addresses again in requorum:managers, and recover there. If that machine is not "
                "needed, switch it off for good, then run the same command again",
                node=seen.node.name,
                code="old-address-in-use",
            )
