"""SSH to a server of the test's own: which faults are the connection's, and which this machine's."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from types import SimpleNamespace
from typing import Any

import asyncssh
import pytest

from recovery.errors import LocalError, Silent
from recovery.node.ssh import Shell

MANY = 20 << 20
"""Bytes that ``much`` prints: more than any buffer on the way holds."""
BUSY_SECONDS = 0.6
"""What the server takes to let ``busy`` in."""


async def _serve(process: Any) -> None:
    match process.command:
        case "echo":
            process.stdout.write(await process.stdin.read())
        case "little":
            process.stdout.write(b"little")
        case "much":
            for _ in range(MANY >> 16):
                process.stdout.write(bytes(1 << 16))
                await process.stdout.drain()
    process.exit(0)


class _Server(asyncssh.SSHServer):
    async def begin_auth(self, username: str) -> bool:
        await asyncio.sleep(BUSY_SECONDS if username == "busy" else 0)
        return True


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Opens a shell on the server."""
    folder = tmp_path_factory.mktemp("ssh")
    host, user = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    user.write_private_key(folder / "key")
    user.write_public_key(folder / "authorized")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def listen() -> asyncssh.SSHAcceptor:
        authorized = str(folder / "authorized")
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[host],
            authorized_client_keys=authorized,
            server_factory=_Server,
            process_factory=_serve,
            encoding=None,
        )

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result()
    port = server.sockets[0].getsockname()[1]
    public = host.export_public_key().decode().strip()
    (folder / "known").write_text(f"[127.0.0.1]:{port} {public}\n")

    def opened(user: str = "root", port: int = port, **seconds: float) -> Shell:
        ssh = SimpleNamespace(user=user, port=port, private_key_file=folder / "key", known_hosts_file=folder / "known")
        return Shell(SimpleNamespace(name="manager-a", dial="127.0.0.1"), ssh, **seconds)  # type: ignore[arg-type]

    yield opened

    async def end() -> None:
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    asyncio.run_coroutine_threadsafe(end(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


def test_output_goes_whole_into_a_file(shell: Any, tmp_path: Path) -> None:
    with shell() as opened:
        assert opened.run(["much"], stdout=tmp_path / "out").status == 0
        assert (tmp_path / "out").stat().st_size == MANY
        opened.run(["little"], stdout=tmp_path / "out")
        assert (tmp_path / "out").read_bytes() == b"little"


@pytest.mark.parametrize("command", ["much", "little"])
def test_a_full_disk_is_no_lost_connection(shell: Any, command: str) -> None:
    """``little`` is refused only as the file is closed."""
    with shell() as opened, pytest.raises(LocalError, match="/dev/full on this machine: No space left on device"):
        opened.run([command], stdout=Path("/dev/full"), seconds=20)


@pytest.mark.parametrize("given", ["stdin", "stdout"])
def test_a_file_that_is_not_there_is_no_lost_connection(shell: Any, tmp_path: Path, given: str) -> None:
    with shell() as opened, pytest.raises(LocalError, match="gone on this machine: No such file or directory"):
        opened.run(["echo"], **{given: tmp_path / "gone" if given == "stdin" else tmp_path / "gone" / "gone"})


def test_a_machine_that_accepts_the_connection_has_longer_to_let_us_in(shell: Any) -> None:
    with shell("busy", connect_seconds=BUSY_SECONDS / 2) as opened:
        assert opened.run(["little"]).stdout == b"little"


def test_a_machine_that_accepts_the_connection_is_not_waited_for_for_ever(shell: Any) -> None:
    opened = shell("busy", connect_seconds=BUSY_SECONDS / 4, login_seconds=BUSY_SECONDS / 2)
    with pytest.raises(Silent, match=r"accepts the connection(?s:.*)code: node-unreachable"), opened:
        pass
    assert opened.accepted


def test_a_machine_where_nothing_answers_costs_no_more_than_the_connection(shell: Any) -> None:
    """A full queue of connections that nobody takes: the kernel drops what comes besides."""
    with socket.socket() as full, socket.socket() as waits, socket.socket() as waits_too:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for other in (waits, waits_too):
            other.setblocking(False)
            other.connect_ex(full.getsockname())
        opened, begun = shell(port=full.getsockname()[1], connect_seconds=0.2), monotonic()
        with pytest.raises(Silent, match=r"nothing answers \(timed out\)(?s:.*)code: node-unreachable"), opened:
            pass
        assert monotonic() - begun < BUSY_SECONDS * 4
        assert not opened.accepted
