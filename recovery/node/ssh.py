"""Reaches a node by SSH with pinned host keys, for commands and for the engine's API.

The calls are plain and blocking. One event loop in a separate thread serves every connection of the process. Commands
are argument lists. Secrets travel on standard input.
"""

import asyncio
import shlex
import shutil
import socket
import tempfile
import threading
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from errno import EDQUOT, EFBIG, EIO, ENOENT, ENOSPC, EROFS
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, TypeVar

import asyncssh

from recovery.errors import AccessDenied, CommandFailed, HostKeyChanged, Silent, SshRefused, TransportError, local_fault
from recovery.node.shell import ENGINE_SOCKET, SHOWN, Output
from recovery.node.ssh_keys import known_keys, pinned_keys, private_key
from recovery.swarm.machines import Node, Ssh

T = TypeVar("T")
CONNECT_SECONDS = 3.0
"""How long a machine may take to accept or refuse a connection. A dead node costs no more time."""
LOGIN_SECONDS = 10.0
"""How long the whole login may take if the machine accepted the connection. A busy machine needs time to fork."""
LOCAL = frozenset({ENOSPC, EDQUOT, EFBIG, EROFS, EIO, ENOENT})
"""Errors of a local file, never of a connection."""


class Shell:
    """An open SSH connection to one node. Use as a context manager.

    Raises on entry: Silent, SshRefused, AccessDenied, HostKeyChanged, SettingError.
    """

    accepted = False
    """Whether the machine has accepted a connection, even if it did not let us in."""

    def __init__(
        self, node: Node, ssh: Ssh, *, connect_seconds: float = CONNECT_SECONDS, login_seconds: float = LOGIN_SECONDS
    ) -> None:
        self.node = node
        self._ssh = ssh
        self._connect_seconds = connect_seconds
        self._login_seconds = login_seconds
        self._connection: asyncssh.SSHClientConnection | None = None
        self._relay: asyncio.Server | None = None
        self._relay_folder: str | None = None

    def __enter__(self) -> Self:
        self._connection = _wait(self._connect())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _wait(self._close())

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | Path | IO[bytes] | None = None,
        stdout: Path | None = None,
        seconds: float = 60,
        check: bool = True,
    ) -> Output:
        """Run a command. Its input is bytes, a local file, or the read end of a pipe, which is closed afterwards.

        ``stdout`` is a local file for the output. Raises: CommandFailed if the command exits non-zero (unless ``check``
        is off) or takes longer than ``seconds``; Silent if the connection is lost; LocalError if a local file cannot be
        written or read.
        """
        output = _wait(self._run(argv, stdin, stdout, seconds))
        if check and output.status != 0:
            raise CommandFailed(
                f"running {argv[0]}",
                f"exit status {output.status}: {output.stderr.strip()[-SHOWN:] or 'no message'}",
                remedy="repair what the message names, then run the same command again",
                node=self.node.name,
                code="command-failed",
            )
        return output

    def engine_socket(self) -> Path:
        """Return a local socket that is connected to the node's Docker engine while the shell is open.

        The socket relays to the engine's socket on the node. If sshd forwards no sockets, it relays to
        ``docker system dial-stdio``, as ``docker -H ssh://`` does. The node then starts a process for each connection.
        """
        if self._relay_folder is None:
            try:
                self._relay_folder = tempfile.mkdtemp(prefix="requorum-")
            except OSError as error:
                raise local_fault(error, Path(tempfile.gettempdir())) from None
            self._relay = _wait(asyncio.start_unix_server(self._dial_engine, self._relay_folder + "/engine.sock"))
        return Path(self._relay_folder) / "engine.sock"

    async def _connect(self) -> asyncssh.SSHClientConnection:
        doing = f"connecting to {self._ssh.user}@{self.node.dial} by SSH"
        name = self.node.name
        try:
            async with asyncio.timeout(self._connect_seconds) as limit:
                login_end = asyncio.get_running_loop().time() + self._login_seconds
                return await asyncssh.connect(
                    self.node.dial,
                    port=self._ssh.port,
                    username=self._ssh.user,
                    known_hosts=pinned_keys(self._ssh.known_hosts_file),
                    client_keys=[private_key(self._ssh.private_key_file)],
                    client_factory=lambda: _Patient(self, limit, login_end),
                    agent_path=None,
                    config=None,
                    keepalive_interval=5,
                )
        except asyncssh.HostKeyNotVerifiable:
            scan = f"ssh-keyscan -p {self._ssh.port} {self.node.dial}"
            if not known_keys(self.node, self._ssh):
                raise HostKeyChanged(
                    doing,
                    f"no host key of {self.node.dial} is pinned in {self._ssh.known_hosts_file}",
                    remedy=f"check the machine's host key, then add it to that file: {scan}",
                    node=name,
                    code="host-key-not-pinned",
                ) from None
            raise HostKeyChanged(
                doing,
                f"the machine's host key is not the host key pinned in {self._ssh.known_hosts_file}",
                remedy=f"find out which machine answers at {self.node.dial}. If it is the right one, replace its line in that "
                f"file with the output of: {scan}",
                node=name,
                code="host-key-changed",
            ) from None
        except asyncssh.PermissionDenied:
            raise AccessDenied(
                doing,
                f"the machine does not accept the key {self._ssh.private_key_file}",
                remedy=f"add its public key to the authorized_keys of {self._ssh.user} on that machine, or correct "
                "requorum:ssh.privateKeyFile",
                node=name,
                code="access-denied",
            ) from None
        except ConnectionRefusedError:
            raise SshRefused(
                doing,
                f"the machine is up and port {self._ssh.port} refuses the connection",
                remedy=f"start sshd on {self.node.dial}, or correct requorum:ssh.port",
                node=name,
                code="ssh-refused",
            ) from None
        except (OSError, TimeoutError) as error:
            answer = "the machine accepts the connection but no login" if self.accepted else "nothing answers"
            raise Silent(
                doing,
                f"{answer} ({str(error) or 'timed out'})",
                remedy="check that the machine is up and reachable from here",
                node=name,
                code="node-unreachable",
            ) from None
        except asyncssh.Error as error:
            raise TransportError(
                doing,
                error.reason,
                remedy="read sshd's log on the node: journalctl -u ssh",
                node=name,
                code="ssh-failed",
            ) from None

    async def _close(self) -> None:
        if self._relay is not None:
            self._relay.close()
        if self._relay_folder is not None:
            shutil.rmtree(self._relay_folder, ignore_errors=True)
        if self._connection is not None:
            self._connection.close()

    async def _run(
        self, argv: Sequence[str], stdin: bytes | Path | IO[bytes] | None, stdout: Path | None, seconds: float
    ) -> Output:
        assert self._connection is not None, "the shell is not open"
        target = _Target(stdout) if stdout else None
        try:
            result = await asyncio.wait_for(
                self._connection.run(
                    shlex.join(argv),
                    encoding=None,
                    input=stdin if isinstance(stdin, bytes) else None,
                    stdin=asyncssh.DEVNULL if stdin is None else asyncssh.PIPE if isinstance(stdin, bytes) else stdin,
                    stdout=target or asyncssh.PIPE,
                ),
                seconds,
            )
        except TimeoutError:
            raise CommandFailed(
                f"running {argv[0]}",
                f"no end within {seconds:.0f} s",
                remedy="find out what keeps the node busy, then run the same command again",
                node=self.node.name,
                code="command-failed",
            ) from None
        except (OSError, asyncssh.Error) as error:
            if isinstance(error, OSError) and error.errno in LOCAL:
                raise local_fault(error, stdin if isinstance(stdin, Path) else Path(tempfile.gettempdir())) from None
            raise Silent(
                f"running {argv[0]}",
                f"the connection was lost ({error})",
                remedy="check that the machine is up and reachable from here, then run the same command again",
                node=self.node.name,
                code="ssh-failed",
            ) from None
        finally:
            if target:
                target.close()
        if target and target.fault:
            raise local_fault(target.fault, target.path) from None
        out = result.stdout if isinstance(result.stdout, bytes) else b""
        err = result.stderr.decode(errors="replace") if isinstance(result.stderr, bytes) else ""
        return Output(out, err, result.exit_status if result.exit_status is not None else -1)

    async def _dial_engine(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Relay one connection of the engine client.

        asyncssh's own redirection is not used. If no engine listens, the node ends the stream before the engine client
        does, and the redirection would then break the whole SSH connection.
        """
        try:
            source, sink = await self._engine_streams()
        except (OSError, asyncssh.Error):
            writer.close()
            return  # the engine client sees its connection end and reports that
        sending = asyncio.create_task(_pump(reader, sink))
        await _pump(source, writer)
        sending.cancel()
        sink.channel.close()
        writer.close()

    async def _engine_streams(self) -> tuple[asyncssh.SSHReader[bytes], asyncssh.SSHWriter[bytes]]:
        """Open a connection to the node's engine.

        sshd only says "failed", both if it forwards no sockets and if no engine listens.
        """
        assert self._connection is not None, "the shell is not open"
        try:
            return await self._connection.open_unix_connection(ENGINE_SOCKET, encoding=None)
        except asyncssh.ChannelOpenError:
            process = await self._connection.create_process(
                "docker system dial-stdio", encoding=None, stderr=asyncssh.DEVNULL
            )
            return process.stdout, process.stdin


class _Patient(asyncssh.SSHClient):
    """Records that the machine accepted the connection, and waits until ``login_end`` for the login."""

    def __init__(self, shell: Shell, limit: asyncio.Timeout, login_end: float) -> None:
        self._shell, self._limit, self._login_end = shell, limit, login_end

    def connection_made(self, _connection: asyncssh.SSHClientConnection) -> None:
        self._shell.accepted = True
        if not self._limit.expired():
            self._limit.reschedule(self._login_end)


class _Target:
    """A local file for a command's output.

    It keeps the error of a failed write, because asyncssh only ends the connection and does not report it.
    """

    def __init__(self, path: Path) -> None:
        """Raises: LocalError."""
        self.path = path
        self.fault: OSError | None = None
        try:
            self._file = path.open("wb")
        except OSError as error:
            raise local_fault(error, path) from None

    def fileno(self) -> int:
        """Raise OSError, so that asyncssh calls `write` for any kind of file."""
        raise OSError

    def write(self, data: bytes) -> None:
        """Append. Raises: OSError."""
        try:
            self._file.write(data)
        except OSError as error:
            self.fault = error
            raise

    def close(self) -> None:
        """Write the buffered output, and close the file."""
        try:
            self._file.close()
        except OSError as error:
            self.fault = self.fault or error


async def _pump(source: Any, sink: Any) -> None:
    """Copy a stream to its end, or until either side closes."""
    try:
        while data := await source.read(1 << 16):
            sink.write(data)
            await sink.drain()
        sink.write_eof()
    except (OSError, asyncssh.Error):
        pass  # the other side sees the end of the connection


def is_silent(node: Node, ssh: Ssh, *, seconds: float = CONNECT_SECONDS) -> bool:
    """Whether nothing answers at the node's SSH port: neither a connection nor a refusal.

    A frozen machine is not silent in this sense, because its kernel accepts connections. A name that cannot be resolved
    is not silent either.
    """
    try:
        socket.create_connection((node.dial, ssh.port), timeout=seconds).close()
    except (ConnectionError, socket.gaierror):
        return False
    except OSError:
        return True
    return False


_starting = threading.Lock()


@cache
def _start_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="requorum-ssh", daemon=True).start()
    return loop


def _loop() -> asyncio.AbstractEventLoop:
    with _starting:  # with only a cache, two threads could start two loops
        return _start_loop()


def _wait(work: Coroutine[Any, Any, T]) -> T:
    future: Future[T] = asyncio.run_coroutine_threadsafe(work, _loop())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise
