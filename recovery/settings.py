"""The stack's settings, checked once at the edge and frozen.

The same keys come from Pulumi's configuration and, for the command line, straight from
the stack file. Anything wrong is a `SettingError` that names the key and the remedy.
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from recovery import sealing, zones
from recovery.bucket import SITES, Bucket
from recovery.errors import SettingError

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
Recipient = Annotated[str, AfterValidator(sealing.require_recipient)]
BucketName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
Prefix = Annotated[str, StringConstraints(pattern=r"^[^/\s][^\s]*[^/\s]$|^[^/\s]$")]
Endpoint = Annotated[str, StringConstraints(pattern=r"^https?://[^/\s]+/?$")]
Role = Literal["manager", "worker"]
Availability = Literal["active", "pause", "drain"]
PROJECT = "requorum"
EXAMPLE = "stacks/Pulumi.production.example.yaml"


PLAN_ID = re.compile(r"r[0-9a-f]{7}")
COPY_NAME = re.compile(r"swarm-.+-\d{8}T\d{12}Z")
DockerName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$")]
Command = tuple[Annotated[str, StringConstraints(pattern=r"^[^\x00]+$")], ...]


def _consent(value: Any) -> bool | str:
    text = str(value).lower()
    if text in ("true", "false"):
        return text == "true"
    if PLAN_ID.fullmatch(text):
        return text
    raise ValueError("give true, or the ID of the plan that `pulumi preview` shows")


def _choice(value: Any) -> str | datetime | None:
    if value in (None, ""):
        return None
    text = str(value)
    if COPY_NAME.fullmatch(text):
        return text
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("give the name of a copy (requorum backups), or a time such as 2026-01-31T12:00:00Z") from None
    if moment.tzinfo is None:
        raise ValueError("the time has no zone: end it with Z or an offset such as +01:00")
    return moment


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True)


class Node(_Frozen):
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


class SwarmOptions(_Frozen):
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


class Hosts(_Frozen):
    """Where the machines come from: containers on Docker engines, or existing machines."""

    driver: Literal["docker", "existing"]
    image: str = ""
    endpoint: str = ""
    endpoints: Mapping[str, str] = Field(default_factory=dict)
    network: str = "swarm"
    identities: Path | None = None
    firewall: bool = True
    fence: tuple[str, ...] = ()
    """The command that switches an existing machine off; ``{name}`` and ``{address}`` stand for the node's."""

    def endpoint_of(self, zone: str) -> str:
        """The Docker engine that carries a zone's node containers."""
        return self.endpoints.get(zone, self.endpoint)


class Ssh(_Frozen):
    """How nodes are reached; host keys are pinned in ``known_hosts_file``."""

    user: str = "root"
    port: int = Field(22, ge=1, le=65535)
    private_key_file: Path
    known_hosts_file: Path


class Retention(_Frozen):
    """Which copies of each manager `requorum prune` keeps: the last ones, and the newest of each of so many periods."""

    last: int = Field(10, ge=0)
    hourly: int = Field(24, ge=0)
    daily: int = Field(7, ge=0)
    weekly: int = Field(5, ge=0)
    monthly: int = Field(12, ge=0)
    yearly: int = Field(0, ge=0)
    minimum: int = Field(3, ge=1)
    """Copies that a manager keeps, whatever the rules say."""
    grace_hours: int = Field(24, ge=1)
    """Nothing younger is removed. Never 0: an archive is in S3 a moment before its manifest."""


