"""Managers of the swarm that no settings name: which of those that nodes and copies know may still run."""

from collections.abc import Collection, Iterator

from recovery.copies.manifest import WITH_INVENTORY, Manifest
from recovery.swarm.model import Survey
from recovery.swarm.moved import AddressChange
from recovery.swarm.peers import known_to


def unnamed(
    survey: Survey, copies: Collection[Manifest], moves: Collection[AddressChange], left: Collection[str]
) -> tuple[str, ...]:
    """The addresses of managers that no settings name and that are not known to be out of the swarm, in order.

    ``copies`` are the newest manifests of this swarm under each name, ``moves`` the managers that the settings have at another
    address, and ``left`` the addresses whose machine answers and is not in this swarm.
    """
    named = {str(node.address) for node in survey.nodes}
    settled = {*named, *(move.old for move in moves), *left}
    ours = {
        *survey.told.values(),
        *(move.node_id for move in moves),
        *(copy.node_id for copy in copies if copy.address in named),
    }
    known = (*_of_nodes(survey), *_of_copies(copies))
    return tuple(sorted({address for address, node_id in known if address not in settled and node_id not in ours}))


def _of_nodes(survey: Survey) -> Iterator[tuple[str, str]]:
    """The address and node ID of each manager that a node knows."""
    for report in survey.reports:
        yield from known_to(report).items()


def _of_copies(copies: Collection[Manifest]) -> Iterator[tuple[str, str]]:
    """The same of each copied manager that the newest list of the swarm still has: one that was removed is in no list."""
    newest = max((copy for copy in copies if copy.kind in WITH_INVENTORY), key=lambda copy: copy.taken, default=None)
    listed = newest.inventory.objects.get("nodes", frozenset()) if newest else frozenset()
    return ((copy.address, copy.node_id) for copy in copies if copy.node_id in listed)
