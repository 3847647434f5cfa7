"""Where SSH enters a machine, and as whom: from the stack file and from the operator's OpenSSH configuration."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from getpass import getuser
from pathlib import Path
from shlex import quote
from typing import Any

from recovery.errors import SettingError
from recovery.node.ssh_library import asyncssh
from recovery.swarm.machines import ROOT, Hop, Login, Node, Ssh
from recovery.swarm.ssh_url import parse_hop


@dataclass(frozen=True)
class Door:
    """Where SSH enters one machine, as whom, and through which jump hosts, the first one first."""

    host: str
    port: int
    user: str
    key_file: Path | None
    known_hosts_file: Path
    login_seconds: float
    jump: tuple["Door", ...] = ()
    name: str | None = field(default=None, compare=False)
    """The node's name, for messages. None for a jump host."""

    @property
    def through(self) -> "Door | None":
        """The jump host right before the machine, with the jump hosts before it."""
        return replace(self.jump[-1], jump=self.jump[:-1]) if self.jump else None

    @property
    def scan(self) -> str:
        """The command that prints the machine's host keys here: it asks the machine from the last jump host, if there is one."""
        ask = f"ssh-keyscan -p {self.port} {self.host}"
        if not self.through:
            return ask
        last, before = self.through, self.through.jump
        options = [
            *(["-i", quote(str(last.key_file))] if last.key_file else []),
            *(["-p", str(last.port)] if last.port != Ssh.port else []),
            *(["-J", ",".join(map(str, before))] if before else []),
        ]
        return " ".join(["ssh", *options, f"{last.user}@{last.host}", ask])

    @property
    def is_root(self) -> bool:
        """Whether the login has all rights by itself."""
        return self.user == ROOT

    def __str__(self) -> str:
        return str(Hop(host=self.host, user=self.user, port=self.port)).removesuffix(f":{Ssh.port}")


def door(node: Node, ssh: Ssh) -> Door:
    """Where SSH enters the node.

    What the stack file says of this machine comes first, then what the Pulumi state remembers of a machine that the stack
    file no longer has, then the OpenSSH configuration, then `requorum:ssh`. Raises: SettingError if the OpenSSH configuration
    cannot be used.
    """
    return replace(_entered(node.dial, ssh.own(node), ssh), name=node.name)


def _entered(host: str, own: Login, ssh: Ssh) -> Door:
    known = configured(host, ssh.config_file)
    user = own.user or known.user or ssh.user
    key = own.private_key_file or known.key_file or ssh.private_key_file
    hops = next(given for given in (own.jump, known.jump, ssh.jump) if given is not None)
    port = own.port or known.port or ssh.port
    jump = tuple(_hop(hop, user, key, ssh) for hop in hops)
    return Door(known.host or host, port, user, key, ssh.known_hosts_file, ssh.login_seconds, jump)


def _hop(hop: Hop, user: str, key: Path | None, ssh: Ssh) -> Door:
    """A jump host: what it does not say itself is as the OpenSSH configuration says of it, else as for the machine behind it."""
    known = configured(hop.host, ssh.config_file)
    return Door(
        known.host or hop.host,
        hop.port if hop.port != Ssh.port else known.port or hop.port,
        hop.user or known.user or user,
        known.key_file or key,
        ssh.known_hosts_file,
        ssh.login_seconds,
    )


@dataclass(frozen=True)
class Configured:
    """What an OpenSSH configuration says of one host: HostName, User, Port, IdentityFile, ProxyJump (ssh_config(5))."""

    host: str = ""
    user: str = ""
    port: int = 0
    key_file: Path | None = None
    jump: tuple[Hop, ...] | None = None


def configured(host: str, file: Path | None) -> Configured:
    """What the OpenSSH configuration says of the host: nothing without one. Raises: SettingError if it cannot be used."""
    if file is None:
        return Configured()
    path = file.expanduser()
    try:
        said = _load(host, path)
        jump = _jump(said.get("ProxyJump"))
    except OSError as error:
        raise _unusable(path, str(error.strerror), "name a readable file") from None
    except (asyncssh.ConfigParseError, ValueError) as error:
        raise _unusable(path, str(error), "correct it") from None
    if said.get("ProxyCommand") and not jump:
        raise _unusable(path, f"it has a ProxyCommand for {host}, which Requorum does not run", "use ProxyJump there")
    keys = said.get("IdentityFile") or ()
    key = Path(keys[0]).expanduser() if keys else None
    return Configured(said.get("Hostname", ""), said.get("User", ""), int(said.get("Port", 0)), key, jump)


def _load(host: str, path: Path) -> Mapping[str, Any]:
    config = asyncssh.config.SSHClientConfig.load(None, [path], False, False, False, getuser(), (), host, ())
    return config.get_options(False)


def _jump(text: str | None) -> tuple[Hop, ...] | None:
    if text is None:
        return None
    if text.lower() == "none":
        return ()
    return tuple(map(parse_hop, text.split(",")))


def _unusable(path: Path, why: str, remedy: str) -> SettingError:
    return SettingError("ssh.configFile", f"{path}: {why}", remedy=remedy, code="unreadable-file")
