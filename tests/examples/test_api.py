"""The example driver of an HTTP API, against an API on loopback. `tests/lab/test_driver.py` runs it with real machines."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from components.hosts.driver import presence
from tests.examples.declared import module

NAME = "lab-10-77-1-11"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, dict[str, Any]]]:
    """The machines of an API, by name."""
    machines: dict[str, dict[str, Any]] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, list(machines.values()))

        def do_POST(self) -> None:
            wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            machines[wanted["name"]] = {**wanted, "id": "7", "state": "running"}
            self._answer(200, machines[wanted["name"]])

        def do_DELETE(self) -> None:
            gone = machines.pop(self.path.rpartition("/")[2], None)
            self._answer(200 if gone else 404, {})

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self, status: int, body: object) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("MACHINES_API", f"http://127.0.0.1:{server.server_port}")
    yield machines
    server.shutdown()
    server.server_close()


def test_a_machine_is_made_found_lost_and_removed(asked: dict[str, dict[str, Any]]) -> None:
    api = module("api", "machines")
    provider, driver = api.MachineProvider(), api.Api("lab")
    made = provider.create({"name": NAME, "address": "10.77.1.11", "zone": "a", "user_data": "secret"})
    assert asked[NAME]["user_data"] == "secret"
    assert made.outs == {"name": NAME, "address": "10.77.1.11"}
    assert provider.read(made.id, made.outs).id == "7"
    assert presence(driver, ["10.77.1.11"]) == ["10.77.1.11 running"]
    asked[NAME]["state"] = "exited"
    assert presence(driver, ["10.77.1.11"]) == ["10.77.1.11 stopped"]
    driver.fence(NAME)
    assert presence(driver, ["10.77.1.11"]) == ["10.77.1.11 gone"]
    assert not provider.read(made.id, made.outs).id
    provider.delete(made.id, made.outs)


def test_only_another_address_is_another_machine() -> None:
    provider = module("api", "machines").MachineProvider()
    olds = {"name": NAME, "address": "10.77.1.11"}
    assert not provider.diff("7", olds, {**olds, "zone": "b", "user_data": "another"}).changes
    assert provider.diff("7", olds, {**olds, "address": "10.77.1.12"}).replaces == ["address"]


def test_an_api_that_fails_says_nothing(asked: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MACHINES_API", "http://127.0.0.1:1")
    with pytest.raises(Exception, match="refused"):
        presence(module("api", "machines").Api("lab"), ["10.77.1.11"])
