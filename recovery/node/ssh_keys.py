"""Reads private keys and pinned host keys from OpenSSH's files."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from recovery.errors import SettingError
from recovery.node.ssh_library import asyncssh
from recovery.swarm.machines import Node, Ssh

GO_PREFERS = ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa", "ssh-ed25519")
"""The order of host keys in golang.org/x/crypto/ssh (defaultHostKeyAlgos). pulumi-command pins only one key."""


def private_key_text(path: Path) -> str:
    """The text of the operator's private key, a secret. Raises: SettingError if the key cannot be used."""
    private_key(path)
    return path.read_text()


def pinned_key(node: Node, ssh: Ssh) -> str:
    """The pinned host key of the node, as a line of `authorized_keys`.

    Of several keys, it is the one that a Go client asks for first. Raises: SettingError if none is pinned.
    """
    keys = known_keys(node, ssh)
    if not keys:
        raise SettingError(
            "ssh.knownHostsFile",
            f"{ssh.known_hosts_file} pins no host key for {node.name} ({node.dial})",
            remedy=f"check the machine's host key, then add it to that file: ssh-keyscan -p {ssh.port} {node.dial}",
            code="host-key-not-pinned",
        )
    ranks = {algorithm: rank for rank, algorithm in enumerate(GO_PREFERS)}
    first = min(keys, key=lambda key: ranks.get(key.get_algorithm(), len(ranks)))
    return first.export_public_key().decode().strip()


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
