"""The SSH connections of this process: one for each node, kept open and used again.

A new login may take seconds, and a host may limit new connections. So an attempt that somebody gave up waiting for goes on,
and the next one who asks waits for the same attempt. Everything here runs on the event loop of `recovery.node.ssh`.
"""

import asyncio
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recovery.errors import (
    AccessDenied,
    HostKeyChanged,
    HostKeyUnknown,
    Limited,
    Silent,
    SlowLogin,
    SshRefused,
    TransportError,
)
from recovery.node.ssh_keys import known_keys, pinned_keys, private_key
from recovery.node.ssh_library import asyncssh
from recovery.swarm.machines import Node, Ssh

CONNECT_SECONDS = 3.0
"""How long a machine may take to accept or refuse a connection. A dead node costs no more than that."""
GENTLE = (2.0, 4.0, 8.0, 16.0)
"""Pauses between attempts where a host may limit new connections. `ufw limit` forgets an attempt after 30 s."""
BRISK: tuple[float, ...] = ()
"""No second attempt."""
NOWHERE = "/run/requorum/no-such-socket"
"""The path of no socket on any node."""
NEXT_LOOK = "check that the machine is up and reachable from here"
LIMITS = (
    "wait 30 s, then run the same command again. If that does not help, look on the node whether sshd runs and what limits "
    "new SSH connections: ufw status, iptables -S, MaxStartups in sshd_config"
)


@dataclass(frozen=True)
class Patience:
    """Seconds for a machine to accept a connection, from the same beginning to let us in, and between attempts."""

    connect: float
    login: float
    pauses: tuple[float, ...] = GENTLE


@dataclass(eq=False)
class Held:
    """An open connection, and how many shells use it."""

    connection: asyncssh.SSHClientConnection
    users: int = 0


@dataclass(eq=False)
class _Attempt:
    """One attempt to connect."""

    accepted: "asyncio.Future[None]"
    task: "asyncio.Task[Held]"


@dataclass(eq=False)
class Line:
    """The way to one node: its open connection, or the attempt to open one."""

    node: Node
    ssh: Ssh
    held: Held | None = None
    let_in: bool = False
    """Whether the node has let this process in before."""
    refuses: bool = False
    """Whether the node never let us in and still refused after gentle attempts: then nobody waits like that again."""
    attempt: _Attempt | None = None

    async def take(self, patience: Patience) -> Held:
        """The open connection, which the caller gives back. Raises: TransportError, SettingError."""
        pauses = () if self.refuses else patience.pauses
        for pause in (*pauses, None):
            try:
                held = await self._connected(patience)
            except (SshRefused, Limited, Silent) as error:
                if pause is None or (isinstance(error, Silent) and not self.let_in):
                    if isinstance(error, SshRefused) and self.let_in:
                        raise self._limited() from None
                    self.refuses = self.refuses or (isinstance(error, SshRefused) and bool(patience.pauses))
                    raise
                await asyncio.sleep(pause)
            else:
                self.let_in, self.refuses = True, False
                held.users += 1
                return held
        raise AssertionError("the last attempt has no pause after it")

    def give_back(self, held: Held) -> None:
        """Note that a shell uses the connection no more. One that is not this line's any longer ends with its last shell."""
        held.users -= 1
        if held is not self.held and not held.users:
            held.connection.close()

    @property
    def accepted(self) -> bool:
        """Whether the machine has accepted the last connection, even if it did not let us in."""
        return self.attempt is not None and self.attempt.accepted.done()

    async def _connected(self, patience: Patience) -> Held:
        """The open connection if it lives, or a new one. Raises: TransportError, SettingError."""
        begun = asyncio.get_running_loop().time()
        held = self.held
        if held and await _lives(held.connection, patience.connect):
            return held
        if self.held and self.held is not held:
            return self.held  # another shell was faster
        self.held = None
        if held and not held.users:
            held.connection.abort()
        if self.attempt is None or self.attempt.task.done():
            self.attempt = self._begin(patience)
        attempt = self.attempt
        either: set[asyncio.Future[Any]] = {attempt.task, attempt.accepted}
        await asyncio.wait(either, timeout=patience.connect, return_when="FIRST_COMPLETED")
        if not (attempt.task.done() or attempt.accepted.done()):
            raise self._silent("timed out")
        passed = asyncio.get_running_loop().time() - begun
        await asyncio.wait({attempt.task}, timeout=max(patience.login - passed, 0))
        if not attempt.task.done():
            raise self._slow(patience.login)
        return attempt.task.result()

    def _begin(self, patience: Patience) -> _Attempt:
        loop = asyncio.get_running_loop()
        accepted: asyncio.Future[None] = loop.create_future()
        login = max(self.ssh.login_seconds, patience.login)
        task = loop.create_task(self._dial(accepted, max(CONNECT_SECONDS, patience.connect), login))
        task.add_done_callback(lambda task: task.cancelled() or task.exception())  # nobody may wait for it any more
        return _Attempt(accepted, task)

    async def _dial(self, accepted: "asyncio.Future[None]", connect: float, login: float) -> Held:
        client: _Client | None = None

        def made() -> _Client:
            nonlocal client
            client = _Client(accepted, limit, end)
            return client

        try:
            async with asyncio.timeout(connect) as limit:
                end = asyncio.get_running_loop().time() + login
                connection = await asyncssh.connect(
                    self.node.dial,
                    port=self.ssh.port,
                    username=self.ssh.user,
                    known_hosts=pinned_keys(self.ssh.known_hosts_file),
                    client_keys=[private_key(self.ssh.private_key_file)],
                    client_factory=made,
                    agent_path=None,
                    config=None,
                    keepalive_interval=5,
                )
        except (OSError, TimeoutError, asyncssh.Error) as error:
            raise self._fault(error, client, login) from None
        self.held = Held(connection)
        return self.held

    def _fault(
        self, error: OSError | TimeoutError | asyncssh.Error, client: "_Client | None", login: float
    ) -> TransportError:
        """What a failed attempt means."""
        accepted = client is not None and client.connection is not None
        match error:
            case asyncssh.HostKeyNotVerifiable():
                return self._wrong_key()
            case asyncssh.PermissionDenied():
                remedy = (
                    f"add its public key to the authorized_keys of {self.ssh.user} on that machine, or correct "
                    "requorum:ssh.privateKeyFile or requorum:ssh.user"
                )
                why = f"the machine does not accept the key {self.ssh.private_key_file}"
                return AccessDenied(self.doing, why, remedy=remedy, node=self.node.name, code="access-denied")
            case ConnectionRefusedError():
                why = f"the machine is up and port {self.ssh.port} refuses the connection"
                remedy = (
                    f"start sshd on {self.node.dial}, or correct requorum:ssh.port. "
                    "If sshd runs, the host may limit new connections: wait 30 s"
                )
                return SshRefused(self.doing, why, remedy=remedy, node=self.node.name, code="ssh-refused")
            case socket.gaierror():
                why = f"the name {self.node.dial} cannot be resolved ({error.strerror})"
                remedy = "correct its sshAddress in the stack file, or repair the name service of this machine"
                return TransportError(self.doing, why, remedy=remedy, node=self.node.name, code="ssh-failed")
            case TimeoutError():
                return self._slow(login) if accepted else self._silent("timed out")
            case OSError() if not accepted:
                return self._silent(str(error))
            case OSError() | asyncssh.ConnectionLost() if client and not client.greeted:
                return self._limited()
        why = error.reason if isinstance(error, asyncssh.Error) else str(error)
        remedy = "read sshd's log on the node: journalctl -u ssh"
        return TransportError(self.doing, why, remedy=remedy, node=self.node.name, code="ssh-failed")

    @property
    def doing(self) -> str:
        """What fails, in words."""
        return f"connecting to {self.ssh.user}@{self.node.dial} by SSH"

    def _silent(self, why: str) -> Silent:
        return Silent(
            self.doing, f"nothing answers ({why})", remedy=NEXT_LOOK, node=self.node.name, code="node-unreachable"
        )

    def _slow(self, seconds: float) -> SlowLogin:
        return SlowLogin(
            self.doing,
            f"the machine accepts the connection but no login within {seconds:g} s",
            remedy="find out what keeps its login busy, or set requorum:ssh.loginSeconds higher",
            node=self.node.name,
            code="slow-login",
        )

    def _limited(self) -> Limited:
        refused = "refuses or drops new connections before the login, although it is up"
        return Limited(self.doing, f"the machine {refused}", remedy=LIMITS, node=self.node.name, code="ssh-limited")

    def _wrong_key(self) -> TransportError:
        scan = f"ssh-keyscan -p {self.ssh.port} {self.node.dial}"
        if not known_keys(self.node, self.ssh):
            return HostKeyUnknown(
                self.doing,
                f"no host key of {self.node.dial} is pinned in {self.ssh.known_hosts_file}",
                remedy=f"compare the fingerprint on the machine (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then: "
                f"{scan} >> {self.ssh.known_hosts_file}",
                node=self.node.name,
                code="host-key-not-pinned",
            )
        return HostKeyChanged(
            self.doing,
            f"the machine's host key is not the host key pinned in {self.ssh.known_hosts_file}",
            remedy=f"find out which machine answers at {self.node.dial}. If it is the right one, replace its line in that "
            f"file with the output of: {scan}",
            node=self.node.name,
            code="host-key-changed",
        )


