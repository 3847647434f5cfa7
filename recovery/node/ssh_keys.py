"""Reads private keys and pinned host keys from OpenSSH's files."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from recovery.errors import SettingError
from recovery.node.ssh_library import asyncssh
from recovery.swarm.machines import Node, Ssh


def known_keys(node: Node, ssh: Ssh) -> Sequence[asyncssh.SSHKey]:
    """The pinned host keys of the node. Raises: SettingError if the file cannot be used."""
    keys, *_ = pinned_keys(ssh.known_hosts_file).match(node.dial, "", ssh.port)
    return keys


@cache
def private_key(path: Path) -> asyncssh.SSHKey:
    """The operator's private key, read once. Raises: SettingError if the key cannot be used."""
    try:
        return asyncssh.read_private_key(path)
    except OSError as error:
        raise SettingError(
            "ssh.privateKeyFile",
            f"{path}: {error.strerror}",
            remedy="name a readable private key",
            code="unreadable-file",
        ) from None
    except asyncssh.KeyImportError as error:
        raise SettingError(
            "ssh.privateKeyFile",
            f"{path}: {error}",
            remedy="name a private key without passphrase",
            code="unreadable-file",
        ) from None


def pinned_keys(path: Path) -> asyncssh.SSHKnownHosts:
    """All pinned host keys. Raises: SettingError if the file cannot be used."""
    try:
        return asyncssh.read_known_hosts(str(path))
    except OSError as error:
        raise SettingError(
            "ssh.knownHostsFile",
            f"{path}: {error.strerror}",
            remedy=f"create the file: ssh-keyscan ADDRESS… > {path}",
            code="unreadable-file",
        ) from None
    except ValueError as error:
        raise SettingError(
            "ssh.knownHostsFile",
            f"{path}: {error}",
            remedy=f"create the file again: ssh-keyscan ADDRESS… > {path}",
            code="unreadable-file",
        ) from None
