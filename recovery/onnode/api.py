"""A Docker engine's API through its local socket, with the standard library alone."""

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

KINDS = {
    "nodes": "/nodes",
    "services": "/services",
    "networks": '/networks?filters={"scope":{"swarm":true}}',
    "secrets": "/secrets",
    "configs": "/configs",
}
"""Where the engine lists what a swarm holds."""
EVENTS = '/events?filters={"scope":{"swarm":true}}'
REQUEST_SECONDS = 30.0


class Refused(Exception):
    """What the engine answered instead of doing what was asked."""


class _Connection(http.client.HTTPConnection):
    """HTTP through a local socket."""

    def __init__(self, path: Path, seconds: float | None) -> None:
        super().__init__("engine", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def ask(path: Path, method: str, what: str, body: Any = None, *, seconds: float = REQUEST_SECONDS) -> Any:
    """What the engine at the socket ``path`` answers, each part within ``seconds``; None where that is no JSON.

    Raises: Refused; OSError and http.client.HTTPException where there is no answer.
    """
    connection = _Connection(path, seconds)
    try:
        text = None if body is None else json.dumps(body)
        connection.request(method, what, text, {"Content-Type": "application/json"} if text else {})
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    if answer.status >= 300:
        raise Refused(f"{method} {what.split('?')[0]}: {content.decode(errors='replace').strip()}")
    return json.loads(content) if content.startswith((b"{", b"[", b'"')) else None


def events(path: Path) -> Iterator[bytes]:
    """A line for each change to the swarm, from now on, and nothing as soon as the engine listens for them.

    Ends where the engine does. Raises: as `ask`.
    """
    connection = _Connection(path, None)
    try:
        connection.request("GET", EVENTS)
        answer = connection.getresponse()
        if answer.status >= 300:
            raise Refused(answer.read().decode(errors="replace").strip())
        yield b""
        while line := answer.readline():
            yield line
    finally:
        connection.close()


def holdings(path: Path) -> dict[str, list[Mapping[str, Any]]]:
    """The lists of what the swarm holds, by kind. Raises: as `ask`."""
    return {kind: ask(path, "GET", what) for kind, what in KINDS.items()}
