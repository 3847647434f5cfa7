"""Reaches a node by SSH with pinned host keys, for commands and for the engine's API.

The calls are plain and blocking. One event loop in a separate thread serves every connection of the process. Commands
are argument lists. Secrets travel on standard input.
"""

import asyncio
import atexit
import shutil
import socket
import tempfile
import threading
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from contextlib import suppress
from errno import EDQUOT, EFBIG, EIO, ENOENT, ENOSPC, EROFS
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, TypeVar

from recovery import temporary
from recovery.errors import CommandFailed, Garbled, RequorumError, Silent, TransportError, local_fault
from recovery.node import connections
from recovery.node.connections import CONNECT_SECONDS, GENTLE, Patience
from recovery.node.door import door
from recovery.node.framing import KEPT, Frame, FramedSource, Source, framed
from recovery.node.garbled import garbled
from recovery.node.shell import ANSWER, Output, said
from recovery.node.ssh_library import asyncssh
from recovery.node.streams import Sent, TooLong, nothing, pump, read
from recovery.swarm.client import DOCKER, ENGINE_SOCKET
from recovery.swarm.machines import Node, Ssh

T = TypeVar("T")
SUDO = ("sudo", "-n")
"""Runs a command as root, or fails at once if that needs a password (sudo(8))."""
LIMIT = ANSWER + KEPT
"""An answer, and what a login prints before it."""
LOCAL = frozenset({ENOSPC, EDQUOT, EFBIG, EROFS, EIO, ENOENT})
"""Errors of a local file, never of a connection."""


