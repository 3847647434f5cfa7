"""The tests' own servers: a test talks to the one that it started, and where nothing should answer nothing does."""

import socket
import subprocess
from pathlib import Path

import pytest

from tests.s3.servers import SERVERS, Server, listens


def test_a_port_is_that_of_the_process_that_listens_there(server: Server) -> None:
    assert listens(server._process.pid) == server.port
    with subprocess.Popen(["sleep", "60"]) as other:
        assert listens(other.pid) is None
        other.kill()
    assert listens(other.pid) is None


@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_that_ends_is_none(kind: type[Server], tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="does not answer"), kind(Path("/bin/false"), tmp_path / "s3"):
        pytest.fail("it answered")


def test_where_nothing_answers_nobody_else_can_listen(gone: str) -> None:
    port = int(gone.rpartition(":")[2])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    with socket.socket() as other, pytest.raises(OSError, match="Address already in use"):
        other.bind(("127.0.0.1", port))
