"""The settings of one cluster as a whole."""

from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import Any, Self

from pydantic import Field, model_validator

from recovery.errors import SettingError
from recovery.s3 import sealing
from recovery.s3.keys import Keys
from recovery.settings.agent import Agent
from recovery.settings.base import EXAMPLE, Frozen, Name
from recovery.settings.checks import check_docker_hosts, check_managers, check_nodes
from recovery.settings.choices import CaDigests, Choice, Consent
from recovery.settings.copies import Backup, Escrow
from recovery.settings.hosts import Hosts
from recovery.settings.machines import Node, Ssh, SwarmOptions
from recovery.settings.notify import Notify
from recovery.settings.placement import ZONES, placed
from recovery.settings.services import Data
from recovery.swarm import machines


class Settings(Frozen):
    """One cluster: its nodes, its options and where its copies are stored."""

    cluster: Name
    cluster_id: str | None = None
    subnet: IPv4Network
    zones: tuple[Name, ...] = ZONES
    managers: tuple[Node, ...]
    workers: tuple[Node, ...] = ()
    swarm: SwarmOptions = machines.SwarmOptions()
    hosts: Hosts
    ssh: Ssh
    backup: Backup
    escrow: Escrow = Escrow()
    notify: Notify | None = None
    agent: Agent | None = None
    data: Mapping[Name, Data] = Field(default_factory=dict)
    """The data of services, by the name of its copies."""
    copy_from: Choice = Field(None, alias="copy")
    """The copy to restore a lost swarm from: a copy's name, or a time for the best copy up to then; else the best copy."""
    ca_sha256: CaDigests = ()
    """SHA-256 of the swarm's CA certificate (``swarm-root-ca.crt``), or of several. Copies under another CA do not count."""
    protect: bool = False
    """Whether `pulumi destroy` lets go of the swarm instead of ending it."""
    recover: Consent = False
    """Consent to a recovery: true, or the ID of one plan."""

    @property
    def adopted(self) -> bool:
        """Whether the swarm was there before: the stack file names its ID. What it does not name stays as it is."""
        return bool(self.cluster_id)

    @property
    def keys(self) -> Keys:
        """Where the cluster's objects lie in S3."""
        return Keys(self.backup.prefix, self.cluster)

    @property
    def nodes(self) -> tuple[machines.Node, ...]:
        """Every node, managers first."""
        return self.managers + self.workers

    def node(self, name: str) -> machines.Node:
        """The node of that name; `KeyError` when there is none."""
        return {node.name: node for node in self.nodes}[name]

    def named(self, name: str) -> machines.Node:
        """The node that the operator names. Raises: SettingError when the settings have no such node."""
        names = [node.name for node in self.nodes]
        if name not in names:
            raise SettingError(
                "(node)",
                f"the stack file has no node {name}",
                remedy=f"name one of {', '.join(names)}",
                code="no-such-name",
            )
        return self.node(name)

    def named_data(self, name: str) -> Data:
        """The data that the operator names. Raises: SettingError when the settings have no such data."""
        if name not in self.data:
            known = f"name one of {', '.join(self.data)}, or " if self.data else ""
            raise SettingError(
                "data",
                f"has no entry {name}",
                remedy=f"{known}add the entry as {EXAMPLE} shows",
                code="no-such-name",
            )
        return self.data[name]

    @model_validator(mode="before")
    @classmethod
    def _place(cls, raw: Any) -> Any:
        return placed(raw) if isinstance(raw, dict) else raw

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_managers(self.managers, self.zones)
        check_nodes(self.managers, self.workers, self.zones, self.subnet)
        if self.hosts.driver == "docker":
            check_docker_hosts(self.hosts, self.nodes)
        if not self.backup.recipients:
            raise SettingError(
                "backup.recipients",
                "is not set. A copy holds the swarm's CA key, so Requorum only stores it sealed",
                remedy=f"{sealing.KEYGEN} here and FILE as requorum:backup.identityFile",
                code="setting-missing",
            )
        for name, data in self.data.items():
            data.check(f"data.{name}")
        if self.swarm.autolock and not self.escrow.recipients:
            raise SettingError(
                "escrow.recipients",
                "is not set, and requorum:swarm.autolock is true. Without a stored unlock key nobody could unlock a restored "
                "manager",
                remedy=f"{sealing.KEYGEN} here and FILE as requorum:escrow.identityFile",
                code="setting-missing",
            )
        return self