class Encryption(_Frozen):
    """Who encrypts at rest on the S3 server, and by which key: its own, one of a key service, or one that is given with each request."""

    mode: Literal["s3", "kms", "customer"]
    kms_key_id: str | None = None
    """None is the key that the server takes by default."""
    key_file: Path | None = None
    """32 bytes, raw or in base64."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.mode == "customer") != (self.key_file is not None):
            raise SettingError(
                "backup.encryption.keyFile",
                "it goes with `mode: customer`, and only with that",
                remedy="name a file of 32 random bytes (head -c 32 /dev/urandom > FILE), or correct the mode",
            )
        if self.kms_key_id and self.mode != "kms":
            raise SettingError("backup.encryption.kmsKeyId", "it goes with `mode: kms`", remedy="correct the mode")
        return self


class Lock(_Frozen):
    """For how long S3 lets nobody delete or overwrite a copy; `governance` lets those who may bypass it."""

    mode: Literal["governance", "compliance"]
    days: int = Field(ge=1)


class Second(_Frozen):
    """Where every copy and unlock key is kept once more."""

    bucket: BucketName
    prefix: Prefix | None = None
    """None is that of the main site."""
    endpoint: Endpoint | None = None
    region: str = "us-east-1"
    profile: str | None = None


class Backup(_Frozen):
    """Where the copies live, and who can read them. Credentials for S3 come from boto3's own chain, never from here."""

    bucket: BucketName
    prefix: Prefix = "requorum"
    endpoint: Endpoint | None = None
    region: str = "us-east-1"
    profile: str | None = None
    recipients: tuple[Recipient, ...] = ()
    """Age recipients; a copy is sealed to all of them before it leaves its node."""
    identity_file: Path | None = None
    """Age identities, one of which reads the copies here. Not needed to make them."""
    retention: Retention | None = None
    """None: nothing is ever pruned."""
    checksums: bool | None = None
    """Whether S3 checks what is written by SHA-256. None: on AWS, and not where an endpoint is given."""
    encryption: Encryption | None = None
    lock: Lock | None = None
    as_of: AwareDatetime | None = None
    """Copies and unlock keys are read as the bucket held them then. For when an attacker or a bug deleted or overwrote them."""
    second: Second | None = None
    megabytes_per_second: float | None = Field(None, gt=0)
    """The most that copies take of the line, each way, in each process; 10**6 bytes."""

    @property
    def sites(self) -> tuple[Bucket, ...]:
        """The bucket of the main site, and of the second."""
        return tuple(self._bucket(place) for place in (self, self.second) if place)

    def _bucket(self, place: "Backup | Second") -> Bucket:
        rest, lock = self.encryption, self.lock
        return Bucket(
            name=place.bucket,
            prefix=place.prefix or self.prefix,
            endpoint=place.endpoint,
            region=place.region,
            profile=place.profile,
            checked=place.endpoint is None if self.checksums is None else self.checksums,
            encryption=rest.mode if rest else None,
            kms_key_id=rest.kms_key_id if rest else None,
            key_file=rest.key_file if rest else None,
            lock=lock.mode if lock else None,
            lock_days=lock.days if lock else 0,
            as_of=self.as_of,
            megabytes_per_second=self.megabytes_per_second,
        )

    @model_validator(mode="after")
    def _check(self) -> Self:
        for key, site in zip(SITES, self.sites, strict=False):
            plain = (site.endpoint or "").startswith("http:")
            if plain and self.encryption and self.encryption.mode == "customer":
                raise SettingError(
                    f"{key}.endpoint",
                    "the customer's key goes with each request, and this one is not encrypted",
                    remedy="give an https endpoint, or another requorum:backup.encryption.mode",
                )
        places = {(site.endpoint, site.name, site.prefix) for site in self.sites}
        if len(places) < len(self.sites):
            raise SettingError(
                "backup.second", "it is the main site", remedy="name another bucket, best at another provider"
            )
        return self


class Agent(_Frozen):
    """The agent on each manager, which takes copies on schedule and after each change."""

    schedule: str = Field("hourly", pattern=r"^[^\n]+$")
    """When each manager takes a copy whether anything changed or not: a calendar expression of systemd."""
    on_change: bool = True
    credentials_file: Path | None = None
    """The nodes' own credentials for S3, in an AWS shared credentials file. None: boto3's chain on the node, such as its role."""
    metrics_folder: PurePosixPath | None = None
    """On the nodes; where a Prometheus node exporter reads text files."""
    spool_copies: int = Field(50, ge=1)
    spool_megabytes: int = Field(1024, ge=1)
    """What a node keeps while S3 takes nothing; 10**6 bytes."""


class Escrow(_Frozen):
    """Who can read the unlock keys that are kept in S3: age recipients; and the identity to read them with here."""

    recipients: tuple[Recipient, ...] = ()
    identity_file: Path | None = None


class Notify(_Frozen):
    """Who is told of failures: a file with a URL of apprise on each line, which may hold secrets."""

    urls_file: Path
    events: tuple[Literal["started", "failed", "recovered"], ...] = ("failed", "recovered")


class Data(_Frozen):
    """What a service keeps: by a command that writes it to standard output and one that reads it back, or in a volume."""

    service: DockerName
    backup: Command = ()
    """Run without a shell in the container of a running task."""
    restore: Command = ()
    volume: DockerName | None = None
    """As the engine calls it: ``STACK_NAME`` where a stack made it."""

    def check(self, key: str) -> None:
        """That it can be both copied and restored. Raises: SettingError for ``key``."""
        given = bool(self.backup or self.restore)
        if given == (self.volume is not None):
            raise SettingError(
                key,
                "commands and a volume are given" if given else "neither commands nor a volume are given",
                remedy="give either `backup` and `restore`, each a list of words, or `volume`",
            )
        for name, command in (("backup", self.backup), ("restore", self.restore)):
            if given and not command:
                raise SettingError(
                    f"{key}.{name}",
                    "is not set, and a copy is worth nothing without the way back",
                    remedy="give `backup` and `restore`, each a list of words",
                )


