"""The settings of one cluster as a whole."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from recovery.errors import SettingError
from recovery.s3 import sealing
from recovery.s3.keys import Keys
from recovery.settings.agent import Agent, with_retention
from recovery.settings.base import EXAMPLE, Faults, Frozen, Name, collected
from recovery.settings.checks import (
    check_data_paths,
    check_docker_hosts,
    check_managers,
    check_nodes,
    require_one_data_path,
)
from recovery.settings.choices import CaDigests, Choice, Consent, PublicKeys
from recovery.settings.copies import Backup, Escrow
from recovery.settings.engine import Engine
from recovery.settings.hosts import Hosts
from recovery.settings.machines import Node, Ssh, Subnet, SwarmOptions
from recovery.settings.notify import Notify
from recovery.settings.placement import ZONES, placed, weaknesses
from recovery.settings.services import Data
from recovery.settings.workload import Workload
from recovery.swarm import machines


class Settings(Frozen):
    """One cluster: its nodes, its options and where its copies are stored."""

    cluster: Name
    cluster_id: str | None = None
    subnet: Subnet
    """The networks of the nodes. The firewall lets nobody else in."""
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
    engine: Engine | None = None
    data: Mapping[Name, Data] = Field(default_factory=dict)
    """The data of services, by the name of its copies."""
    workload: Workload | None = None
    """What the program runs on the swarm. None: nothing."""
    copy_from: Choice = Field(None, alias="copy")
    """The copy to restore a lost swarm from: a copy's name, or a time for the best copy up to then; else the best copy."""
    ca_sha256: CaDigests = ()
    """SHA-256 of the swarm's CA certificate (``swarm-root-ca.crt``), or of several. Copies under another CA do not count."""
    operators: PublicKeys = ()
    """The public SSH keys of the operators, who sign what decides something in S3. Empty: the one of ``ssh.privateKeyFile``."""
    report_page: Path | None = None
    """Where an update or a recovery writes the page of its report, in addition to S3."""
    protect: bool | None = None
    """Whether `pulumi destroy` lets go of the swarm instead of ending it. None: if the swarm was taken over."""
    recover: Consent = False
    """Consent to a recovery: true, or the ID of one plan."""

    @property
    def adopted(self) -> bool:
        """Whether the swarm was there before: the stack file names its ID. What it does not name stays as it is."""
        return bool(self.cluster_id)

    @property
    def weaknesses(self) -> tuple[str, ...]:
        """What the managers of a swarm that was taken over do not tolerate, a sentence each."""
        return weaknesses([manager.zone for manager in self.managers])

    @property
    def protected(self) -> bool:
        """Whether `pulumi destroy` lets go of the swarm."""
        return self.adopted if self.protect is None else self.protect

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
        return collected(lambda given: with_retention(placed(given)))(raw) if isinstance(raw, dict) else raw

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        faults = Faults()
        if not self.adopted:
            check_managers(self.managers, self.zones, faults)
            faults.find(require_one_data_path, self.nodes)
        check_nodes(self.managers, self.workers, self.zones, self.subnet, faults)
        firewall = not self.adopted if self.hosts.firewall is None else self.hosts.firewall
        check_data_paths(self.managers, self.workers, self.subnet, faults, firewall=firewall)
        if self.hosts.driver == "docker":
            check_docker_hosts(self.hosts, self.nodes, faults)
        faults.find(self._require_recipients)
        for name, data in self.data.items():
            faults.find(data.check, f"data.{name}")
        faults.find(self._require_escrow)
        faults.find(self._require_upgrade_command)
        if self.workload:
            self.workload.find_faults("workload", faults)
        faults.require_none()
        port = self.swarm.listen_port
        for group in ("managers", "workers"):
            self.__dict__[group] = tuple(replace(node, listen_port=port) for node in getattr(self, group))
        logins = {node.address: node.ssh for node in self.nodes if node.ssh}
        self.__dict__["ssh"] = replace(self.ssh, logins=logins)  # the model is frozen for others
        return self

    def _require_recipients(self) -> None:
        if not self.backup.recipients:
            raise SettingError(
                "backup.recipients",
                "is not set. A copy holds the swarm's CA key, so Requorum only stores it sealed",
                remedy=f"{sealing.KEYGEN} here and FILE as requorum:backup.identityFile",
                code="setting-missing",
            )

    def _require_escrow(self) -> None:
        if self.swarm.autolock and not self.escrow.recipients:
            raise SettingError(
                "escrow.recipients",
                "is not set, and requorum:swarm.autolock is true. Without a stored unlock key nobody could unlock a restored "
                "manager",
                remedy=f"{sealing.KEYGEN} here and FILE as requorum:escrow.identityFile",
                code="setting-missing",
            )

    def _require_upgrade_command(self) -> None:
        if self.engine and not self.engine.command and not self.hosts.made:
            raise SettingError(
                "engine.command",
                "is not set, and no update makes these machines. Requorum does not know how a node gets another engine",
                remedy="give the line for the shell that upgrades the engine of a node, as docs/upgrade.md shows",
                code="setting-missing",
            )
