"""Offers a node's engine on standard input and output to a client that reaches engines by SSH, as `docker -H ssh://` does.

The client starts this process as its ProxyCommand, and speaks SSH with it. The connection to the node is the one of
`recovery.node.ssh`, with its login, jump hosts and pinned host keys.
"""

import asyncio
import os
import socket
import threading
from pathlib import Path

from recovery.node.ssh_library import asyncssh
from recovery.node.streams import BLOCK, pump

STDIN, STDOUT = 0, 1


class _Server(asyncssh.SSHServer):
    """Lets its client in: the client is the process that started this one, at the other end of a pipe."""

    def begin_auth(self, _username: str) -> bool:
        return False


def offer(engine: Path) -> None:
    """Carry the client's sessions to the engine's local socket until the client ends. Each is taken for `dial-stdio`."""
    ours, theirs = socket.socketpair()
    threading.Thread(target=_sent, args=(theirs,), daemon=True).start()
    threading.Thread(target=_received, args=(theirs,), daemon=True).start()
    asyncio.run(_serve(ours, engine))


async def _serve(client: socket.socket, engine: Path) -> None:
    async def session(process: "asyncssh.SSHServerProcess[bytes]") -> None:
        reader, writer = await asyncio.open_unix_connection(engine)
        sending = asyncio.create_task(pump(process.stdin, writer))
        await pump(reader, process.stdout)
        sending.cancel()
        writer.close()
        process.exit(0)

    connection = await asyncssh.run_server(
        client,
        server_factory=_Server,
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        process_factory=session,
        encoding=None,
    )
    await connection.wait_closed()


def _sent(to: socket.socket) -> None:
    """What the client sends, until it ends."""
    while data := os.read(STDIN, BLOCK):
        to.sendall(data)
    to.shutdown(socket.SHUT_WR)


def _received(source: socket.socket) -> None:
    while data := source.recv(BLOCK):
        while data:
            data = data[os.write(STDOUT, data) :]
