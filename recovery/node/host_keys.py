"""Collects the host keys that machines show, for the operator to confirm, and pins them in a `known_hosts` file."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from recovery.errors import Silent, SshRefused, TransportError, local_fault
from recovery.node.ssh_keys import pinned_keys
from recovery.node.ssh_library import asyncssh

SECONDS = 10.0
"""How long a machine may take to show one key."""
TRIES, PAUSE = 2, 0.5
FAMILIES = (
    ("ssh-ed25519",),
    ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    ("rsa-sha2-512", "rsa-sha2-256"),
)
"""The kinds of host keys that sshd makes. A machine shows one key for each connection, so each kind is asked for."""
STANDARD_PORT = 22


@dataclass(frozen=True)
class HostKey:
    """One host key of a machine."""

    algorithm: str
    encoded: str
    """The key in base64, as in `known_hosts`."""
    fingerprint: str = field(compare=False)
    """As `ssh-keygen -l` shows it: ``SHA256:…``."""


@dataclass(frozen=True)
class Shown:
    """The host keys that the machine at one address shows."""

    host: str
    port: int
    keys: tuple[HostKey, ...]

    @property
    def pattern(self) -> str:
        """How `known_hosts` names the machine (sshd(8))."""
        return self.host if self.port == STANDARD_PORT else f"[{self.host}]:{self.port}"

    @property
    def lines(self) -> tuple[str, ...]:
        """The keys for a person to compare, a line each."""
        return tuple(f"  {self.host}  {key.algorithm}  {key.fingerprint}" for key in self.keys)


def shown_by(host: str, port: int, *, seconds: float = SECONDS) -> Shown:
    """The host keys that a machine shows now. Nobody has confirmed them yet.

    Raises: Silent, SshRefused, TransportError.
    """
    return asyncio.run(_shown_by(host, port, seconds))


async def _shown_by(host: str, port: int, seconds: float) -> Shown:
    doing = f"collecting the host keys of {host}"
    found = []
    for algorithms in FAMILIES:
        try:
            key = await _key(host, port, algorithms, seconds)
        except ConnectionRefusedError:
            remedy = (
                f"start sshd on {host}, or correct the port. If sshd runs, wait 30 s and run the same command again"
            )
            raise SshRefused(doing, f"port {port} refuses the connection", remedy=remedy, code="ssh-refused") from None
        except (OSError, TimeoutError) as error:
            why = f"nothing answers at port {port} ({str(error) or 'timed out'})"
            remedy = "check that the machine is up and reachable from here, and correct its address"
            raise Silent(doing, why, remedy=remedy, code="node-unreachable") from None
        except asyncssh.Error as error:
            remedy = f"read sshd's log on {host}: journalctl -u ssh"
            raise TransportError(doing, error.reason, remedy=remedy, code="ssh-failed") from None
        if key is not None:
            found.append(_of(key))
    if not found:
        remedy = f"wait 30 s, then run the same command again. If that does not help, read sshd's log on {host}: journalctl -u ssh"
        raise TransportError(
            doing, "it ends every connection before it shows a host key", remedy=remedy, code="ssh-failed"
        )
    return Shown(host, port, tuple(found))


async def _key(host: str, port: int, algorithms: Sequence[str], seconds: float) -> asyncssh.SSHKey | None:
    """The machine's key of one of these algorithms; None if it has none.

    Then OpenSSH ends the connection, and its end may be here before its list of algorithms is read. So the question is
    repeated. Raises: OSError, TimeoutError, asyncssh.Error.
    """
    for _ in range(TRIES):
        try:
            async with asyncio.timeout(seconds):
                return await asyncssh.get_server_host_key(host, port, server_host_key_algs=algorithms, config=None)
        except asyncssh.KeyExchangeFailed:
            return None
        except (ConnectionResetError, asyncssh.ConnectionLost):
            await asyncio.sleep(PAUSE)
    return None


def _of(key: asyncssh.SSHKey) -> HostKey:
    algorithm, encoded, *_ = key.export_public_key().decode().split()
    return HostKey(algorithm, encoded, key.get_fingerprint())


def unpinned(shown: Shown, file: Path) -> tuple[HostKey, ...]:
    """The keys that the file does not pin for the machine. Raises: SettingError if the file cannot be used."""
    pinned = _pinned(shown, file)
    return tuple(key for key in shown.keys if key not in pinned)


def contradicts(shown: Shown, file: Path) -> bool:
    """Whether the file pins a key of the machine that the machine does not show. Raises: as `unpinned`."""
    return any(key not in shown.keys for key in _pinned(shown, file))


def _pinned(shown: Shown, file: Path) -> tuple[HostKey, ...]:
    if not file.exists():
        return ()
    keys, *_ = pinned_keys(file).match(shown.host, shown.host, shown.port)
    return tuple(map(_of, keys))


def pin(machines: Iterable[Shown], file: Path) -> Sequence[str]:
    """Add the keys that the file does not pin yet, and return the added lines. Raises: LocalError, SettingError."""
    lines = [f"{one.pattern} {key.algorithm} {key.encoded}" for one in machines for key in unpinned(one, file)]
    if not lines:
        return ()
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        ends = not file.exists() or file.read_bytes()[-1:] in (b"", b"\n")
        with file.open("a") as out:
            out.write(("" if ends else "\n") + "".join(f"{line}\n" for line in lines))
    except OSError as error:
        raise local_fault(error, file) from None
    return lines