class Shell:
    """A node that is reached by SSH. Use as a context manager. All shells of a process share one connection to a node.

    ``connect_seconds`` and ``login_seconds`` (if None, `requorum:ssh.loginSeconds`) limit each attempt to connect. Between
    attempts at a host that may limit new connections are ``pauses``.

    Raises on entry: Silent, SshRefused, SlowLogin, Limited, AccessDenied, HostKeyChanged, HostKeyUnknown, TransportError,
    SettingError.
    """

    accepted = False
    """Whether the machine has accepted a connection, even if it did not let us in."""

    def __init__(
        self,
        node: Node,
        ssh: Ssh,
        *,
        connect_seconds: float = CONNECT_SECONDS,
        login_seconds: float | None = None,
        pauses: tuple[float, ...] = GENTLE,
    ) -> None:
        self.node = node
        self._ssh = ssh
        login = ssh.login_seconds if login_seconds is None else login_seconds
        self._patience = Patience(connect_seconds, login, pauses)
        self._held: connections.Held | None = None
        self._relay: asyncio.Server | None = None
        self._relaying: set[asyncio.Task[None]] = set()
        self._relay_folder: str | None = None

    def __enter__(self) -> Self:
        self._held = _wait(self._take())
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
        most: int | None = None,
    ) -> Output:
        """Run a command. Its input is bytes, a local file, or the read end of a pipe, which is closed afterwards.

        ``stdout`` is a local file for the output, which may have up to ``most`` bytes; None is no limit. Without a file,
        the output has up to `ANSWER` bytes. Raises: CommandFailed if the command exits non-zero (unless ``check``
        is off) or takes longer than ``seconds``; Garbled if it prints too much; Silent if the connection is lost;
        LocalError if a local file cannot be written or read.
        """
        output = _wait(self._run(argv, stdin, stdout, seconds, most))
        if check and output.status != 0:
            raise CommandFailed(
                f"running {argv[0]}",
                f"exit status {output.status}: {said(output.stderr) or 'no message'}",
                remedy="repair what the message names, then run the same command again",
                node=self.node.name,
                code="command-failed",
            )
        return output

    def engine_socket(self) -> Path:
        """Return a local socket that is connected to the node's Docker engine while the shell is open.

        The socket relays to the engine's socket on the node. If sshd forwards no sockets, it relays to
        ``docker system dial-stdio``, as ``docker -H ssh://`` does. The node then starts a process for each connection.

        Raises: LocalError when this machine makes no such socket: its folder for temporary files is full or cannot be
        written, or its path is so long that the socket's has more than 107 bytes (unix(7)).
        """
        if self._relay_folder is None:
            root, folder = temporary.root(), None
            try:
                folder = tempfile.mkdtemp(prefix="requorum-", dir=root)
                self._relay = _wait(asyncio.start_unix_server(self._dial_engine, f"{folder}/engine.sock"))
            except OSError as error:
                if folder:
                    shutil.rmtree(folder, ignore_errors=True)
                raise local_fault(error, root) from None
            self._relay_folder = folder
        return Path(self._relay_folder) / "engine.sock"

    async def _take(self) -> connections.Held:
        self._line = line = connections.line(self.node, self._ssh)
        try:
            return await line.take(self._patience)
        finally:
            self.accepted = line.accepted

    @property
    def _connection(self) -> asyncssh.SSHClientConnection:
        assert self._held is not None, "the shell is not open"
        return self._held.connection

    async def _close(self) -> None:
        if self._relay is not None:
            self._relay.close()
        for task in self._relaying:
            task.cancel()
        if self._relay_folder is not None:
            shutil.rmtree(self._relay_folder, ignore_errors=True)
        if self._held is not None:
            self._line.give_back(self._held)

    async def _run(
        self,
        argv: Sequence[str],
        stdin: bytes | Path | IO[bytes] | None,
        stdout: Path | None,
        seconds: float,
        most: int | None,
    ) -> Output:
        frame = Frame()
        target = _Target(stdout, frame, most) if stdout else None
        try:
            said, err, status = await asyncio.wait_for(self._finished(argv, stdin, target), seconds)
        except TimeoutError:
            raise CommandFailed(
                f"running {argv[0]}",
                f"no end within {seconds:.0f} s",
                remedy="find out what keeps the node busy, then run the same command again",
                node=self.node.name,
                code="command-failed",
            ) from None
        except TooLong:
            raise garbled(self.node.name, f"running {argv[0]}", f"it printed more than {ANSWER} bytes") from None
        except (OSError, asyncssh.Error) as error:
            if target and target.fault:
                raise local_fault(target.fault, target.path) from None
            if isinstance(error, OSError) and error.errno in LOCAL:
                raise local_fault(error, stdin if isinstance(stdin, Path) else temporary.root()) from None
            raise self._lost(argv, error) from None
        finally:
            if target:
                target.close()
        if target and target.fault:
            raise local_fault(target.fault, target.path) from None
        out = frame.feed(said)
        if target and target.too_long:
            raise garbled(self.node.name, f"running {argv[0]}", f"it printed more than {most} bytes")
        message = err.decode(errors="replace")
        if not frame.begun:
            raise self._unframed(argv, frame.noise or message.strip(), status)
        return Output(out, message, status if status is not None else -1)

    async def _finished(
        self, argv: Sequence[str], stdin: bytes | Path | IO[bytes] | None, target: "_Target | None"
    ) -> tuple[bytes, bytes, int | None]:
        """What the command printed, and its status. If it prints too much, or nobody waits for it any more, its channel is
        closed: the connection stays."""
        process = await self._connection.create_process(
            framed(await self._with_rights(argv)),
            encoding=None,
            input=stdin if isinstance(stdin, bytes) else None,
            stdin=asyncssh.DEVNULL if stdin is None else asyncssh.PIPE if isinstance(stdin, bytes) else stdin,
            stdout=target or asyncssh.PIPE,
        )
        try:
            out = read(process.stdout, LIMIT) if target is None else nothing()
            said, err = await asyncio.gather(out, read(process.stderr, ANSWER))
            await process.wait_closed()
            return said, err, process.exit_status
        finally:
            process.close()

    async def _with_rights(self, argv: Sequence[str]) -> Sequence[str]:
        """The command as root runs it. A login without root that may not use sudo without a password runs it as it is.

        The command then fails in its own words, or tells what such a user can see.
        """
        assert self._held
        if self._held.sudo is None:
            self._held.sudo = not self._line.door.is_root and await self._may_use_sudo()
        return (*SUDO, *argv) if self._held.sudo else argv

    async def _may_use_sudo(self) -> bool:
        done = await self._connection.run(framed([*SUDO, "true"]), encoding=None, stdin=asyncssh.DEVNULL)
        return done.exit_status == 0

    def _lost(self, argv: Sequence[str], error: OSError | asyncssh.Error | None) -> TransportError:
        """The error for a connection that ended, or that opens no session."""
        if isinstance(error, asyncssh.ChannelOpenError) and not self._connection.is_closed():
            return TransportError(
                f"running {argv[0]}",
                f"sshd opens no session ({error.reason})",
                remedy="raise MaxSessions in sshd_config on the node, then run the same command again",
                node=self.node.name,
                code="ssh-failed",
            )
        return Silent(
            f"running {argv[0]}",
            f"the connection was lost ({error or 'no exit status'})",
            remedy="check that the machine is up and reachable from here, then run the same command again",
            node=self.node.name,
            code="ssh-failed",
        )

    def _unframed(self, argv: Sequence[str], printed: str, status: int | None) -> RequorumError:
        """The error for a login that ended before the command began."""
        if status is None:
            return self._lost(argv, None)
        return Garbled(
            f"running {argv[0]}",
            f"the login of {self._line.door.user} ended with exit status {status} and ran no command. "
            f"It printed: {said(printed) or 'nothing'}",
            remedy=f"on the node, let the login of {self._line.door.user} run commands: its shell in /etc/passwd, ForceCommand in "
            "sshd_config, command= in authorized_keys",
            node=self.node.name,
            code="answer-garbled",
        )

    async def _dial_engine(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Relay one connection of the engine client.

        asyncssh's own redirection is not used. If no engine listens, the node ends the stream before the engine client
        does, and the redirection would then break the whole SSH connection.
        """
        task = asyncio.current_task()
        assert task
        self._relaying.add(task)
        try:
            source, sink = await self._engine_streams()
            sent = Sent()
            sending = asyncio.create_task(pump(reader, sink, asks=sent))
            try:
                await pump(source, writer, answers=sent)
            finally:
                sending.cancel()
                sink.channel.close()
        except (OSError, asyncssh.Error, asyncio.CancelledError):
            pass  # the engine client sees its connection end and reports that
        finally:
            self._relaying.discard(task)
            writer.close()

    async def _engine_streams(self) -> tuple[Source, asyncssh.SSHWriter[bytes]]:
        """A connection to the node's engine. sshd says no more than "failed", be it forbidden or no engine there.

        The engine's socket is named, so that a context or DOCKER_HOST of the login does not count.
        """
        try:
            return await self._connection.open_unix_connection(ENGINE_SOCKET, encoding=None)
        except asyncssh.ChannelOpenError:
            dial = await self._with_rights([*DOCKER, "system", "dial-stdio"])
            process = await self._connection.create_process(framed(dial), encoding=None, stderr=asyncssh.DEVNULL)
            return FramedSource(process.stdout), process.stdin


class _Target:
    """A local file that a command's answer is written to.

    It keeps the error of a failed write, because asyncssh only ends the connection and does not report it.
    """

    def __init__(self, path: Path, frame: Frame, most: int | None) -> None:
        """The file takes up to ``most`` bytes, or any number. Raises: LocalError."""
        self.path = path
        self._frame, self._most, self._size = frame, most, 0
        self.too_long = False
        """Whether more was printed than the file takes."""
        self.fault: OSError | None = None
        try:
            self._file = path.open("wb")
        except OSError as error:
            raise local_fault(error, path) from None

    def fileno(self) -> int:
        """Raise OSError, so that asyncssh calls `write` for any kind of file."""
        raise OSError

    def write(self, data: bytes) -> None:
        """Append, as long as the file takes it. Raises: OSError."""
        answer = self._frame.feed(data)
        self._size += len(answer)
        if self.too_long or (self._most is not None and self._size > self._most):
            self.too_long = True
            return
        try:
            self._file.write(answer)
        except OSError as error:
            self.fault = error
            raise

    def close(self) -> None:
        """Write the buffered output, and close the file."""
        try:
            self._file.close()
        except OSError as error:
            self.fault = self.fault or error


def is_silent(node: Node, ssh: Ssh, *, seconds: float = CONNECT_SECONDS) -> bool:
    """Whether nothing answers at the node's SSH port: neither a connection nor a refusal.

    A frozen machine is not silent in this sense, because its kernel accepts connections. A name that cannot be resolved
    is not silent either, nor a machine whose jump host does not carry us there.
    """
    there = door(node, ssh)
    try:
        if there.jump:
            return _wait(connections.line_to(there).knock(seconds))
        socket.create_connection((there.host, there.port), timeout=seconds).close()
    except (ConnectionError, socket.gaierror, TransportError):
        return False
    except OSError:
        return True
    return False


_starting = threading.Lock()


@cache
def _start_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="requorum-ssh", daemon=True).start()
    atexit.register(hang_up)
    return loop


def hang_up() -> None:
    """End all connections of this process, and forget which nodes let it in."""
    with suppress(TimeoutError):
        asyncio.run_coroutine_threadsafe(connections.close_all(), _loop()).result(1)


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
