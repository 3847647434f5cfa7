"""The result of a phase: a quorum, or a node's membership."""

from dataclasses import dataclass


@dataclass(frozen=True)
class JoinResult:
    """A node's entry in the swarm."""

    node_id: str
    cluster_id: str


@dataclass(frozen=True)
class Quorum:
    """A working quorum: the swarm's ID and CA, and whether it was restored or forced."""

    cluster_id: str
    ca_sha256: str
    """The digest of the CA's certificate."""
    remade: bool = False
