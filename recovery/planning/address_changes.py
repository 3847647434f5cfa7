"""Managers that the settings have at other addresses than their copies: a recovery elsewhere, where that is meant.

A manager's address is in the swarm's log, and stays there for as long as the manager has its vote: also a new cluster
that is forced elsewhere keeps it, until its vote is given anew. At the addresses of before there are no nodes of ours any
more, so they are looked at for one thing only: that no manager of this swarm is left there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from recovery.copies.copy import Copy
from recovery.copies.manifest import Manifest
from recovery.errors import Refused
from recovery.swarm.machines import Node
from recovery.swarm.model import AddressChange, Survey

if TYPE_CHECKING:
    from recovery.settings import Settings


def address_changes(managers: Iterable[Node], copies: Mapping[str, Manifest]) -> tuple[AddressChange, ...]:
    """The managers that are not where their copies, by manager's name, were taken."""
    return tuple(
        AddressChange(node.name, found.node_id, found.address, str(node.address))
        for node in managers
        if (found := copies.get(node.name)) and found.address != str(node.address)
    )


def since_copied(
    managers: Iterable[Node], newest: Mapping[Copy, Manifest], cluster_id: str | None, chosen: Manifest | None
) -> tuple[AddressChange, ...]:
    """The moves since the newest copy of each manager, or since the ``chosen`` one of its manager.

    Copies of another swarm than ``cluster_id`` say nothing about this one's managers.
    """
    copies = {copy.manager: manifest for copy, manifest in newest.items() if manifest.cluster_id == cluster_id}
    return address_changes(managers, {**copies, **({chosen.manager: chosen} if chosen else {})})


def forbidden(moves: Sequence[AddressChange], survey: Survey) -> tuple[AddressChange, ...]:
    """The moves that the swarm itself forbids: their managers vote, or wait for a quorum, at the addresses of before.

    Where a moved manager holds the log at its new address, a new cluster was forced elsewhere already.
    """
    if leader := survey.leader:
        stands = {(entry.node_id, entry.raft_address): entry.address for entry in leader.members}
        return tuple(move for move in moves if stands.get((move.node_id, move.old), move.new) != move.new)
    holders = {found.node.name for found in survey.managers if found.holds_raft}
    return () if not holders or holders & {move.manager for move in moves} else tuple(moves)


def require_allowed(settings: Settings, moves: Sequence[AddressChange], survey: Survey) -> None:
    """Raises: Refused when a manager was moved that the swarm has at another address."""
    for move in forbidden(moves, survey)[:1]:
        raise Refused(
            f"preparing changes to cluster {settings.cluster}",
            f"{move.manager} is at {move.old}, and a manager's address cannot change unless all managers are lost",
            remedy=f"give it {move.old} again in requorum:managers; add a manager of another name at {move.new} instead",
            node=move.manager,
        )
