"""An engine is offered to a client that reaches engines by SSH: a real ssh speaks with it."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from components import reach

SIZE = 300_000


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Path]:
    """An engine that says back what it is told, and ends when its client has ended."""
    path = tmp_path / "engine.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            client, _ = server.accept()
            while data := client.recv(65536):
                client.sendall(data)
            client.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield path


def test_what_the_client_says_reaches_the_engine_and_the_answer_comes_back(engine: Path) -> None:
    program = f"from pathlib import Path; from recovery.node.offer import offer; offer(Path('{engine}'))"
    options = [
        f'ProxyCommand={sys.executable} -c "{program}"' if option.startswith("ProxyCommand") else option
        for option in reach.ssh_options("lab", "abc")
    ]
    host = reach.HOST.removeprefix("ssh://")
    said = os.urandom(SIZE)
    done = subprocess.run(
        ["ssh", *options, "--", host, "docker system dial-stdio"],
        input=said,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == b""
    assert done.returncode == 0
    assert done.stdout == said
