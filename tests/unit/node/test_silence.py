"""What is said of an engine that does not answer: nothing of the libraries that asked it."""

import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any, cast

import pytest

from recovery.errors import EngineError
from recovery.node.engine import Engine

SECONDS = 0.2


def nothing(_: Path) -> None:
    """No socket is there."""


def left(path: Path) -> None:
    """Nobody listens at the socket any more."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def listening(path: Path) -> socket.socket:
    """An engine that hangs."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()
    return server


def closing(path: Path) -> socket.socket:
    """An engine that ends while it is asked."""
    server = listening(path)

    def serve() -> None:
        with suppress(OSError):
            while True:
                server.accept()[0].close()

    Thread(target=serve, daemon=True).start()
    return server


def breaking(path: Path) -> socket.socket:
    """An engine that ends within an answer."""
    server = listening(path)

    def serve() -> None:
        with suppress(OSError):
            while True:
                asked, _ = server.accept()
                with asked:
                    asked.recv(1 << 16)
                    asked.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")

    Thread(target=serve, daemon=True).start()
    return server


@pytest.mark.parametrize(
    ("engine", "why"),
    [
        (nothing, "the engine does not answer (No such file or directory)"),
        (left, "the engine does not answer (Connection refused)"),
        (listening, "the engine does not answer within 0.2 s"),
        (closing, "the engine closed the connection"),
        (breaking, "the engine broke off its answer"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_why_an_engine_is_silent(engine: Callable[[Path], Any], why: str, tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    server = engine(path)
    shell = SimpleNamespace(node=SimpleNamespace(name="manager-a"), engine_socket=lambda: path)
    with pytest.raises(EngineError) as silent:
        Engine(cast("Any", shell), seconds=SECONDS)
    assert silent.value.why == why
    assert silent.value.code == "engine-silent"
    if server:
        server.close()
