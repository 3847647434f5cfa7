"""Managers that get another address, and the machines at their old ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recovery.swarm.model import NodeReport


@dataclass(frozen=True)
class AddressChange:
    """The move of a manager: the node ID in its copy, the address in its copy, and the address in the settings."""

    manager: str
    node_id: str
    old: str
    new: str

    @property
    def text(self) -> str:
        """The text that plans and refusals show."""
        return f"{self.manager} from {self.old} to {self.new}"


def still_in_swarm(seen: NodeReport, cluster_id: str | None) -> bool:
    """Whether a machine at an old address is still in this swarm, or holds the swarm's log."""
    return seen.cluster_id == cluster_id and (seen.in_swarm or seen.holds_raft)
