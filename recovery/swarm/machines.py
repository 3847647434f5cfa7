"""The machines of a swarm, the options of the swarm, and the way to reach machines."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from ipaddress import IPv4Network, ip_address
from pathlib import Path
from typing import Any, Literal, Self

from recovery.swarm.address import Address

Role = Literal["manager", "worker"]
Availability = Literal["active", "pause", "drain"]

ROOT = "root"
SWARM_PORT = 2377
"""The port of the managers' API."""


@dataclass(frozen=True, kw_only=True)
class Hop:
    """A jump host, through which SSH reaches a machine. What is None is as for the machine."""

    host: str
    user: str | None = None
    port: int = 22

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.user}@{host}:{self.port}" if self.user else f"{host}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class Login:
    """How SSH enters one machine, as far as it differs from `Ssh`. None means no difference."""

    user: str | None = None
    port: int | None = None
    private_key_file: Path | None = None
    jump: tuple[Hop, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """The differences as the Pulumi state holds them."""
        known = {key: value for key, value in asdict(self).items() if value is not None}
        return {key: str(value) if isinstance(value, Path) else value for key, value in known.items()}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The differences that `to_json` wrote. Ignores unknown keys."""
        known = {key: document[key] for key in cls.__dataclass_fields__ if key in document}
        if "private_key_file" in known:
            known["private_key_file"] = Path(known["private_key_file"])
        if "port" in known:
            known["port"] = int(known["port"])
        if "jump" in known:
            known["jump"] = tuple(Hop(**{**hop, "port": int(hop["port"])}) for hop in known["jump"])
        return cls(**known)


@dataclass(frozen=True, kw_only=True)
class Node:
    """One machine of the swarm. Its address does not change."""

    name: str
    address: Address
    zone: str = ""
    role: Role = "worker"
    availability: Availability | None = None
    """None leaves the availability as it is. By default, the settings drain the managers of a swarm that Requorum creates."""
    labels: Mapping[str, str] = field(default_factory=dict)
    ssh_address: str = ""
    data_path_address: Address | None = None
    """The address of its overlay traffic (``--data-path-addr``). None means its own address."""
    listen_address: Address | None = None
    """The address at which its engine listens for the managers' API (``--listen-addr``). None means every address."""
    listen_port: int = SWARM_PORT
    """The port of the managers' API. The settings give all nodes the one of the swarm."""
    ssh: Login | None = None

    @property
    def data_path(self) -> Address:
        """The address of its overlay traffic: ``data_path_address`` if set, otherwise ``address``."""
        return self.data_path_address or self.address

    @property
    def dial(self) -> str:
        """The address at which SSH reaches the node: ``ssh_address`` if set, otherwise ``address``."""
        return self.ssh_address or str(self.address)

    def to_json(self) -> dict[str, Any]:
        """The node as the Pulumi state holds it."""
        known = {**asdict(self), "address": str(self.address), "labels": dict(self.labels)}
        path, at, _ = (known.pop(key) for key in ("data_path_address", "listen_address", "ssh"))
        port = known.pop("listen_port")
        optional = {
            "data_path_address": str(path) if path else None,
            "listen_address": str(at) if at else None,
            "listen_port": port if port != SWARM_PORT else None,
            "ssh": self.ssh.to_json() if self.ssh else None,
        }
        return {**known, **{key: value for key, value in optional.items() if value}}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The node that `to_json` wrote. Ignores unknown keys."""
        known = {key: document[key] for key in cls.__dataclass_fields__ if key in document}
        for key in ("address", "data_path_address", "listen_address"):
            if known.get(key):
                known[key] = ip_address(known[key])
        known["listen_port"] = int(known.get("listen_port") or SWARM_PORT)
        if known.get("ssh"):
            known["ssh"] = Login.from_json(known["ssh"])
        return cls(**known)


@dataclass(frozen=True, kw_only=True)
class ExternalCa:
    """A CA that signs the certificates of nodes in place of the swarm (``--external-ca``)."""

    url: str
    """Where requests are sent, in CFSSL's protocol, the only one that engines know."""
    certificate: str = ""
    """The CA's certificate in PEM. Empty: the swarm's root certificate of now."""

    def to_engine(self) -> dict[str, Any]:
        """The CA as the engine's API has it."""
        return {"Protocol": "cfssl", "URL": self.url, **({"CACert": self.certificate} if self.certificate else {})}


@dataclass(frozen=True, kw_only=True)
class SwarmOptions:
    """Options of ``docker swarm init``. Without a value, a running swarm keeps its own.

    A new swarm then gets the engine's default. A swarm takes the address pools, the data path port and the listen port only
    when it is created.
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
    listen_port: int = SWARM_PORT
    external_cas: tuple["ExternalCa", ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The options as the Pulumi state holds them. Those that earlier releases did not have are there only if they are set."""
        known = {**asdict(self), "default_address_pools": [str(pool) for pool in self.default_address_pools]}
        port, cas = known.pop("listen_port"), [ca.to_engine() for ca in self.external_cas]
        known.pop("external_cas")
        return {
            **known,
            **({"listen_port": port} if port != SWARM_PORT else {}),
            **({"external_cas": cas} if cas else {}),
        }


@dataclass(frozen=True, kw_only=True)
class Ssh:
    """How to reach nodes by SSH. ``known_hosts_file`` pins their host keys and those of the jump hosts."""

    user: str = ROOT
    """Any other user runs commands through ``sudo`` without a password."""
    port: int = 22
    private_key_file: Path | None = None
    """The private key. A public key, or a private key with a passphrase, names a key of the SSH agent. None: any key of it."""
    known_hosts_file: Path
    login_seconds: float = 20
    """How long a machine that accepts the connection may take to let us in. Logins of 12 s were seen."""
    jump: tuple[Hop, ...] = ()
    """The jump hosts on the way to each machine, the first one first."""
    config_file: Path | None = None
    """The operator's OpenSSH configuration, which comes before all of this and after a machine's own login."""
    logins: Mapping[Address, Login] = field(default_factory=dict, hash=False)
    """What the stack file says of single machines, by their address."""

    def own(self, node: Node) -> Login:
        """What differs for this machine: as the stack file says today, else as the Pulumi state remembers of a node that left."""
        return self.logins.get(node.address) or node.ssh or Login()

    def user_of(self, node: Node) -> str:
        """The user of the login, where no OpenSSH configuration names another."""
        return self.own(node).user or self.user

    def command(self, node: Node, *argv: str) -> str:
        """How to run a command as root on the node by hand."""
        own, user = self.own(node), self.user_of(node)
        port, key = own.port or self.port, own.private_key_file or self.private_key_file
        hops = self.jump if own.jump is None else own.jump
        options = [
            *(["-F", str(self.config_file)] if self.config_file else []),
            *(["-i", str(key)] if key else []),
            *(["-p", str(port)] if port != Ssh.port else []),
            *(["-J", ",".join(map(str, hops))] if hops else []),
        ]
        return " ".join(["ssh", *options, f"{user}@{node.dial}", *(["sudo"] if user != ROOT else []), *argv])
