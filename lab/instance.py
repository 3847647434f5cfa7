"""One laboratory among several on a machine: where its files are, which addresses it has."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from lab.errors import LabError

OWN_ENGINE = "own"
DEFAULT_OCTET = 77
S3_PORT = 7070
_DEFAULT_BASE = "/var/lib/requorum-lab"
_RESERVED_OCTETS = frozenset({169})
"""169.254.169.0/24 holds the metadata servers of clouds."""
_SOCKET_PATH_LIMIT = 107
"""Longest path of a Unix socket on Linux, see unix(7)."""


def _base_from_environment() -> Path:
    return Path(os.environ.get("REQUORUM_LAB_ROOT") or _DEFAULT_BASE)


def _engine_from_environment() -> str:
    return os.environ.get("LAB_ENGINE") or OWN_ENGINE


@dataclass(frozen=True)
class Instance:
    """A laboratory, known by the second octet of its addresses.

    ``engine`` is ``own`` (the lab starts an engine) or the ``unix://`` endpoint of an
    ordinary one. Raises LabError for a value nothing can be derived from.
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
        """The instance that REQUORUM_LAB names, 77 when it is not set."""
        text = environment.get("REQUORUM_LAB") or str(DEFAULT_OCTET)
        if not text.isdecimal():
            raise LabError("choosing the lab", f"REQUORUM_LAB={text} is not a number", "Give one, such as 77")
        return cls(int(text))

    @property
    def name(self) -> str:
        """Name of the network namespace and prefix of what else needs a name."""
        return f"requorum-{self.octet}"

    @property
    def owns_engine(self) -> bool:
        """Whether the lab starts (and removes) its engine itself."""
        return self.engine == OWN_ENGINE

    @property
    def root(self) -> Path:
        """The folder that holds everything of this instance."""
        return self.base / str(self.octet)

    @property
    def engine_root(self) -> Path:
        """Data, state, sockets and logs of the lab's own engine."""
        return self.root / "engine"

    @property
    def socket(self) -> Path:
        """Socket of the engine that runs the nodes."""
        if self.owns_engine:
            return self.engine_root / "docker.sock"
        return Path(self.engine.removeprefix("unix://"))

    @property
    def docker_host(self) -> str:
        """What DOCKER_HOST must be to talk to the engine that runs the nodes."""
        return f"unix://{self.socket}"

    @property
    def subnet(self) -> IPv4Network:
        """Addresses of the nodes: 10.OCTET.ZONE.NODE."""
        return IPv4Network(f"10.{self.octet}.0.0/16")

    @property
    def host_link(self) -> IPv4Address:
        """This machine, as the nodes see it."""
        return IPv4Address(f"169.254.{self.octet}.1")

    @property
    def inside_link(self) -> IPv4Address:
        """The lab's network namespace, as this machine sees it."""
        return IPv4Address(f"169.254.{self.octet}.2")

    @property
    def s3_endpoint(self) -> str:
        """The S3 server, the same from this machine and from the nodes."""
        return f"http://{self.host_link}:{S3_PORT}"

    @property
    def bucket(self) -> str:
        """The bucket that exists from the start."""
        return "requorum"

    @property
    def s3_root(self) -> Path:
        """Objects, credentials, log of the S3 server."""
        return self.root / "s3"

    @property
    def credentials_file(self) -> Path:
        """AWS shared credentials file, profile ``default``."""
        return self.s3_root / "credentials"

    @property
    def nodes_credentials_file(self) -> Path:
        """The same for the key that the nodes have."""
        return self.s3_root / "nodes-credentials"

    @property
    def ssh_root(self) -> Path:
        """Keys of the operator and of the nodes."""
        return self.root / "ssh"

    @property
    def operator_key(self) -> Path:
        """Private key that root on every node accepts."""
        return self.ssh_root / "id_ed25519"

    @property
    def age_identity(self) -> Path:
        """The operator's age identity, which opens what is kept encrypted in S3."""
        return self.ssh_root / "age-identity"

    @property
    def known_hosts(self) -> Path:
        """One line for each node address."""
        return self.ssh_root / "known_hosts"

    def identity(self, node: str) -> Path:
        """Folder to be mounted in the node at ``components.hosts.container.IDENTITY_PATH``."""
        return self.ssh_root / "nodes" / node

    @property
    def pulumi_root(self) -> Path:
        """State of the stacks that run on this lab."""
        return self.root / "pulumi"

    @property
    def pulumi_home(self) -> Path:
        """Pulumi's own folder for this lab: plugins, and who is logged in where."""
        return self.root / "pulumi-home"

    @property
    def passphrase_file(self) -> Path:
        """Generated passphrase of those stacks' secrets."""
        return self.root / "pulumi-passphrase"


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """What is kept between labs: REQUORUM_CACHE, else ``requorum`` in the XDG cache folder."""
    chosen = environment.get("REQUORUM_CACHE")
    if chosen:
        return Path(chosen)
    xdg = environment.get("XDG_CACHE_HOME")
    return (Path(xdg) if xdg else Path.home() / ".cache") / "requorum"
