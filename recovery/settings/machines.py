"""How the stack file gives the values of `recovery.swarm.machines`: the same fields, checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_network
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, GetCoreSchemaHandler, IPvAnyAddress, PlainValidator
from pydantic_core import CoreSchema, core_schema

from recovery.settings.base import Frozen, Name
from recovery.swarm import machines
from recovery.swarm.address import Networks
from recovery.swarm.ssh_url import parse_hop


@dataclass(frozen=True)
class CheckedBy:
    """Has a field read by a model of the settings, and then made the plain value that the annotation names."""

    model: type[Frozen]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The model's schema, and the value made of what it read; a value that is one already stays."""

        def check(value: Any, read: core_schema.ValidatorFunctionWrapHandler) -> Any:
            if isinstance(value, source):
                return value
            checked = read(value)
            return source(**{name: getattr(checked, name) for name in self.model.model_fields})

        return core_schema.no_info_wrap_validator_function(check, handler.generate_schema(self.model))


def _hop(given: Any) -> Any:
    return parse_hop(given) if isinstance(given, str) else given


class _Hop(Frozen):
    host: str
    user: str | None = None
    port: int = Field(22, ge=1, le=65535)


Hop = Annotated[machines.Hop, CheckedBy(_Hop), BeforeValidator(_hop)]


def _networks(given: Any) -> Networks:
    if isinstance(given, Networks):
        return given
    if not isinstance(given, str):
        raise ValueError("give a network, or several with commas")
    return Networks(tuple(ip_network(text.strip()) for text in given.split(",")))


Subnet = Annotated[Networks, PlainValidator(_networks)]


class _Login(Frozen):
    user: str | None = Field(None, min_length=1)
    port: int | None = Field(None, ge=1, le=65535)
    private_key_file: Path | None = None
    jump: tuple[Hop, ...] | None = None


Login = Annotated[machines.Login, CheckedBy(_Login)]


class _Node(Frozen):
    name: Name = ""
    address: IPvAnyAddress
    zone: str = ""
    role: machines.Role = "worker"
    availability: machines.Availability | None = None
    labels: Mapping[str, str] = Field(default_factory=dict)
    ssh_address: str = ""
    data_path_address: IPvAnyAddress | None = None
    listen_address: IPvAnyAddress | None = None
    ssh: Login | None = None


def _certificate(given: Any) -> Any:
    """The text of the file that the stack file names."""
    if not isinstance(given, str) or not given:
        return given
    try:
        text = Path(given).expanduser().read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"the file cannot be read: {error}") from None
    if "BEGIN CERTIFICATE" not in text:
        raise ValueError("the file has no certificate in PEM")
    return text


class _ExternalCa(Frozen):
    url: str = Field(pattern="^https://.+")
    certificate: Annotated[str, BeforeValidator(_certificate)] = Field("", alias="certificateFile")


ExternalCa = Annotated[machines.ExternalCa, CheckedBy(_ExternalCa)]
OWN_PORTS = frozenset({2375, 2376, 7946})
"""Ports of the engine and of gossip, which the managers' API cannot have."""


def _free(port: int) -> int:
    if port in OWN_PORTS:
        raise ValueError("another part of Docker has this port")
    return port


class _SwarmOptions(Frozen):
    cert_expiry_hours: int | None = Field(None, ge=1)
    task_history_limit: int | None = Field(None, ge=0)
    snapshot_interval: int | None = Field(None, ge=1)
    autolock: bool | None = None
    max_snapshots: int | None = Field(None, ge=0)
    dispatcher_heartbeat_seconds: int | None = Field(None, ge=1)
    default_address_pools: tuple[IPv4Network, ...] = ()
    default_address_pool_mask: int = Field(24, ge=16, le=29)
    data_path_port: int = Field(4789, ge=1024, le=49151)
    listen_port: Annotated[int, AfterValidator(_free)] = Field(machines.SWARM_PORT, ge=1024, le=65535)
    external_cas: tuple[ExternalCa, ...] = ()


class _Ssh(Frozen):
    user: str = Field("root", min_length=1)
    port: int = Field(22, ge=1, le=65535)
    private_key_file: Path | None = None
    known_hosts_file: Path
    login_seconds: float = Field(20, ge=1, le=110)
    jump: tuple[Hop, ...] = ()
    config_file: Path | None = None


Node = Annotated[machines.Node, CheckedBy(_Node)]
SwarmOptions = Annotated[machines.SwarmOptions, CheckedBy(_SwarmOptions)]
Ssh = Annotated[machines.Ssh, CheckedBy(_Ssh)]
