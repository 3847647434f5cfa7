"""What an engine says of a swarm."""

from collections.abc import Mapping
from typing import Any

SWARM = {"ID": "swarm", "Version": {"Index": 7}, "JoinTokens": {"Worker": "SWMTKN-secret"}}


def holdings(**changes: Any) -> dict[str, list[Mapping[str, Any]]]:
    nodes = [
        node("b", leader=True),
        node("c"),
        node("a"),
        {"ID": "w", "Version": {"Index": 2}, "Spec": {"Role": "worker"}},
    ]
    services = [{"ID": "s1", "Version": {"Index": 5}}, {"ID": "s2", "Version": {"Index": 6}}]
    return {"nodes": nodes, "services": services, "networks": [{"Id": "n1"}], "secrets": [], "configs": [], **changes}


def node(
    node_id: str, *, leader: bool = False, version: int = 3, reachability: str = "reachable", **spec: Any
) -> dict[str, Any]:
    return {
        "ID": node_id,
        "Version": {"Index": version},
        "Spec": {"Role": "manager", **spec},
        "Status": {"State": "ready"},
        "ManagerStatus": {"Leader": leader, "Reachability": reachability},
    }