class _Client(asyncssh.SSHClient):
    """Notes that the machine has accepted the connection, and waits until ``login_end`` for the login."""

    def __init__(self, accepted: "asyncio.Future[None]", limit: asyncio.Timeout, login_end: float) -> None:
        self._accepted, self._limit, self._login_end = accepted, limit, login_end
        self.connection: asyncssh.SSHClientConnection | None = None

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self.connection = conn
        if not self._accepted.done():
            self._accepted.set_result(None)
        if not self._limit.expired():
            self._limit.reschedule(self._login_end)

    @property
    def greeted(self) -> bool:
        """Whether the server has said its version, which is the first thing that sshd says."""
        return self.connection is not None and bool(self.connection.get_extra_info("server_version"))


async def _lives(connection: asyncssh.SSHClientConnection, seconds: float) -> bool:
    """Whether an open connection still answers: sshd is asked for a socket that does not exist, and says so.

    The engine's own socket is left alone: systemd starts a stopped engine when somebody connects to it.
    """
    if connection.is_closed():
        return False
    try:
        async with asyncio.timeout(seconds):
            _, writer = await connection.open_unix_connection(NOWHERE, encoding=None)
        writer.channel.close()
    except asyncssh.ChannelOpenError:
        await asyncio.sleep(0)  # asyncssh closes a broken connection in the next turn of the loop
        return not connection.is_closed()
    except (OSError, TimeoutError, asyncssh.Error):
        return False
    return True


_lines: dict[tuple[str, int, str, Path, Path], Line] = {}


def line(node: Node, ssh: Ssh) -> Line:
    """The way to a node, the same one for the same address and login."""
    key = (node.dial, ssh.port, ssh.user, ssh.private_key_file, ssh.known_hosts_file)
    return _lines.setdefault(key, Line(node, ssh))


async def close_all() -> None:
    """End every connection of this process."""
    for one in _lines.values():
        if one.attempt and not one.attempt.task.done():
            one.attempt.task.cancel()
        if one.held:
            one.held.connection.abort()
    _lines.clear()
    await asyncio.sleep(0)
