"""Describes one laboratory among several on a machine: its files and addresses."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

from lab.errors import LabError

OWN_ENGINE = "own"
DEFAULT_OCTET = 77
S3_PORT = 7070
_DEFAULT_BASE = "/var/lib/requorum-lab"
_RESERVED_OCTETS = frozenset({169})
"""Octets that no lab may use. 169.254.169.0/24 holds the metadata servers of clouds."""
_SOCKET_PATH_LIMIT = 107
"""The longest path of a Unix socket on Linux (unix(7))."""


def _base_from_environment() -> Path:
    return Path(os.environ.get("REQUORUM_LAB_ROOT") or _DEFAULT_BASE)


def _engine_from_environment() -> str:
    return os.environ.get("LAB_ENGINE") or OWN_ENGINE


@dataclass(frozen=True)
class Instance:
    """A laboratory, identified by the second octet of its addresses.

    ``engine`` is ``own`` (the lab starts an engine) or the ``unix://`` endpoint of an existing one. Raises: LabError
    for an invalid value.
    """

    octet: int = DEFAULT_OCTET
    base: Path = field(default_factory=_base_from_environment)
    engine: str = field(default_factory=_engine_from_environment)

    def __post_init__(self) -> None:
        doing = f"reading the settings of lab {self.octet}"
        if not 1 <= self.octet <= 254 or self.octet in _RESERVED_OCTETS:
            raise LabError(
                doing,
                f"REQUORUM_LAB={self.octet} is not usable",
                "Choose a number from 1 to 254 other than 169",
            )
        if not self.base.is_absolute():
            raise LabError(doing, f"REQUORUM_LAB_ROOT={self.base} is not absolute", "Give an absolute path")
        if self.engine != OWN_ENGINE and not self.engine.startswith("unix:///"):
            raise LabError(
                doing,
                f"LAB_ENGINE={self.engine} is neither 'own' nor a Unix socket",
                "Nodes must reach this machine directly: give unix:///path/to/docker.sock",
            )
        if len(str(self.socket)) > _SOCKET_PATH_LIMIT:
            raise LabError(
                doing,
                f"the socket path {self.socket} is longer than Linux allows",
                "Choose a shorter REQUORUM_LAB_ROOT",
            )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Instance":
        """The instance that REQUORUM_LAB names. The default is 77."""
        text = environment.get("REQUORUM_LAB") or str(DEFAULT_OCTET)
        if not text.isdecimal():
            raise LabError("choosing the lab", f"REQUORUM_LAB={text} is not a number", "Give one, such as 77")
        return cls(int(text))

    @property
    def name(self) -> str:
        """The name of the network namespace, and the prefix of other names."""
        return f"requorum-{self.octet}"

    @property
    def owns_engine(self) -> bool:
        """Whether the lab starts and removes its own engine."""
        return self.engine == OWN_ENGINE

    @property
    def root(self) -> Path:
        """The folder of all files of this instance."""
        return self.base / str(self.octet)

    @property
    def engine_root(self) -> Path:
        """The folder of data, state, sockets and logs of the lab's own engine."""
        return self.root / "engine"

    @property
    def socket(self) -> Path:
        """The socket of the engine that runs the nodes."""
        if self.owns_engine:
            return self.engine_root / "docker.sock"
        return Path(self.engine.removeprefix("unix://"))

    @property
    def docker_host(self) -> str:
        """The value of DOCKER_HOST for the engine that runs the nodes."""
        return f"unix://{self.socket}"

    @property
    def subnet(self) -> IPv4Network:
        """The network of the nodes. Their addresses are 10.OCTET.ZONE.NODE."""
        return IPv4Network(f"10.{self.octet}.0.0/16")

    @property
    def subnet6(self) -> IPv6Network:
        """The network of nodes with IPv6 addresses, which are fd00:OCTET::ZONE:NODE. Such a node has 10.OCTET.ZONE.NODE too."""
        return IPv6Network(f"fd00:{self.octet}::/64")

    @property
    def host_link(self) -> IPv4Address:
        """The address of this machine for the nodes."""
        return IPv4Address(f"169.254.{self.octet}.1")

    @property
    def inside_link(self) -> IPv4Address:
        """The address of the lab's network namespace for this machine."""
        return IPv4Address(f"169.254.{self.octet}.2")

    @property
    def host_link6(self) -> IPv6Address:
        """The IPv6 address of this machine for the nodes."""
        return IPv6Address(f"fd00:{self.octet}:ffff::1")

    @property
    def inside_link6(self) -> IPv6Address:
        """The IPv6 address of the lab's network namespace for this machine."""
        return IPv6Address(f"fd00:{self.octet}:ffff::2")

    @property
    def s3_endpoint(self) -> str:
        """The endpoint of the S3 server. It is the same for this machine and for the nodes."""
        return f"http://{self.host_link}:{S3_PORT}"

    @property
    def s3_endpoint6(self) -> str:
        """The endpoint of the S3 server over IPv6."""
        return f"http://[{self.host_link6}]:{S3_PORT}"

    @property
    def bucket(self) -> str:
        """The bucket that exists from the start."""
        return "requorum"

    @property
    def s3_root(self) -> Path:
        """The folder of objects, credentials and log of the S3 server."""
        return self.root / "s3"

    @property
    def credentials_file(self) -> Path:
        """The AWS shared credentials file with the operator's key (profile ``default``)."""
        return self.s3_root / "credentials"

    @property
    def nodes_credentials_file(self) -> Path:
        """The AWS shared credentials file with the nodes' key."""
        return self.s3_root / "nodes-credentials"

    @property
    def ssh_root(self) -> Path:
        """The folder of the SSH keys of the operator and of the nodes."""
        return self.root / "ssh"

    @property
    def operator_key(self) -> Path:
        """The private key that root on every node accepts."""
        return self.ssh_root / "id_ed25519"

    @property
    def age_identity(self) -> Path:
        """The file of the operator's age identity, which opens the sealed objects in S3."""
        return self.ssh_root / "age-identity"

    @property
    def known_hosts(self) -> Path:
        """The known_hosts file, with one line for each node address."""
        return self.ssh_root / "known_hosts"

    def identity(self, node: str) -> Path:
        """The folder to mount in the node at ``components.hosts.container.IDENTITY_PATH``."""
        return self.ssh_root / "nodes" / node

    @property
    def pulumi_root(self) -> Path:
        """The folder of the state of the stacks on this lab."""
        return self.root / "pulumi"

    @property
    def pulumi_home(self) -> Path:
        """Pulumi's home for this lab, with its plugins and credentials."""
        return self.root / "pulumi-home"

    @property
    def passphrase_file(self) -> Path:
        """The file of the generated passphrase of these stacks' secrets."""
        return self.root / "pulumi-passphrase"


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """The cache folder, which outlives labs: REQUORUM_CACHE, or ``requorum`` in the XDG cache folder."""
    chosen = environment.get("REQUORUM_CACHE")
    if chosen:
        return Path(chosen)
    xdg = environment.get("XDG_CACHE_HOME")
    return (Path(xdg) if xdg else Path.home() / ".cache") / "requorum"
