"""Uses a Docker engine's API through its local socket, with only the standard library."""

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
"""The paths of the API that list the objects of a swarm, by kind."""
EVENTS = '/events?filters={"scope":{"swarm":true}}'
REQUEST_SECONDS = 30.0


class Refused(Exception):
    """The engine answered a request with an error."""


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
    """Send a request to the engine at the socket ``path``. Returns its answer, or None if the answer is no JSON.

    Each part of the answer may take ``seconds``.
    Raises: Refused; OSError and http.client.HTTPException if the engine does not answer.
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


def raw(path: Path, what: str, *, seconds: float = REQUEST_SECONDS) -> bytes:
    """What the engine answers a GET request with, as it is. Raises: as `ask`."""
    connection = _Connection(path, seconds)
    try:
        connection.request("GET", what)
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    if answer.status >= 300:
        raise Refused(f"GET {what.split('?')[0]}: {content.decode(errors='replace').strip()}")
    return content


def events(path: Path) -> Iterator[bytes]:
    """Yield an empty line when the engine starts to send events, then a line for each change of the swarm.

    The lines end when the engine stops. Raises: as `ask`.
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
    """Return the objects of the swarm by kind, as the engine lists them. Raises: as `ask`."""
    return {kind: ask(path, "GET", what) for kind, what in KINDS.items()}
