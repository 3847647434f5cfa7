"""The machines of a swarm, the options of the swarm, and the way to reach machines."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, Literal, Self

Role = Literal["manager", "worker"]
Availability = Literal["active", "pause", "drain"]

SWARM_PORT = 2377
"""The port of the managers' API."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """One machine of the swarm. Its address does not change."""

    name: str
    address: IPv4Address
    zone: str = ""
    role: Role = "worker"
    availability: Availability | None = None
    """None leaves the availability as it is. By default, the settings drain the managers of a swarm that Requorum creates."""
    labels: Mapping[str, str] = field(default_factory=dict)
    ssh_address: str = ""
    data_path_address: IPv4Address | None = None
    """The address of its overlay traffic (``--data-path-addr``). None means its own address."""

    @property
    def dial(self) -> str:
        """The address at which SSH reaches the node: ``ssh_address`` if set, otherwise ``address``."""
        return self.ssh_address or str(self.address)

    def to_json(self) -> dict[str, Any]:
        """The node as the Pulumi state holds it."""
        known = {**asdict(self), "address": str(self.address), "labels": dict(self.labels)}
        path = known.pop("data_path_address")
        return {**known, "data_path_address": str(path)} if path else known

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The node that `to_json` wrote. Ignores unknown keys."""
        known = {key: document[key] for key in cls.__dataclass_fields__ if key in document}
        for key in ("address", "data_path_address"):
            if known.get(key):
                known[key] = IPv4Address(known[key])
        return cls(**known)


@dataclass(frozen=True, kw_only=True)
class SwarmOptions:
    """Options of ``docker swarm init``. Without a value, a running swarm keeps its own.

    A new swarm then gets the engine's default. The address pools and the data path port matter only to a new swarm.
    """

    cert_expiry_hours: int | None = None
    task_history_limit: int | None = None
    snapshot_interval: int | None = None
    autolock: bool | None = None
    max_snapshots: int | None = None
    dispatcher_heartbeat_seconds: int | None = None
    default_address_pools: tuple[IPv4Network, ...] = ()
    default_address_pool_mask: int = 24
    data_path_port: int = 4789

    def to_json(self) -> dict[str, Any]:
        """The options as the Pulumi state holds them."""
        return {**asdict(self), "default_address_pools": [str(pool) for pool in self.default_address_pools]}


@dataclass(frozen=True, kw_only=True)
class Ssh:
    """How to reach nodes by SSH. ``known_hosts_file`` pins their host keys."""

    user: str = "root"
    port: int = 22
    private_key_file: Path
    known_hosts_file: Path
    login_seconds: float = 20
    """How long a machine that accepts the connection may take to let us in. Logins of 12 s were seen."""
