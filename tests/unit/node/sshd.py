"""An SSH server of the tests' own on loopback, whose logins are slow, noisy or limited as their user's name says."""

import asyncio
import os
import socket
import threading
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from errno import EHOSTUNREACH
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import asyncssh

from recovery.node.ssh import Shell
from recovery.swarm.machines import Node, Ssh

T = TypeVar("T")
LOOPBACK = IPv4Address("127.0.0.1")
MANY = 20 << 20
"""Bytes that ``much`` prints: more than any buffer on the way holds."""
CLOSED = "closed"
"""Is not carried to other machines."""
NO_ROUTE = "192.0.2.1"
"""A machine that the server cannot reach."""
BUSY_SECONDS = 0.6
"""What the server takes to let ``busy`` in."""
NOISE = (b"Welcome to ", b"db-1\nrequorum-", b"0123\n", b"last login: today")
"""What the login of ``noisy`` prints, in parts."""
SUDOER = "ops"
"""May use sudo without a password."""
NO_LOGIN = "This account is currently not available."


async def _serve(process: Any) -> None:
    """Do what a login shell does: first its .bashrc, then the command line."""
    mark, _, command = process.command.removeprefix("echo ").partition("; exec ")
    match process.get_extra_info("username"):
        case "nologin":
            process.stdout.write(f"{NO_LOGIN}\n".encode())
            process.exit(1)
            return
        case "noisy":
            for part in NOISE:
                process.stdout.write(part)
                await asyncio.sleep(0.01)
    process.stdout.write(f"{mark}\n".encode())
    plain = command.removeprefix("sudo -n ")
    if plain != command and process.get_extra_info("username") != SUDOER:
        process.stderr.write(b"sudo: a password is required\n")
        process.exit(1)
        return
    match plain:
        case "whoami":
            process.stdout.write(b"root" if plain != command else process.get_extra_info("username").encode())
        case "echo":
            process.stdout.write(await process.stdin.read())
        case "docker -H unix:///var/run/docker.sock system dial-stdio":
            process.stdout.write(b"HTTP/1.1 200 OK\r\n\r\n" + await process.stdin.read(4))
        case "little":
            process.stdout.write(b"little")
        case "never":
            await asyncio.sleep(60)
        case "endless stdout" | "endless stderr":
            stream = process.stdout if command.endswith("stdout") else process.stderr
            with suppress(OSError, asyncssh.Error):
                while not stream.channel.is_closing():
                    stream.write(bytes(1 << 16))
                    await stream.drain()
            return
        case "much":
            for _ in range(MANY >> 16):
                process.stdout.write(bytes(1 << 16))
                await process.stdout.drain()
    process.exit(0)


class _Server(asyncssh.SSHServer):
    logins: ClassVar[list[str]] = []
    """The user of each login that was begun."""

    sockets: ClassVar[list[str]] = []
    """The path of each socket that was asked for."""

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        """Carry a connection to another machine, as a jump host does; a `closed` one forbids it."""
        if self.user == CLOSED:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "open failed")
        if dest_host == NO_ROUTE:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, os.strerror(EHOSTUNREACH))
        try:
            socket.create_connection((dest_host, dest_port), 1).close()
        except OSError as error:  # OpenSSH passes on the system's words
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, str(error.strerror)) from None
        return True

    def unix_connection_requested(self, dest_path: str) -> bool:
        self.sockets.append(dest_path)
        return False

    async def begin_auth(self, username: str) -> bool:
        self.user = username
        self.logins.append(username)
        await asyncio.sleep(BUSY_SECONDS if username.startswith("busy") else 0)
        return True


@dataclass
class Limit:
    """A firewall before the server, which limits new connections."""

    port: int
    drops: int = 0
    """How many connections are still dropped before the banner."""
    tries: int = 0
    relays: list[asyncio.StreamWriter] = field(default_factory=list)
    server: asyncio.Server | None = None

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, door: "Door") -> None:
        self.tries += 1
        if self.drops:
            self.drops -= 1
            writer.close()
            return
        there, to = await asyncio.open_connection("127.0.0.1", door.port)
        self.relays += [writer, to]
        back = asyncio.create_task(_pump(there, writer))
        with suppress(asyncio.CancelledError):
            await _pump(reader, to)
        back.cancel()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(1 << 16):
            sink.write(data)
            await sink.drain()
        sink.close()


class Door:
    """The server, and shells on it."""

    def __init__(self, folder: Path, loop: asyncio.AbstractEventLoop, kinds: Sequence[str], signed_by: Any) -> None:
        self._folder, self._loop = folder, loop
        self.host_keys = [asyncssh.generate_private_key(kind) for kind in kinds]
        self._host, user = self.host_keys[0], asyncssh.generate_private_key("ssh-ed25519")
        self._shown: list[Any] = list(self.host_keys)
        if signed_by:
            certificate = signed_by.generate_host_certificate(self._host, "host", principals=["127.0.0.1"])
            self._shown = [(self._host, certificate)]
        self.key = folder / "key"
        user.write_private_key(self.key)
        user.write_public_key(folder / "authorized")
        self._server = self.do(self._listen())
        self.port: int = self._server.sockets[0].getsockname()[1]

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run on the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def _listen(self) -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=self._shown,
            authorized_client_keys=str(self._folder / "authorized"),
            server_factory=_Server,
            process_factory=_serve,
            encoding=None,
        )

    @property
    def logins(self) -> list[str]:
        """The user of each login that was begun."""
        return _Server.logins

    @property
    def sockets(self) -> list[str]:
        """The path of each socket that was asked for."""
        return _Server.sockets

    def shell(
        self,
        user: str = "root",
        *,
        port: int = 0,
        pinned: bool = True,
        known: Path | None = None,
        ssh: Any = None,
        dial: str = "",
        **given: Any,
    ) -> Shell:
        """A shell on the server, or on another port."""
        known = known or self._folder / f"known-{port}-{pinned}"
        if not known.exists():
            public = self._host.export_public_key().decode().strip()
            known.write_text(f"[127.0.0.1]:{port or self.port} {public}\n" if pinned else "")
        made = ssh or Ssh(user=user, port=port or self.port, private_key_file=self.key, known_hosts_file=known)
        return Shell(Node(name="manager-a", address=LOOPBACK, ssh_address=dial), made, **given)

    def limit(self, port: int = 0, *, drops: int = 0) -> Limit:
        """A firewall before the server, at a port of its own."""
        made = Limit(0, drops)

        async def start() -> asyncio.Server:
            return await asyncio.start_server(lambda r, w: made.accept(r, w, self), "127.0.0.1", port)

        made.server = self.do(start())
        made.port = made.server.sockets[0].getsockname()[1]
        return made

    def refuse(self, limit: Limit) -> None:
        """Cut every connection through the firewall, and refuse new ones."""

        async def stop() -> None:
            assert limit.server
            limit.server.close()
            for writer in limit.relays:
                writer.transport.abort()

        self.do(stop())


@contextmanager
def serving(folder: Path, *, kinds: Sequence[str] = ("ssh-ed25519",), signed_by: Any = None) -> Iterator[Door]:
    """A server with a host key of each of these kinds, signed by an authority if one is given, which serves until the context ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    door = Door(folder, loop, kinds, signed_by)
    yield door

    async def end() -> None:
        door._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    door.do(end())
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
