"""Managers whose address in the settings differs from the address in their copy: a recovery at other addresses.

The swarm's log holds a manager's address for as long as the manager has its vote. A new cluster that is forced at another
address keeps the old address in its log until the manager loses its vote and gets it back. The settings name no node at
an old address. Requorum checks an old address for one thing only: that no manager of this swarm still runs there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from recovery.copies import owners
from recovery.copies.copy import Copy
from recovery.copies.manifest import Manifest
from recovery.errors import Refused
from recovery.swarm.entries import NOBODY, Told
from recovery.swarm.machines import Node
from recovery.swarm.model import Reach, Survey
from recovery.swarm.moved import AddressChange

if TYPE_CHECKING:
    from recovery.settings import Settings


def address_changes(
    nodes: Iterable[Node], copies: Mapping[str, Manifest], told: Told = NOBODY
) -> tuple[AddressChange, ...]:
    """The managers whose address in the settings is not the one at which their copy was taken; ``copies`` is by name.

    A machine that tells another node ID than the copy has was in the swarm before it was given the manager's name.
    """
    return tuple(
        AddressChange(node.name, manifest.node_id, manifest.address, str(node.address))
        for node in nodes
        if node.role == "manager" and (manifest := copies.get(node.name)) and manifest.address != str(node.address)
        if told.get(node.name, manifest.node_id) == manifest.node_id
    )


def since_copied(
    nodes: Collection[Node],
    newest: Mapping[Copy, Manifest],
    cluster_id: str | None,
    chosen: Manifest | None,
    told: Told = NOBODY,
) -> tuple[AddressChange, ...]:
    """The moves since the newest copy of each manager. For the manager of ``chosen``, the moves since ``chosen``.

    ``nodes`` are all nodes of the settings, and ``told`` are the node IDs that they tell. Copies of another swarm than ``cluster_id`` are ignored.
    """
    listed = sorted(
        (copy for copy, manifest in newest.items() if manifest.cluster_id == cluster_id), key=lambda c: c.dated
    )
    ours = [newest[copy] for copy in listed]
    owned = owners.known(nodes, ours)
    copies = {owned.of(manifest): manifest for manifest in (*ours, *([chosen] if chosen else []))}
    return address_changes(nodes, copies, told)


def without_replaced(moves: Iterable[AddressChange], survey: Survey) -> tuple[AddressChange, ...]:
    """The moves, but for managers whose name another machine has now, while a swarm with a leader lists them as before.

    The machine at the new address is empty. It joins as another node, and the manager at the old address leaves.
    """
    listed = {entry.node_id for entry in survey.leader.members if entry.votes} if survey.leader else set()
    empty = {report.node.name for report in survey.managers if report.known_lost and report.reach is not Reach.NAMED}
    return tuple(move for move in moves if move.manager not in empty or move.node_id not in listed)


def forbidden(moves: Sequence[AddressChange], survey: Survey) -> tuple[AddressChange, ...]:
    """The impossible moves: the swarm lives, and these managers vote, or wait for a quorum, at their old addresses.

    It lives as long as any node of the settings holds the log, also one that they call a worker. If a moved manager holds the
    log at its new address, a new cluster was already forced there, and the move is possible.
    """
    if leader := survey.leader:
        addresses = {(entry.node_id, entry.raft_address): entry.address for entry in leader.members}
        return tuple(move for move in moves if addresses.get((move.node_id, move.old), move.new) != move.new)
    holders = {report.node.name for report in survey.reports if report.holds_raft}
    return () if not holders or holders & {move.manager for move in moves} else tuple(moves)


def require_allowed(settings: Settings, moves: Sequence[AddressChange], survey: Survey) -> None:
    """Raises: Refused when the settings move a manager whose old address the living swarm still uses."""
    for move in forbidden(moves, survey)[:1]:
        raise Refused(
            f"preparing changes to cluster {settings.cluster}",
            f"the swarm has {move.manager} at {move.old}, and the settings have it at {move.new}. While managers live, only "
            "an empty machine can take a manager's place",
            remedy=f"set its address to {move.old} again in requorum:managers, or give it an empty machine at {move.new}",
            node=move.manager,
            code="manager-moved",
        )
