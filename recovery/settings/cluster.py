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
from recovery.settings.choices import Choice, Consent
from recovery.settings.copies import Backup, Escrow
from recovery.settings.hosts import Hosts
from recovery.settings.machines import Node, Ssh, SwarmOptions
from recovery.settings.notify import Notify
from recovery.settings.placement import ZONES, placed
from recovery.settings.services import Data
from recovery.swarm import machines


class Settings(Frozen):
    """One cluster: its nodes, its options and where its copies live."""

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
    """What services keep, by the name that its copies go by."""
    copy_from: Choice = Field(None, alias="copy")
    """What a lost swarm is restored from: a copy by its name, or the best that is no younger than a time; else the best."""
    recover: Consent = False
    """Consent to a recovery: true, or the ID of one plan."""

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
        """The node that the operator names. Raises: SettingError when there is none."""
        names = [node.name for node in self.nodes]
        if name not in names:
            raise SettingError("(node)", f"there is no node {name}", remedy=f"name one of {', '.join(names)}")
        return self.node(name)

    def named_data(self, name: str) -> Data:
        """The data that the operator names. Raises: SettingError when there is none."""
        if name not in self.data:
            known = f"name one of {', '.join(self.data)}, or " if self.data else ""
            raise SettingError("data", f"there is no {name}", remedy=f"{known}add it; {EXAMPLE} explains it")
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
                "is not set, and a copy holds the swarm's CA key: it leaves its node sealed or not at all",
                remedy=f"{sealing.KEYGEN} here and FILE as requorum:backup.identityFile",
            )
        for name, data in self.data.items():
            data.check(f"data.{name}")
        if self.swarm.autolock and not self.escrow.recipients:
            raise SettingError(
                "escrow.recipients",
                "is not set, and requorum:swarm.autolock is true: nobody could unlock what is restored",
                remedy=f"{sealing.KEYGEN} here and FILE as requorum:escrow.identityFile",
            )
        return self
