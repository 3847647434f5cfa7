"""The SSH connections of this process: one for each node, kept open and used again.

A new login may take seconds, and a host may limit new connections. So an attempt that somebody gave up waiting for goes on,
and the next one who asks waits for the same attempt. Everything here runs on the event loop of `recovery.node.ssh`.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from recovery.errors import JumpHostFailed, Limited, Silent, SshRefused, TransportError
from recovery.node import ssh_faults
from recovery.node.door import Door, door
from recovery.node.ssh_keys import client_keys, pinned_keys
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
    through: "tuple[Line, Held] | None" = None
    """The connection to the jump host that carries this one."""
    sudo: bool | None = None
    """Whether commands run through sudo. None: nobody has asked yet."""

    def close(self) -> None:
        """End the connection after what is under way, and give back the jump host's."""
        self.connection.close()
        self._let_go()

    def abort(self) -> None:
        """End the connection at once, and give back the jump host's."""
        self.connection.abort()
        self._let_go()

    def _let_go(self) -> None:
        if self.through:
            line, held = self.through
            self.through = None
            line.give_back(held)


@dataclass(eq=False)
class _Attempt:
    """One attempt to connect."""

    accepted: "asyncio.Future[None]"
    task: "asyncio.Task[Held]"


@dataclass(eq=False)
class Line:
    """The way to one node: its open connection, or the attempt to open one."""

    door: Door
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
                        raise ssh_faults.limited(self.door) from None
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
            held.close()

    @property
    def accepted(self) -> bool:
        """Whether the machine has accepted the last connection, even if it did not let us in."""
        return self.attempt is not None and self.attempt.accepted.done()

    async def _connected(self, patience: Patience) -> Held:
        """The open connection if it lives, or a new one. Raises: TransportError, SettingError."""
        held = self.held
        if held and await _lives(held.connection, patience.connect):
            return held
        if self.held and self.held is not held:
            return self.held  # another shell was faster
        self.held = None
        if held and not held.users:
            held.abort()
        attempt = await self._attempt(patience)
        begun = asyncio.get_running_loop().time()
        either: set[asyncio.Future[Any]] = {attempt.task, attempt.accepted}
        await asyncio.wait(either, timeout=patience.connect, return_when="FIRST_COMPLETED")
        if not (attempt.task.done() or attempt.accepted.done()):
            raise ssh_faults.silent(self.door, "timed out")
        passed = asyncio.get_running_loop().time() - begun
        await asyncio.wait({attempt.task}, timeout=max(patience.login - passed, 0))
        if not attempt.task.done():
            raise ssh_faults.slow(self.door, patience.login)
        return attempt.task.result()

    async def _attempt(self, patience: Patience) -> _Attempt:
        """The attempt under way, or a new one. The limits of the machine begin when its jump host has let us in."""
        running = self.attempt
        if running and not running.task.done():
            return running
        there = self.door.through
        through = await self._by_jump_host(there, patience) if there else None
        if self.attempt and self.attempt is not running:  # another shell was faster
            if through:
                through[0].give_back(through[1])
            return self.attempt
        loop = asyncio.get_running_loop()
        accepted: asyncio.Future[None] = loop.create_future()
        longer = Patience(max(CONNECT_SECONDS, patience.connect), max(self.door.login_seconds, patience.login))
        task = loop.create_task(self._dial(accepted, longer, through))
        task.add_done_callback(lambda task: task.cancelled() or task.exception())  # nobody may wait for it any more
        self.attempt = _Attempt(accepted, task)
        return self.attempt

    async def _dial(
        self, accepted: "asyncio.Future[None]", patience: Patience, through: "tuple[Line, Held] | None"
    ) -> Held:
        client: _Client | None = None

        def made() -> _Client:
            nonlocal client
            client = _Client(accepted, limit, end)
            return client

        try:
            async with client_keys(self.door.key_file) as keys, asyncio.timeout(patience.connect) as limit:
                end = asyncio.get_running_loop().time() + patience.login
                connection = await asyncssh.connect(
                    self.door.host,
                    port=self.door.port,
                    tunnel=through[1].connection if through else (),
                    username=self.door.user,
                    known_hosts=pinned_keys(self.door.known_hosts_file),
                    client_keys=keys,
                    agent_path=None,
                    client_factory=made,
                    config=None,
                    keepalive_interval=5,
                )
        except BaseException as error:
            if through:
                through[0].give_back(through[1])
            if isinstance(error, (OSError, TimeoutError, asyncssh.Error)):
                came = {
                    "accepted": client is not None and client.connection is not None,
                    "greeted": client is not None and client.greeted,
                }
                raise ssh_faults.failed(self.door, error, login=patience.login, **came) from None
            raise
        self.held = Held(connection, through=through)
        return self.held

    async def _by_jump_host(self, there: Door, patience: Patience) -> "tuple[Line, Held]":
        """The connection to the jump host, which stays open as long as this one. Raises: JumpHostFailed, SettingError."""
        line = line_to(there)
        try:
            return line, await line.take(patience)
        except TransportError as error:
            why = f"{error.doing} failed: {error.why}"
            raise JumpHostFailed(
                ssh_faults.doing(self.door),
                why,
                remedy=error.remedy,
                node=self.door.name,
                code="jump-host-failed",
            ) from None

    async def knock(self, seconds: float) -> bool:
        """Whether nothing answers at the machine's SSH port, seen from its jump host. Raises: TransportError, SettingError."""
        there = self.door.through
        assert there
        line, held = await self._by_jump_host(there, Patience(seconds, there.login_seconds))
        try:
            async with asyncio.timeout(seconds):
                _, writer = await held.connection.open_connection(self.door.host, self.door.port, encoding=None)
            writer.channel.close()
        except asyncssh.ChannelOpenError as error:
            return isinstance(ssh_faults.beyond(self.door, error), Silent)
        except TimeoutError:
            return True
        finally:
            line.give_back(held)
        return False


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


_lines: dict[Door, Line] = {}


def line(node: Node, ssh: Ssh) -> Line:
    """The way to a node, the same one for the same address and login. Raises: SettingError."""
    return line_to(door(node, ssh))


def line_to(there: Door) -> Line:
    """The way through a door. Nodes share the ways to their jump hosts."""
    return _lines.setdefault(there, Line(there))


async def close_all() -> None:
    """End every connection of this process."""
    for one in _lines.values():
        if one.attempt and not one.attempt.task.done():
            one.attempt.task.cancel()
        if one.held:
            one.held.abort()
    _lines.clear()
    await asyncio.sleep(0)
