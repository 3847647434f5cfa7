"""Managers that the settings have at other addresses than their copies: a recovery elsewhere, where that is meant.

A manager's address is in the swarm's log, and stays there for as long as the manager has its vote: also a new cluster
that is forced elsewhere keeps it, until its vote is given anew. At the addresses of before there are no nodes of ours any
more, so they are looked at for one thing only: that no manager of this swarm is left there.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address

from recovery.catalog import Catalog
from recovery.errors import Refused
from recovery.manifest import Manifest
from recovery.model import Presence, Report, Survey
from recovery.settings import Node, Settings
from recovery.survey import report


@dataclass(frozen=True)
class Move:
    """A manager, the identity that its copy holds, the address at which that was taken, and the one in the settings."""

    manager: str
    node_id: str
    old: str
    new: str

    @property
    def text(self) -> str:
        """As plans and refusals show it."""
        return f"{self.manager} from {self.old} to {self.new}"


def moved(managers: Iterable[Node], copies: Mapping[str, Manifest]) -> tuple[Move, ...]:
    """The managers that are not where their copies, by manager's name, were taken."""
    return tuple(
        Move(node.name, found.node_id, found.address, str(node.address))
        for node in managers
        if (found := copies.get(node.name)) and found.address != str(node.address)
    )


def since_copied(
    settings: Settings, catalog: Catalog, cluster_id: str | None, chosen: Manifest | None
) -> tuple[Move, ...]:
    """The moves since the newest copy of each manager, or since the ``chosen`` one of its manager. Raises: StoreError.

    Copies of another swarm than ``cluster_id`` say nothing about this one's managers.
    """
    newest = catalog.newest_manifests().items()
    copies = {copy.manager: manifest for copy, manifest in newest if manifest.cluster_id == cluster_id}
    return moved(settings.managers, {**copies, **({chosen.manager: chosen} if chosen else {})})


def bound(moves: Sequence[Move], survey: Survey) -> tuple[Move, ...]:
    """The moves that the swarm itself forbids: their managers vote, or wait for a quorum, at the addresses of before.

    Where a moved manager holds the log at its new address, a new cluster was forced elsewhere already.
    """
    if leader := survey.leader:
        stands = {(entry.node_id, entry.raft_address): entry.address for entry in leader.members}
        return tuple(move for move in moves if stands.get((move.node_id, move.old), move.new) != move.new)
    holders = {found.node.name for found in survey.managers if found.holds_raft}
    return () if not holders or holders & {move.manager for move in moves} else tuple(moves)


def require_unbound(settings: Settings, moves: Sequence[Move], survey: Survey) -> None:
    """Raises: Refused when a manager was moved that the swarm has at another address."""
    for move in bound(moves, survey)[:1]:
        raise Refused(
            f"preparing changes to cluster {settings.cluster}",
            f"{move.manager} is at {move.old}, and a manager's address cannot change unless all managers are lost",
            remedy=f"give it {move.old} again in requorum:managers; add a manager of another name at {move.new} instead",
            node=move.manager,
        )


def require_vacated(settings: Settings, moves: Sequence[Move], cluster_id: str | None) -> None:
    """Look at the addresses of before, but for those that the settings give to another node.

    Raises: Refused when one of this swarm is there: a new cluster beside it would be a second swarm.
    """
    taken = {str(node.address) for node in settings.nodes}
    before = [
        settings.node(move.manager).model_copy(update={"address": IPv4Address(move.old), "ssh_address": ""})
        for move in moves
        if move.old not in taken
    ]
    with ThreadPoolExecutor(max_workers=max(len(before), 1)) as pool:
        found = tuple(pool.map(lambda node: report(node, settings, Presence.UNKNOWN), before))
    for seen in found:
        if is_left(seen, cluster_id):
            raise Refused(
                f"recovering cluster {settings.cluster} elsewhere",
                f"at {seen.node.address}, where {seen.node.name} was, a machine is still in this swarm or holds its log",
                remedy="recover it there, with the addresses of before in requorum:managers; or switch it off for good, or "
                "docker swarm leave --force, there; then run again",
                node=seen.node.name,
            )


def is_left(seen: Report, cluster_id: str | None) -> bool:
    """Whether a machine at an address of before is in this swarm still, or holds its log; pure."""
    return seen.cluster_id == cluster_id and (seen.in_swarm or seen.holds_raft)
