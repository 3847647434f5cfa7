"""A platform of the tests' own: an HTTP API that makes lab machines as clouds do, from user data."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import yaml

from lab import image, node_container, nodes
from lab.engine_client import connect
from lab.instance import Instance

HOST_KEY = "ssh_host_ed25519_key"


@dataclass
class Platform:
    """The machines that were asked for. ``containers`` are the containers' names by address."""

    lab: Instance
    containers: dict[str, str]
    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    """What was asked of it, in order."""
    one_at_a_time: Lock = field(default_factory=Lock)

    def make(self, wanted: dict[str, Any]) -> dict[str, str]:
        """Make a machine. It boots after the answer, and does then what cloud-init does with the user data."""
        self.asked.append(wanted)
        name = self.containers[wanted["address"]]
        _first_boot(self.lab.identity(name), yaml.safe_load(wanted["user_data"]))
        with self.one_at_a_time, connect(self.lab, f"making {name}") as client:
            node_container.ensure_network(client, self.lab, [wanted["address"]])
            node_container.create(client, self.lab, name, wanted["address"], image.DEFAULT)
        return next(one for one in self.machines() if one["address"] == wanted["address"])

    def machines(self) -> list[dict[str, str]]:
        """The machines that are there, by the names that they were asked for with."""
        names = {wanted["address"]: wanted["name"] for wanted in self.asked}
        with connect(self.lab, "listing machines") as client:
            return [
                {
                    "name": names[node.address],
                    "address": node.address,
                    "state": node.state,
                    "id": str(client.containers.get(node.name).id),
                }
                for node in nodes.found(client, self.lab)
            ]

    def lose(self, *containers: str) -> None:
        """Lose machines with their disks."""
        nodes.lose(self.lab, containers)


def _first_boot(folder: Path, said: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    keys = said["ssh_keys"]
    (folder / HOST_KEY).unlink(missing_ok=True)
    (folder / HOST_KEY).touch(mode=0o600)
    (folder / HOST_KEY).write_text(keys["ed25519_private"])
    (folder / f"{HOST_KEY}.pub").write_text(f"{keys['ed25519_public']}\n")
    (folder / "authorized_keys").write_text("".join(f"{key}\n" for key in said["ssh_authorized_keys"]))


@contextmanager
def serving(lab: Instance, containers: dict[str, str]) -> Iterator[Platform]:
    """The platform, with its API on loopback."""
    platform = Platform(lab, containers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(platform.machines())

        def do_POST(self) -> None:
            self._answer(platform.make(json.loads(self.rfile.read(int(self.headers["Content-Length"])))))

        def do_DELETE(self) -> None:
            name = self.path.rpartition("/")[2]
            found = [one for one in platform.machines() if one["name"] == name]
            if not found:
                self.send_error(404)
                return
            platform.lose(platform.containers[found[0]["address"]])
            self._answer({})

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self, body: object) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    platform.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield platform
    finally:
        server.shutdown()
        server.server_close()