class Settings(_Frozen):
    """One cluster: its nodes, its options and where its copies live."""

    cluster: Name
    cluster_id: str | None = None
    subnet: IPv4Network
    zones: tuple[Name, ...] = ("a", "b", "c")
    managers: tuple[Node, ...]
    workers: tuple[Node, ...] = ()
    swarm: SwarmOptions = SwarmOptions()
    hosts: Hosts
    ssh: Ssh
    backup: Backup
    escrow: Escrow = Escrow()
    notify: Notify | None = None
    agent: Agent | None = None
    data: Mapping[Name, Data] = Field(default_factory=dict)
    """What services keep, by the name that its copies go by."""
    copy_from: Annotated[str | datetime | None, BeforeValidator(_choice)] = Field(None, alias="copy")
    """What a lost swarm is restored from: a copy by its name, or the best that is no younger than a time; else the best."""
    recover: Annotated[bool | str, BeforeValidator(_consent)] = False
    """Consent to a recovery: true, or the ID of one plan."""

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Every node, managers first."""
        return self.managers + self.workers

    def node(self, name: str) -> Node:
        """The node of that name; `KeyError` when there is none."""
        return {node.name: node for node in self.nodes}[name]

    def named(self, name: str) -> Node:
        """The node that the operator names. Raises: SettingError when there is none."""
        names = [node.name for node in self.nodes]
        if name not in names:
            raise SettingError("(node)", f"there is no node {name}", remedy=f"name one of {', '.join(names)}")
        return self.node(name)

    @model_validator(mode="before")
    @classmethod
    def _place(cls, raw: Any) -> Any:
        """Give managers without a zone or a name theirs, and both groups their role."""
        if not isinstance(raw, dict):
            return raw
        for key in ("zones", "managers", "workers"):
            if not isinstance(raw.get(key, []), list | tuple):
                raise SettingError(key, "is not a list", remedy=f"give a list; {EXAMPLE} explains it")
        zone_names = [str(zone) for zone in raw.get("zones", cls.model_fields["zones"].default)]
        managers = [dict(m) for m in raw.get("managers", ()) if isinstance(m, Mapping)]
        spread = zones.placement(len(managers), zone_names) if zone_names else ()
        for manager, zone in zip(managers, spread, strict=False):
            manager.setdefault("zone", zone)
        for manager, name in zip(managers, zones.names([m.get("zone", "") for m in managers]), strict=True):
            manager.setdefault("name", name)
            manager.setdefault("availability", "drain")
            manager["role"] = "manager"
        workers = [dict(w) for w in raw.get("workers", ()) if isinstance(w, Mapping)]
        for number, worker in enumerate(workers, 1):
            worker.setdefault("name", f"worker-{number}")
            worker.setdefault("zone", zone_names[(number - 1) % len(zone_names)] if zone_names else "")
            worker["role"] = "worker"
        return {**raw, "managers": managers, "workers": workers}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self._check_managers()
        self._check_nodes()
        if self.hosts.driver == "docker":
            self._check_docker_hosts()
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

    def named_data(self, name: str) -> Data:
        """The data that the operator names. Raises: SettingError when there is none."""
        if name not in self.data:
            known = f"name one of {', '.join(self.data)}, or " if self.data else ""
            raise SettingError("data", f"there is no {name}", remedy=f"{known}add it; {EXAMPLE} explains it")
        return self.data[name]

    def _check_managers(self) -> None:
        count = len(self.managers)
        if count not in zones.MANAGER_COUNTS:
            raise SettingError(
                "managers",
                f"{count} managers are given; an even number tolerates no more losses than one fewer"
                if count % 2 == 0
                else f"{count} managers are given",
                remedy="give 3, 5, 7 or 9 managers",
            )
        if len(self.zones) != len(set(self.zones)) or len(self.zones) < 3:
            raise SettingError(
                "zones", "three different zones are needed", remedy="name three zones, such as [a, b, c]"
            )
        if not zones.survives_any_zone([manager.zone for manager in self.managers]):
            raise SettingError(
                "managers",
                "losing one zone would lose the quorum",
                remedy="spread the managers (3 = 1-1-1, 5 = 2-2-1, 7 = 3-2-2, 9 = 3-3-3), or leave `zone` out",
            )

    def _check_nodes(self) -> None:
        seen_names: dict[str, str] = {}
        seen_addresses: dict[IPv4Address, str] = {}
        dialled: dict[str, str] = {}
        for group, members in (("managers", self.managers), ("workers", self.workers)):
            for index, node in enumerate(members):
                key = f"{group}[{index}]"
                if node.zone not in self.zones:
                    raise SettingError(
                        f"{key}.zone",
                        f"zone {node.zone!r} is unknown",
                        remedy=f"use one of {', '.join(self.zones)}, or add it to requorum:zones",
                    )
                if node.address not in self.subnet:
                    raise SettingError(
                        f"{key}.address",
                        f"{node.address} is not in requorum:subnet {self.subnet}",
                        remedy="give an address of the subnet, or correct the subnet",
                    )
                if node.address in seen_addresses:
                    raise SettingError(
                        f"{key}.address",
                        f"{node.address} is already the address of {seen_addresses[node.address]}",
                        remedy="give every node an address of its own",
                    )
                if node.name in seen_names:
                    raise SettingError(
                        f"{key}.name",
                        f"{node.name} is already the name of {seen_names[node.name]}",
                        remedy="give every node a name of its own",
                    )
                if node.dial in dialled:
                    raise SettingError(
                        f"{key}.sshAddress",
                        f"{dialled[node.dial]} is reached at {node.dial} too",
                        remedy="give every node an address of its own",
                    )
                if node.address in (self.subnet.network_address, self.subnet.broadcast_address):
                    raise SettingError(
                        f"{key}.address",
                        f"{node.address} is not a machine's address",
                        remedy="give another address of the subnet",
                    )
                dialled[node.dial] = node.name
                seen_names[node.name] = key
                seen_addresses[node.address] = node.name

    def _check_docker_hosts(self) -> None:
        if not self.hosts.image:
            raise SettingError(
                "hosts.image", "the docker driver needs the image of a node", remedy="set requorum:hosts.image"
            )
        if self.hosts.identities is None:
            raise SettingError(
                "hosts.identities",
                "the docker driver needs the folder with each node's SSH host key",
                remedy="set requorum:hosts.identities to a folder with one folder per node",
            )
        for node in self.nodes:
            if not self.hosts.endpoint_of(node.zone):
                raise SettingError(
                    "hosts.endpoint",
                    f"no Docker engine is given for zone {node.zone}",
                    remedy="set requorum:hosts.endpoint, or the zone's in requorum:hosts.endpoints",
                )


def parse(raw: Mapping[str, Any]) -> Settings:
    """Settings from plain values, keys in camel case.

    Raises: SettingError for the first thing that is wrong.
    """
    for key in ("cluster", "subnet", "managers", "hosts", "ssh", "backup"):
        if raw.get(key) in (None, "", [], {}):
            raise SettingError(key, "is not set", remedy=f"set it in the stack file; {EXAMPLE} explains it")
    try:
        return Settings.model_validate(dict(raw))
    except ValidationError as error:
        first = error.errors()[0]
        key = _path(first["loc"])
        remedy = f"correct it in the stack file; {EXAMPLE} explains requorum:{key.split('.')[0].split('[')[0]}"
        raise SettingError(key, _reason(first), remedy=remedy) from None


def load(stack_file: Path) -> Settings:
    """Settings of a stack file, read without Pulumi.

    Raises: SettingError when the file is missing, is not YAML, or holds a wrong value.
    """
    try:
        document = yaml.safe_load(stack_file.read_text()) or {}
    except FileNotFoundError:
        raise SettingError(
            "(stack file)", f"{stack_file} does not exist", remedy="name the stack with --stack or PULUMI_STACK"
        ) from None
    except OSError as error:
        raise SettingError(
            "(stack file)", f"{stack_file}: {error.strerror}", remedy="name a readable stack file"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingError("(stack file)", f"{stack_file} is not YAML: {error}", remedy="correct the file") from None
    config = document.get("config") if isinstance(document, dict) else None
    if not isinstance(config, dict):
        raise SettingError("(stack file)", f"{stack_file} has no `config:` with settings", remedy=f"see {EXAMPLE}")
    prefix = f"{PROJECT}:"
    return parse({str(key).removeprefix(prefix): value for key, value in config.items() if str(key).startswith(prefix)})


def from_strings(values: Mapping[str, str]) -> Settings:
    """Settings from Pulumi's configuration, where structured values are JSON text and scalars are strings."""
    return parse({key: _decode(value) for key, value in values.items()})


def _decode(value: str) -> Any:
    """Only lists and maps are JSON text; `42` or `true` may be meant as a string, and the model converts what is not."""
    if not value.startswith(("[", "{")):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _path(location: tuple[int | str, ...]) -> str:
    parts = (part for part in location if part != "[key]")  # pydantic's word for the key of a map itself
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")


def _reason(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "is not a known key"
    if error["type"] == "missing":
        return "is missing"
    return f"{error['msg']} (got {error['input']!r})"
