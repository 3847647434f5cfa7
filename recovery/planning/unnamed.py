"""Managers of the swarm that no settings name: which of those that nodes and copies know may still run."""

from collections.abc import Collection, Iterator, Mapping

from recovery.copies.copy import Copy
from recovery.copies.manifest import WITH_INVENTORY, Manifest
from recovery.copies.order import furthest
from recovery.swarm.model import Survey
from recovery.swarm.moved import AddressChange
from recovery.swarm.peers import known_to


def unnamed(
    survey: Survey, copies: Mapping[Copy, Manifest], moves: Collection[AddressChange], left: Collection[str]
) -> tuple[str, ...]:
    """The addresses of managers that no settings name and that are not known to be out of the swarm, in order.

    ``copies`` are the newest copies of this swarm under each name, ``moves`` the managers that the settings have at another
    address, and ``left`` the addresses whose machine answers and is not in this swarm.
    """
    named = {str(node.address) for node in survey.nodes}
    settled = {*named, *(move.old for move in moves), *left}
    ours = {
        *survey.told.values(),
        *(move.node_id for move in moves),
        *(copy.node_id for copy in copies.values() if copy.address in named),
    }
    known = (*_of_nodes(survey), *_of_copies(copies))
    return tuple(sorted({address for address, node_id in known if address not in settled and node_id not in ours}))


def _of_nodes(survey: Survey) -> Iterator[tuple[str, str]]:
    """The address and node ID of each manager that a node knows."""
    for report in survey.reports:
        yield from known_to(report).items()


def _of_copies(copies: Mapping[Copy, Manifest]) -> Iterator[tuple[str, str]]:
    """The same of each copied manager that the newest list of the swarm still has: one that was removed is in no list.

    Clocks may differ: of the lists that may be the newest, the one of the copy that is committed furthest counts.
    """
    newest = furthest({copy: made for copy, made in copies.items() if made.kind in WITH_INVENTORY})
    listed = copies[newest].inventory.objects.get("nodes", frozenset()) if newest else frozenset()
    return ((made.address, made.node_id) for made in copies.values() if made.node_id in listed)
