"""Reads private keys and pinned host keys from OpenSSH's files, and takes keys from the SSH agent."""

import asyncio
import os
import subprocess
import tempfile
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from recovery import temporary
from recovery.errors import SettingError, local_fault
from recovery.node.door import Door
from recovery.node.shell import said
from recovery.node.ssh_library import asyncssh

AGENT = "SSH_AUTH_SOCK"
"""The variable that names the socket of the SSH agent (ssh-agent(1))."""
KEY = "ssh.privateKeyFile"
START_AGENT = 'eval "$(ssh-agent)"; ssh-add'
SECONDS = 60
"""An agent may ask its user before it signs."""


@asynccontextmanager
async def client_keys(path: Path | None) -> AsyncIterator[Sequence[Any]]:
    """The operator's keys, to log in with: that of the file, with its certificate, or those of the SSH agent.

    A file with a public key, or with a private key that has a passphrase, names a key that the agent holds. Raises:
    SettingError.
    """
    public = in_agent(path)
    if path and not public:
        yield asyncssh.load_keypairs([str(path)])
        return
    async with _held_by_agent(path, public) as keys:
        yield keys


def public_keys(path: Path | None) -> tuple[str, ...]:
    """The public keys of the operator, each as its type and its key in base64. Raises: SettingError."""
    if path:
        return (_text(in_agent(path) or asyncssh.read_private_key(path)),)

    async def ask() -> tuple[str, ...]:
        async with _held_by_agent(None, None) as keys:
            return tuple(f"{key.algorithm.decode()} {b64encode(key.public_data).decode()}" for key in keys)

    return asyncio.run(ask())


def sshsig(path: Path | None, public: str, content: bytes, namespace: str) -> str:
    """The operator's signature of the content in OpenSSH's format, with one of `public_keys`.

    For a key of the SSH agent, ``ssh-keygen`` asks the agent. Raises: SettingError; LocalError if no temporary file can be
    written.
    """
    if path and not in_agent(path):
        return asyncssh.create_sshsig([str(path)], content, namespace=namespace).decode()
    root = temporary.root()
    try:
        return _signed_by_agent(root, path, public, content, namespace)
    except OSError as error:
        raise local_fault(error, root) from None


def _signed_by_agent(root: Path, path: Path | None, public: str, content: bytes, namespace: str) -> str:
    with tempfile.NamedTemporaryFile("w", suffix=".pub", dir=root) as file:
        file.write(public)
        file.flush()
        argv = ["ssh-keygen", "-q", "-Y", "sign", "-f", file.name, "-n", namespace]
        try:
            done = subprocess.run(argv, input=content, capture_output=True, timeout=SECONDS, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            told = getattr(error, "stderr", b"") or str(error).encode()
            why = f"the SSH agent signs nothing with {path or public}: {said(told.decode(errors='replace'))}"
            raise SettingError(KEY, why, remedy=f"ssh-add {path or ''}".strip(), code="no-ssh-agent") from None
    return done.stdout.decode()


@asynccontextmanager
async def _held_by_agent(path: Path | None, public: Any) -> AsyncIterator[Sequence[Any]]:
    """The keys that the SSH agent holds, or only the public one. Raises: SettingError."""
    socket = os.environ.get(AGENT)
    if not socket:
        named = f"{path} names a key of the SSH agent" if path else "is not set"
        raise SettingError(
            KEY, f"{named}, and there is no SSH agent ({AGENT})", remedy=START_AGENT, code="no-ssh-agent"
        )
    agent = asyncssh.SSHAgentClient(socket)
    try:
        keys = await agent.get_keys([public.public_data] if public else None)
    except (OSError, ValueError, asyncssh.Error) as error:
        why = f"the SSH agent at {socket} does not answer ({error})"
        raise SettingError(KEY, why, remedy=START_AGENT, code="no-ssh-agent") from None
    if not keys:
        which = f"the key {path}" if path else "any key"
        remedy = f"ssh-add {path or ''}".strip()
        raise SettingError(KEY, f"the SSH agent does not hold {which}", remedy=remedy, code="no-ssh-agent")
    try:
        yield keys
    finally:
        agent.close()


def _text(key: asyncssh.SSHKey) -> str:
    return " ".join(key.export_public_key().decode().split()[:2])


def in_agent(path: Path | None) -> Any:
    """The public key of a file whose private key only the SSH agent can use; None if the file's own key can be used, or without one.

    Raises: SettingError if the file cannot be used.
    """
    if path is None:
        return None
    try:
        asyncssh.load_keypairs([str(path)])
    except OSError as error:
        raise SettingError(
            KEY, f"{path}: {error.strerror}", remedy="name a readable private key", code="unreadable-file"
        ) from None
    except asyncssh.KeyImportError as error:
        try:
            return asyncssh.read_public_key(path)
        except (OSError, asyncssh.KeyImportError):
            raise SettingError(
                KEY,
                f"{path}: {error}",
                remedy="name a private key, or a public key that the SSH agent holds",
                code="unreadable-file",
            ) from None
    return None


def known_keys(there: Door) -> Sequence[asyncssh.SSHKey]:
    """The pinned host keys of a machine, or those of the authorities that sign it. Raises: SettingError if the file cannot be used."""
    keys, authorities, *_ = pinned_keys(there.known_hosts_file).match(there.host, "", there.port)
    return [*keys, *authorities]


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
