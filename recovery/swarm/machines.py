"""TODO docstring."""

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Literal

from pydantic import Field

from recovery.settings.base import Frozen, Name

Role = Literal["manager", "worker"]
Availability = Literal["active", "pause", "drain"]


class Node(Frozen):
    """One machine of the swarm, at an address it keeps for life."""

    name: Name = ""
    address: IPv4Address
    zone: str = ""
    role: Role = "worker"
    availability: Availability | None = None
    """None leaves it as it is; managers are drained unless told otherwise."""
    labels: Mapping[str, str] = Field(default_factory=dict)
    ssh_address: str = ""

    @property
    def dial(self) -> str:
        """Where SSH reaches the node: its own address unless another is given."""
        return self.ssh_address or str(self.address)


class SwarmOptions(Frozen):
    """Options of ``docker swarm init``. One left out is the engine's default, or stays as it is in a running swarm.

    The address pools and the data path port count only when the swarm is founded.
    """

    cert_expiry_hours: int | None = Field(None, ge=1)
    task_history_limit: int | None = Field(None, ge=0)
    snapshot_interval: int | None = Field(None, ge=1)
    autolock: bool | None = None
    max_snapshots: int | None = Field(None, ge=0)
    dispatcher_heartbeat_seconds: int | None = Field(None, ge=1)
    default_address_pools: tuple[IPv4Network, ...] = ()
    default_address_pool_mask: int = Field(24, ge=16, le=29)
    data_path_port: int = Field(4789, ge=1024, le=49151)


class Ssh(Frozen):
    """How nodes are reached; host keys are pinned in ``known_hosts_file``."""

    user: str = "root"
    port: int = Field(22, ge=1, le=65535)
    private_key_file: Path
    known_hosts_file: Path
