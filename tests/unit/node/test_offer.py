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
from recovery.node.offer import Offer

SIZE = 300_000


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Path]:
    """An engine that says back what it is told, and ends when its client has ended."""
    path = tmp_path / "engine.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            while True:
                client, _ = server.accept()
                while data := client.recv(65536):
                    client.sendall(data)
                client.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield path


def offered(engine: Path, folder: Path, *, idle: float) -> tuple[Path, threading.Thread]:
    path = folder / "offer.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    thread = threading.Thread(target=Offer(listener, path, engine, idle=idle).run, daemon=True)
    thread.start()
    return path, thread


def command(path: Path) -> list[str]:
    program = (
        f"import components.reach as r, pathlib; r._connected = lambda *_: r._dial(pathlib.Path('{path}')); r.main()"
    )
    options = [
        f'ProxyCommand={sys.executable} -c "{program}" lab abc' if option.startswith("ProxyCommand") else option
        for option in reach.ssh_options("lab", "abc")
    ]
    return ["ssh", *options, "--", reach.HOST.removeprefix("ssh://"), "docker system dial-stdio"]


def test_what_the_client_says_reaches_the_engine_and_the_answer_comes_back(engine: Path, tmp_path: Path) -> None:
    path, thread = offered(engine, tmp_path, idle=1)
    for said in (os.urandom(SIZE), b"again"):
        done = subprocess.run(command(path), input=said, capture_output=True, timeout=60, check=False)
        assert done.stderr == b""
        assert done.returncode == 0
        assert done.stdout == said
    thread.join(30)
    assert not thread.is_alive()
    assert not path.exists(), "nobody used it any more"


def test_an_engine_that_ends_ends_the_offer_for_others(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "engine.sock"))
        server.listen()
        threading.Thread(target=lambda: server.accept()[0].close(), daemon=True).start()
        path, thread = offered(tmp_path / "engine.sock", tmp_path, idle=2)
        with subprocess.Popen(command(path), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
            assert client.wait(60) == 0
        assert not path.exists()
        thread.join(30)
        assert not thread.is_alive()
