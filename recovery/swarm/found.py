"""What is found of a swarm beside its node list: its options, as a manager tells them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

DATA_PATH_PORT = 4789
"""The engine's own, where a swarm was created without another."""


@dataclass(frozen=True)
class SwarmFacts:
    """The swarm's options (``Spec``), and the port of its overlay traffic, which nobody can change later."""

    spec: Mapping[str, Any] = field(default_factory=dict)
    data_path_port: int = DATA_PATH_PORT

    @classmethod
    def of(cls, cluster: Mapping[str, Any] | None) -> Self | None:
        """From ``Swarm.Cluster`` of an engine's description; None where the engine does not tell."""
        if not cluster or "Spec" not in cluster:
            return None
        return cls(cluster["Spec"], cluster.get("DataPathPort") or DATA_PATH_PORT)
