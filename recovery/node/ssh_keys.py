"""Private keys and pinned host keys, read from OpenSSH's files."""

from functools import cache
from pathlib import Path

import asyncssh

from recovery.errors import SettingError
from recovery.swarm.machines import Node, Ssh

GO_PREFERS = ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa", "ssh-ed25519")
"""golang.org/x/crypto/ssh, defaultHostKeyAlgos: pulumi-command pins one key and takes what the host offers for it."""


def private_key_text(path: Path) -> str:
    """The operator's key as its file holds it: a secret. Raises: SettingError when it cannot be used."""
    private_key(path)
    return path.read_text()


def pinned_key(node: Node, ssh: Ssh) -> str:
    """The host key that is pinned for the node, as `authorized_keys` would hold it.

    Of several, the one that a Go client asks for first. Raises: SettingError when none is pinned.
    """
    keys, *_ = pinned_keys(ssh.known_hosts_file).match(node.dial, node.dial, ssh.port)
    if not keys:
        raise SettingError(
            "ssh.knownHostsFile",
            f"{ssh.known_hosts_file} pins no host key for {node.name} ({node.dial})",
            remedy=f"check the key and add it: ssh-keyscan -p {ssh.port} {node.dial}",
        )
    ranks = {algorithm: rank for rank, algorithm in enumerate(GO_PREFERS)}
    first = min(keys, key=lambda key: ranks.get(key.get_algorithm(), len(ranks)))
    return first.export_public_key().decode().strip()


@cache
def private_key(path: Path) -> asyncssh.SSHKey:
    """The operator's key, read once. Raises: SettingError when it cannot be used."""
    try:
        return asyncssh.read_private_key(path)
    except OSError as error:
        raise SettingError(
            "ssh.privateKeyFile", f"{path}: {error.strerror}", remedy="name a readable private key"
        ) from None
    except asyncssh.KeyImportError as error:
        raise SettingError(
            "ssh.privateKeyFile", f"{path}: {error}", remedy="name a private key without passphrase"
        ) from None


def pinned_keys(path: Path) -> asyncssh.SSHKnownHosts:
    """The pinned host keys. Raises: SettingError when the file cannot be used."""
    try:
        return asyncssh.read_known_hosts(str(path))
    except OSError as error:
        raise SettingError(
            "ssh.knownHostsFile", f"{path}: {error.strerror}", remedy="make it with: ssh-keyscan ADDRESS…"
        ) from None
    except ValueError as error:
        raise SettingError(
            "ssh.knownHostsFile", f"{path}: {error}", remedy="make it anew with: ssh-keyscan ADDRESS…"
        ) from None
