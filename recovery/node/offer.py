"""Offers a node's engine on a local socket to clients that reach engines by SSH, as `docker -H ssh://` does.

The client's ssh speaks SSH over the socket. The connection to the node is the one of `recovery.node.ssh`, with its login,
jump hosts and pinned host keys.
"""

import asyncio
import socket
from pathlib import Path

from recovery.node.ssh_library import asyncssh
from recovery.node.streams import pump

GRACE_SECONDS = 0.5
"""For clients that connected while the offer ended."""


class _Server(asyncssh.SSHServer):
    """Lets its clients in: only the user of this process can open the socket."""

    def begin_auth(self, _username: str) -> bool:
        return False


class Offer:
    """An engine at a socket, until no client has used it for ``idle`` seconds, or the engine answers no more."""

    def __init__(self, listener: socket.socket, path: Path, engine: Path, *, idle: float) -> None:
        self._listener, self._path, self._engine, self._idle = listener, path, engine, idle
        self._key = asyncssh.generate_private_key("ssh-ed25519")
        self._clients: set[asyncio.Task[None]] = set()
        self._broken = False

    def run(self) -> None:
        """Serve, and take the socket away at the end."""
        asyncio.run(self._run())

    async def _run(self) -> None:
        self._listener.setblocking(False)
        while await self._accepted(self._idle) or (self._clients and not self._broken):
            pass
        self._withdraw()
        while await self._accepted(GRACE_SECONDS) or self._clients:
            pass

    async def _accepted(self, seconds: float) -> bool:
        """Whether a client came within the time."""
        try:
            client, _ = await asyncio.wait_for(asyncio.get_running_loop().sock_accept(self._listener), seconds)
        except TimeoutError:
            return False
        task = asyncio.create_task(self._serve(client))
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)
        return True

    async def _serve(self, client: socket.socket) -> None:
        connection = await asyncssh.run_server(
            client,
            server_factory=_Server,
            server_host_keys=[self._key],
            process_factory=self._session,
            encoding=None,
        )
        await connection.wait_closed()

    async def _session(self, process: "asyncssh.SSHServerProcess[bytes]") -> None:
        """Carry one connection of the engine's client. Whatever it asks to run is taken for `docker system dial-stdio`."""
        reader, writer = await asyncio.open_unix_connection(self._engine)
        sending = asyncio.create_task(pump(process.stdin, writer))
        first = await reader.read(1)
        if first:
            process.stdout.write(first)
            await pump(reader, process.stdout)
        elif not sending.done():
            self._withdraw()  # the next client looks for another manager
        sending.cancel()
        writer.close()
        process.exit(0)

    def _withdraw(self) -> None:
        if not self._broken:
            self._path.unlink(missing_ok=True)
        self._broken = True
