"""SSH to a server of the test's own: which faults are the connection's, and which this machine's."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncssh
import pytest

from recovery.errors import LocalError
from recovery.transport import Shell

MANY = 20 << 20
"""Bytes that ``much`` prints: more than any buffer on the way holds."""


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
            process_factory=_serve,
            encoding=None,
        )

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result()
    port = server.sockets[0].getsockname()[1]
    public = host.export_public_key().decode().strip()
    (folder / "known").write_text(f"[127.0.0.1]:{port} {public}\n")
    ssh = SimpleNamespace(user="root", port=port, private_key_file=folder / "key", known_hosts_file=folder / "known")
    yield lambda: Shell(SimpleNamespace(name="manager-a", dial="127.0.0.1"), ssh)  # type: ignore[arg-type]
    loop.call_soon_threadsafe(server.close)
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
