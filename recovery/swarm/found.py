"""What is found of a swarm beside its node list: its options, as a manager tells them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self

DATA_PATH_PORT = 4789
"""The engine's own, where a swarm was created without another."""


LEAST_LEFT = 0.15
"""The part of its validity that a node's certificate always has left. The swarm renews it before 0.2 is left (swarmkit, ca/renewer.go)."""
CA_LEAST_LEFT = timedelta(days=90)


@dataclass(frozen=True)
class Validity:
    """From when until when a certificate is valid."""

    begins: datetime
    ends: datetime

    def is_overdue(self, now: datetime) -> bool:
        """Whether the swarm should have renewed a node's certificate already."""
        return self.ends - now < (self.ends - self.begins) * LEAST_LEFT

    def is_near_end(self, now: datetime) -> bool:
        """Whether a CA's certificate ends so soon that it is to be rotated."""
        return self.ends - now < CA_LEAST_LEFT


@dataclass(frozen=True)
class SwarmFacts:
    """The swarm's options (``Spec``), and the port of its overlay traffic, which nobody can change later."""

    spec: Mapping[str, Any] = field(default_factory=dict)
    data_path_port: int = DATA_PATH_PORT
    rotating: bool = False
    """Whether the swarm's CA is being rotated."""
    address_pools: tuple[str, ...] = ()
    """The networks from which overlay networks get theirs. Empty if the engine does not tell."""
    address_pool_mask: int = 0

    @classmethod
    def of(cls, cluster: Mapping[str, Any] | None) -> Self | None:
        """From ``Swarm.Cluster`` of an engine's description; None where the engine does not tell."""
        if not cluster or "Spec" not in cluster:
            return None
        rotating = bool(cluster.get("RootRotationInProgress"))
        pools, mask = tuple(cluster.get("DefaultAddrPool") or ()), cluster.get("SubnetSize") or 0
        return cls(cluster["Spec"], cluster.get("DataPathPort") or DATA_PATH_PORT, rotating, pools, mask)
