"""Makes sure that no manager is left at an address that the settings no longer name."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from ipaddress import IPv4Address

from recovery.errors import Refused
from recovery.settings import Settings
from recovery.survey.nodes import report
from recovery.swarm.model import AddressChange, Presence, still_in_swarm


def require_vacated(settings: Settings, moves: Sequence[AddressChange], cluster_id: str | None) -> None:
    """Look at the addresses of before, but for those that the settings give to another node.

    Raises: Refused when one of this swarm is there: a new cluster beside it would be a second swarm.
    """
    taken = {str(node.address) for node in settings.nodes}
    before = [
        replace(settings.node(move.manager), address=IPv4Address(move.old), ssh_address="")
        for move in moves
        if move.old not in taken
    ]
    with ThreadPoolExecutor(max_workers=max(len(before), 1)) as pool:
        found = tuple(pool.map(lambda node: report(node, settings, Presence.UNKNOWN), before))
    for seen in found:
        if still_in_swarm(seen, cluster_id):
            raise Refused(
                f"recovering cluster {settings.cluster} elsewhere",
                f"at {seen.node.address}, where {seen.node.name} was, a machine is still in this swarm or holds its log",
                remedy="recover it there, with the addresses of before in requorum:managers; or switch it off for good, or "
                "docker swarm leave --force, there; then run again",
                node=seen.node.name,
            )
