"""The entries of a swarm's node list, and which of them are a node's.

A node that answers tells its node ID. Only the entry of one that does not is looked for by its address. Other nodes may be
heard from the same address, and entries may share a host name. After a change of leader, an entry may for a moment even have
another node's host name.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from recovery.swarm.address import without_port
from recovery.swarm.machines import Node

Told = Mapping[str, str]
"""The node IDs that nodes tell, by the nodes' names."""
NOBODY: Told = MappingProxyType({})


@dataclass(frozen=True)
class Member:
    """One entry of the leader's node list."""

    node_id: str
    hostname: str
    address: str
    role: str
    availability: str
    ready: bool
    leader: bool = False
    reachable: bool = False
    manager_address: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def votes(self) -> bool:
        """Whether the node is a raft member. After a forced new cluster, other managers keep only their role."""
        return bool(self.manager_address)

    @property
    def raft_address(self) -> str:
        """The address at which other managers look for the node, without the port. Empty if the node does not vote."""
        return without_port(self.manager_address)

    def stands_at(self, node: Node) -> bool:
        """Whether this entry belongs to a machine at the node's address."""
        return str(node.address) in (self.address, self.raft_address)

    def is_misplaced(self, node: Node, advertised: str = "") -> bool:
        """Whether the node votes, but the log still has its earlier address, as after a forced new cluster.

        A node with several addresses may vote under another one than the settings name: the one that its engine advertises.
        """
        return self.votes and self.address == str(node.address) != self.raft_address != advertised


def entries_of(node: Node, members: Iterable[Member], told: Told = NOBODY) -> tuple[Member, ...]:
    """The node's entries: the one with the ID that it tells; else those at its address that no other node tells to be its own."""
    listed, own = tuple(members), told.get(node.name)
    if mine := tuple(member for member in listed if member.node_id == own):
        return mine
    others = frozenset(told.values())
    return tuple(member for member in listed if member.node_id not in others and member.stands_at(node))


def of_nobody(nodes: Collection[Node], members: Iterable[Member], told: Told = NOBODY) -> tuple[Member, ...]:
    """The entries that are none of the nodes'."""
    listed = tuple(members)
    owned = {member.node_id for node in nodes for member in entries_of(node, listed, told)}
    return tuple(member for member in listed if member.node_id not in owned)
