"""The parts of the laboratory that need none."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from docker.errors import APIError
from requests.exceptions import ReadTimeout

from lab import engine, engine_client, faults, image, lifecycle, node_container, packages, s3
from lab import nodes as lab_nodes
from lab.errors import LabError
from lab.instance import Instance
from lab.stack import Stack, settings
from recovery.settings import load

SOURCES = """# a comment
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://other.example/tools
Suites: stable
Components: main
Signed-By: /usr/share/keyrings/other.gpg
"""


def test_the_machines_own_debian_sources_serve_another_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUORUM_APT_SOURCES", raising=False)
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "debian.sources").write_text(SOURCES)
    found = packages.sources("trixie", tmp_path)
    assert "Suites: trixie trixie-updates" in found
    assert "other.example" not in found


def test_a_machine_without_debian_sources_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUORUM_APT_SOURCES", raising=False)
    with pytest.raises(LabError, match="debian-archive keyring"):
        packages.sources("bookworm", tmp_path)


def test_images_of_different_engines_are_different_images() -> None:
    for told in (image.reference, image.recipe_hash):
        assert len({told(version) for version in image.ENGINES}) == len(image.ENGINES)


@pytest.mark.parametrize("octet", [0, 169, 255])
def test_octets_that_no_lab_can_have_are_refused(octet: int, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="not usable"):
        Instance(octet, tmp_path)


@pytest.mark.parametrize("managers", [1, 3, 5, 7, 9])
def test_the_labs_stack_file_passes_the_products_own_check(tmp_path: Path, managers: int) -> None:
    stack = Stack(Instance(80, tmp_path), "x", tmp_path / "Pulumi.x.yaml")
    stack.file.write_text("encryptionsalt: kept\n")
    stack.write(settings(stack.instance, managers=managers, workers=20))
    made = load(stack.file)
    assert (len(made.managers), len(made.workers)) == (managers, 20)
    assert yaml.safe_load(stack.file.read_text())["encryptionsalt"] == "kept"


def test_a_command_that_does_not_end_says_how_far_it_came(tmp_path: Path) -> None:
    stack = Stack(Instance(80, tmp_path), "x", tmp_path / "Pulumi.x.yaml")
    with pytest.raises(LabError, match=r"no end within 1 s; it said:\nhalf\nand a word"):
        stack._run(["sh", "-c", "echo half; echo and a word >&2; exec sleep 60"], timeout=1)


def test_labs_side_by_side_come_and_go(tmp_path: Path) -> None:
    def come_and_go(octet: int) -> None:
        lab = Instance(octet, tmp_path / "base")
        for _ in range(300):
            lifecycle._make_root(lab)
            (lab.root / lifecycle._MARK).touch()
            lifecycle._remove_root(lab)

    with ThreadPoolExecutor() as pool:
        list(pool.map(come_and_go, (78, 82)))
    assert not (tmp_path / "base").exists()


class Node:
    """A container whose engine says what it says so many times before it does anything."""

    def __init__(self, says: str, times: int) -> None:
        self.status, self.known, self.left, self.says = "running", "running", times, says

    def reload(self) -> None:
        self.status = self.known

    def do(self, status: str) -> None:
        self.left -= 1
        if self.left >= 0:
            raise APIError(self.says)
        self.known = status

    def pause(self) -> None:
        self.do("paused")

    def kill(self) -> None:
        self.do("exited")

    def remove(self, **_: Any) -> None:
        self.do("gone")


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Instance:
    monkeypatch.setattr(engine_client, "_PAUSE_SECONDS", 0.01)
    return Instance(80, tmp_path)


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> dict[str, Node]:
    """The nodes that there are."""
    made: dict[str, Node] = {}

    @contextmanager
    def connect(*_: Any) -> Iterator[None]:
        yield None

    monkeypatch.setattr(faults, "connect", connect)
    monkeypatch.setattr(node_container, "find", lambda _, name: made.get(name))
    monkeypatch.setattr(node_container, "has_volume", lambda *_: False)
    return made


def test_a_node_that_does_not_freeze_at_once_is_frozen_again(lab: Instance, nodes: dict[str, Node]) -> None:
    nodes["a"] = Node("OCI runtime pause failed: unable to freeze: unknown", 3)
    faults.pause(lab, ["a"])
    assert nodes["a"].known == "paused"


def test_a_node_that_does_not_die_at_once_is_killed_again(lab: Instance, nodes: dict[str, Node]) -> None:
    nodes["a"] = Node("tried to kill container, but did not receive an exit event", 3)
    faults.kill(lab, ["a"])
    assert nodes["a"].known == "exited"


@pytest.mark.parametrize("says", ["did not receive an exit event", "removal of container a is already in progress"])
def test_a_node_that_does_not_go_at_once_is_removed_again(lab: Instance, nodes: dict[str, Node], says: str) -> None:
    nodes["a"] = Node(says, 3)
    node_container.destroy(SimpleNamespace(), "a")
    assert nodes["a"].known == "gone"


def test_what_an_engine_refuses_for_another_reason_is_not_tried_again(lab: Instance, nodes: dict[str, Node]) -> None:
    nodes["a"] = Node("cgroups not configured for container", 1)
    with pytest.raises(APIError):
        faults.pause(lab, ["a"])
    assert nodes["a"].left == 0


def test_an_engine_that_is_busy_for_ever_is_an_error(
    lab: Instance, nodes: dict[str, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_client, "BUSY_SECONDS", 0.1)
    nodes["a"] = Node("unable to freeze", 10**6)
    with pytest.raises(APIError):
        faults.pause(lab, ["a"])


def test_an_engine_that_does_not_answer_in_time_is_an_error_of_the_labs(
    lab: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("docker.DockerClient", lambda **_: SimpleNamespace(close=lambda: None))
    with pytest.raises(LabError, match=r"waiting: .*late"), engine_client.connect(lab, "waiting"):
        raise ReadTimeout("late")


@contextmanager
def late(server: socket.socket, seconds: float, answer: bytes) -> Iterator[None]:
    """The server answers each that asks it, after so many seconds."""

    def answering() -> None:
        while True:
            try:
                asking, _ = server.accept()
            except OSError:
                return
            with asking:
                time.sleep(seconds)
                asking.sendall(answer)

    thread = Thread(target=answering, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


FINE = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def test_an_engine_that_is_slow_to_answer_runs(tmp_path: Path) -> None:
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "sock"))
    server.listen()
    with late(server, 2.2, FINE):
        assert engine.ping(tmp_path / "sock")
    assert not engine.ping(tmp_path / "sock")


def test_an_s3_server_that_is_slow_to_answer_runs(lab: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    monkeypatch.setattr(Instance, "host_link", IPv4Address("127.0.0.1"))
    monkeypatch.setattr(s3, "S3_PORT", server.getsockname()[1])
    with late(server, 1.2, FINE):
        assert s3._healthy(lab)
    assert not s3._healthy(lab)


def test_an_sshd_that_is_slow_to_answer_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    server, connect = socket.create_server(("127.0.0.1", 0)), socket.create_connection
    here = server.getsockname()
    monkeypatch.setattr(socket, "create_connection", lambda _, timeout: connect(here, timeout))
    with late(server, 1.2, b"SSH-2.0-late"):
        lab_nodes._wait_for_ssh("a", "10.80.1.11", time.monotonic() + 3)


def test_a_node_with_an_ipv6_address_has_an_ipv4_address_of_the_same_zone_and_number() -> None:
    lab = Instance(88)
    assert node_container.beside(lab, "fd00:88::2:12") == "10.88.2.12"
    assert ip_address("fd00:88::2:12") in lab.subnet6
    assert ip_address("fd00:89::2:12") not in lab.subnet6
