"""A look at a machine: this one, with programs and an engine of the test's own."""

import json
import os
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from threading import Thread
from typing import Any
from urllib.parse import unquote

import pytest

from recovery.node.reported import FORMS
from recovery.onnode import look
from recovery.onnode.look import disks, drbd, layers, machine, output, ports, services, units
from recovery.swarm import records
from recovery.swarm.limits import REFUSED, VXLAN
from tests.unit.onnode.test_space import program


class Engine:
    """An engine that answers what the test says, by the path of the request."""

    def __init__(self, path: Path) -> None:
        self.answers: dict[str, Any] = {}
        answers = self.answers

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = unquote(self.path)
                found = answers.get(asked)
                body = found if isinstance(found, bytes) else json.dumps(found).encode()
                self.send_response(404 if asked not in answers else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def address_string(self) -> str:
                return "test"

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingUnixStreamServer(str(path), Handler)
        Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    path = tmp_path / "engine.sock"
    made = Engine(path)
    yield path, made.answers
    made.server.shutdown()
    made.server.server_close()


def test_a_look_has_the_form_that_is_read(engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, answers = engine
    answers["/info"] = {"DockerRootDir": str(tmp_path), "Swarm": {"ControlAvailable": True}}
    answers |= {"/tasks": [], "/services": [], "/nodes": [], "/containers/json": []}
    answers['/containers/json?all=1&filters={"status":["exited","dead"]}'] = []
    monkeypatch.setattr(look, "ENGINE_SOCKET", str(path))
    monkeypatch.setattr(look, "SECONDS", 60.0)
    monkeypatch.setattr(layers, "WAIT_SECONDS", 0.0)
    found = json.loads(json.dumps(look.look({"node": "a", "peers": [], "port": 4789, "token": "x"})))
    assert records.typed(FORMS["look"], found).root == str(tmp_path)
    assert found["unseen"] == []


def test_a_part_that_takes_too_long_or_fails_costs_no_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail() -> Any:
        raise OSError("no such thing")

    monkeypatch.setattr(look, "ENGINE_SOCKET", str(tmp_path / "none"))
    monkeypatch.setattr(look, "SECONDS", 0.3)
    monkeypatch.setattr(units, "look", lambda: time.sleep(5))
    monkeypatch.setattr(drbd, "look", fail)
    monkeypatch.setattr(machine, "look", lambda _: {"memory": 1, "available": 1, "swap": 0, "swapped": 0})
    monkeypatch.setattr(disks, "look", lambda *_: [])
    monkeypatch.setattr(ports, "look", lambda *_: None)
    found = look.look({"node": "a", "peers": [], "port": 4789, "token": "x"})
    assert found["unseen"] == ["units: not within 0.3 s", "drbd: OSError: no such thing"]
    assert found["machine"]["memory"] == 1


def test_a_growing_layer_is_told_with_its_largest_file(
    engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, answers = engine
    folder = tmp_path / "diff"
    (folder / "tmp").mkdir(parents=True)
    grown = folder / "tmp" / "grown"
    grown.write_bytes(os.urandom(4096))
    answers["/containers/json"] = [{"Id": "c1"}, {"Id": "gone"}]
    answers["/containers/c1/json"] = {
        "Name": "/web.1.x",
        "GraphDriver": {"Data": {"UpperDir": str(folder)}},
        "Config": {"Labels": {layers.SERVICE: "web"}},
    }
    monkeypatch.setattr(layers.time, "sleep", lambda _: grown.write_bytes(os.urandom(8 << 20)))
    (found,) = layers.look(path)
    assert (found["name"], found["service"], found["folder"]) == ("web.1.x", "web", str(folder))
    assert found["grew"] >= 7 << 20
    assert found["files"][0]["path"] == "/tmp/grown"
    monkeypatch.setattr(layers.time, "sleep", lambda _: None)
    assert layers.look(path) == []


def test_a_layer_is_found_where_containerd_has_the_images(engine: Any) -> None:
    line = "1 0 0:1 / / rw shared:1 - overlay overlay rw,lowerdir=/a:/b,upperdir=/var/lib/containerd/fs/7/fs,workdir=/w"
    found = layers.UPPER.search(f"0 0 0:0 / /proc rw - proc proc rw\n{line}\n")
    assert found
    assert found[1] == "/var/lib/containerd/fs/7/fs"


def test_a_low_disk_is_told_with_what_takes_its_space(
    engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, answers = engine
    root = tmp_path / "docker"
    for name, size in (
        ("containers/abc/abc-json.log", 3 << 20),
        ("volumes/rows/_data/file", 9 << 20),
        ("volumes/reg/_data/f", 5 << 20),
        ("containers/abc/abc-json.log.1", 1 << 20),
        ("home/file", 2 << 20),
    ):
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.urandom(size))
    mounts = [{"Type": "volume", "Name": "reg"}]
    answers["/containers/json"] = [{"Id": "gone", "Image": "registry:2", "Mounts": mounts}]
    program(tmp_path, monkeypatch, "docker", "exit 1")
    monkeypatch.setattr(disks, "FOLDERS", ())
    monkeypatch.setattr(disks, "SYSTEM", (("files", str(root / "home")),))
    monkeypatch.setattr(disks, "is_low", lambda *_: True)
    for name in ("COUNT_SECONDS", "ONE_SECONDS"):
        monkeypatch.setattr(disks, name, 60.0)
    (found,) = disks.look(str(root), path)
    takes = [(one["kind"], one["of"].rpartition("/")[2]) for one in found["takes"]]
    assert takes == [
        ("volume", "rows"),
        ("registry", "reg"),
        ("log", "abc-json.log"),
        ("files", "home"),
        ("log", "abc-json.log.1"),
    ]
    monkeypatch.setattr(disks, "COUNT_SECONDS", 0.0)
    (found,) = disks.look(str(root), path)
    assert [(one["kind"], one["of"]) for one in found["takes"] if not one.get("counted", True)] == [
        ("registry", "reg"),
        ("volume", "rows"),
        ("files", str(root / "home")),
    ]


def test_failed_units_are_told_with_their_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = 'case "$1" in list-units) echo "report.service loaded failed failed A report";; *) echo Result=exit-code; echo ExecMainStatus=3;; esac'
    program(tmp_path, monkeypatch, "systemctl", listed)
    program(tmp_path, monkeypatch, "journalctl", "echo no such table")
    assert units.look() == [{"name": "report.service", "why": "exit-code, exit status 3", "lines": ["no such table"]}]


def test_a_program_that_is_missing_or_slow_prints_nothing() -> None:
    assert output.of("/no/such/program") == ""
    assert output.of("sleep", "5", seconds=0.05) == ""


def framed(stream: int, text: str) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(text).to_bytes(4, "big") + text.encode()


def task(state: str, *, error: str = "", node: str = "n1", wanted: str = "running") -> dict[str, Any]:
    status = {
        "State": state,
        "Timestamp": "2026-01-02T03:04:05.123456789Z",
        "Err": error,
        "ContainerStatus": {"ContainerID": "c1"},
    }
    return {"ID": f"t-{state}", "ServiceID": "s1", "NodeID": node, "DesiredState": wanted, "Status": status}


JUST_NOW = {"State": "pending", "Timestamp": f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M:%S}"}


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"Mode": {"Replicated": {}}}, True),
        ({"Mode": {"Global": {}}, "TaskTemplate": {"RestartPolicy": {"Condition": "any"}}}, True),
        ({"Mode": {"Replicated": {}}, "TaskTemplate": {"RestartPolicy": {"Condition": "on-failure"}}}, False),
        ({"Mode": {"ReplicatedJob": {}}}, False),
    ],
)
def test_a_task_that_ends_without_an_error_is_a_failure_only_where_swarm_starts_it_again(
    engine: Any, spec: dict[str, Any], told: bool
) -> None:
    path, answers = engine
    answers["/services"] = [{"ID": "s1", "Spec": {"Name": "web", **spec}}]
    answers["/tasks"], answers["/nodes"] = [task("complete", wanted="shutdown")], []
    assert bool(services.look(path)["services"][0]["failures"]) is told


def test_a_manager_tells_of_failed_and_waiting_tasks(engine: Any) -> None:
    path, answers = engine
    constraints = ["node.labels.disk==ssd"]
    spec = {
        "Name": "web",
        "Mode": {"Replicated": {"Replicas": 3}},
        "TaskTemplate": {"Placement": {"Constraints": constraints}},
    }
    answers["/services"] = [{"ID": "s1", "Spec": spec, "PreviousSpec": {}}]
    answers["/tasks"] = [
        task("failed", error="task: non-zero exit (3)"), task("running"), task("pending", error="no suitable node"),
        task("pending", error="old", wanted="shutdown"), task("pending"), task("new"), {**task("pending"), "Status": JUST_NOW},
        task("complete", wanted="shutdown"),
    ]  # fmt: skip
    answers["/nodes"] = [
        {"ID": "n1", "Spec": {"Role": "worker", "Labels": {"disk": "hdd"}}, "Description": {"Hostname": "one"}}
    ]
    found = services.look(path)
    (one,) = found["services"]
    assert (one["name"], one["replicas"], one["constraints"], one["rolls_back"]) == ("web", 3, constraints, False)
    assert one["waits"] == ["no reason is told", "no suitable node", "the swarm gives it no network, address or port"]
    assert one["runs_on"] == ["n1"]
    errors = {"task: non-zero exit (3)", "it ended with exit status 0, and swarm starts it again"}
    assert {failure["error"] for failure in one["failures"]} == errors
    assert one["failures"][0]["age"] > 0
    assert found["nodes"][0]["attributes"]["node.labels.disk"] == "hdd"


def test_a_task_on_a_node_that_is_down_does_not_run(engine: Any) -> None:
    """Swarm wants it to end, and hears nothing of it: its last state stays."""
    path, answers = engine
    answers["/services"] = [{"ID": "s1", "Spec": {"Name": "web", "Mode": {"Global": {}}}}]
    answers["/tasks"] = [task("running", node="n1", wanted="shutdown"), {**task("running", node="n2"), "Slot": 4}]
    answers["/nodes"] = []
    (one,) = services.look(path)["services"]
    assert (one["runs_on"], one["everywhere"]) == (["n2"], True)


def test_a_task_of_a_job_waits_as_one_of_a_service(engine: Any) -> None:
    path, answers = engine
    answers["/services"] = [{"ID": "s1", "Spec": {"Name": "report", "Mode": {"ReplicatedJob": {}}}}]
    answers["/tasks"], answers["/nodes"] = [task("pending", error="no suitable node", wanted="complete")], []
    assert services.look(path)["services"][0]["waits"] == ["no suitable node"]


@pytest.mark.parametrize(
    ("previous", "told"),
    [
        (None, False),
        (
            {
                "TaskTemplate": {"ContainerSpec": {"Image": "web:1"}, "ForceUpdate": 0},
                "Mode": {"Replicated": {"Replicas": 3}},
            },
            True,
        ),
        (
            {
                "TaskTemplate": {"ContainerSpec": {"Image": "web:1"}, "ForceUpdate": 0},
                "Mode": {"Replicated": {"Replicas": 0}},
            },
            False,
        ),
        (
            {
                "TaskTemplate": {"ContainerSpec": {"Image": "web:2"}, "ForceUpdate": 0},
                "Mode": {"Replicated": {"Replicas": 1}},
            },
            False,
        ),
        (
            {
                "TaskTemplate": {"ContainerSpec": {"Image": "web:2"}, "ForceUpdate": 8},
                "Mode": {"Replicated": {"Replicas": 3}},
            },
            False,
        ),
    ],
    ids=["never updated", "another image", "it was at 0", "it was scaled", "it was forced"],
)
def test_a_service_rolls_back_only_to_other_tasks(engine: Any, previous: Any, told: bool) -> None:
    path, answers = engine
    spec = {
        "TaskTemplate": {"ContainerSpec": {"Image": "web:2"}, "ForceUpdate": 1},
        "Mode": {"Replicated": {"Replicas": 3}},
    }
    began = f"{datetime.now(UTC) - timedelta(hours=2):%Y-%m-%dT%H:%M:%S}.123Z"
    answers["/services"] = [
        {"ID": "s1", "Spec": {"Name": "web", **spec}, "PreviousSpec": previous, "UpdateStatus": {"StartedAt": began}}
    ]
    answers["/tasks"], answers["/nodes"] = [{**task("failed"), "Slot": 2}], []
    (one,) = services.look(path)["services"]
    assert one["rolls_back"] is told
    assert 7199 <= one["since_update"] <= 7300
    assert one["failures"][0]["slot"] == 2


def test_the_last_lines_of_a_services_container_are_told_once(engine: Any) -> None:
    path, answers = engine
    listed = [
        {"Id": "c1", "Labels": {services.SERVICE: "web"}, "Status": "Exited (3) 1 second ago"},
        {"Id": "c0", "Labels": {services.SERVICE: "web"}, "Status": "Exited (3) 1 minute ago"},
        {"Id": "c2", "Labels": {services.SERVICE: "job"}, "Status": "Exited (0) 1 second ago"},
        {"Id": "c3", "Labels": {}, "Status": "Exited (1) 1 second ago"},
    ]
    answers['/containers/json?all=1&filters={"status":["exited","dead"]}'] = listed
    answers["/containers/c1/logs?stdout=1&stderr=1&tail=10"] = framed(1, "begins\n") + framed(2, "no database\n")
    answers["/containers/c2/logs?stdout=1&stderr=1&tail=10"] = b""
    assert services.ended(path) == [
        {"container": "c1", "service": "web", "lines": ["begins", "no database"]},
        {"container": "c2", "service": "job", "lines": []},
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="a raw socket needs root")
@pytest.mark.parametrize("version", [4, 6])
def test_packets_are_heard_on_a_port_that_another_program_has(
    version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "GOSSIP_PORT", 17946)
    address = {4: "127.0.0.1", 6: "::1"}[version]
    with socket.socket({4: socket.AF_INET, 6: socket.AF_INET6}[version], socket.SOCK_DGRAM) as other:
        other.bind((address, 17946))
        peers = [{"name": "a", "address": address, "path": address, "manager": False}]
        request = {"node": "a", "peers": peers, "port": 14789, "managers_port": 2377, "token": "t1"}
        found = ports.look(tmp_path / "none", request)
    assert found["ended"] - found["began"] < ports.WINDOW_SECONDS
    assert [(one["peer"], one["port"], one["large"]) for one in found["heard"]] == [
        ("a", 14789, False), ("a", 14789, True), ("a", 17946, False),
    ]  # fmt: skip
    assert [(one["peer"], one["port"], one["why"]) for one in found["untaken"]] == [("a", 17946, REFUSED)]
    assert found["large"] == ports.DEFAULT_MTU + VXLAN[version]


def test_a_manager_is_tried_at_the_port_of_its_swarm(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gossip, socket.create_server(("127.0.0.1", 0)) as api:
        monkeypatch.setattr(ports, "GOSSIP_PORT", gossip.getsockname()[1])
        peers = [{"name": "a", "address": "127.0.0.1", "path": "127.0.0.1", "manager": True}]
        assert ports._connections(peers, api.getsockname()[1]) == ([], set())


def test_the_rules_that_close_a_port_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = (
        "-A INPUT -p udp -m udp --dport 4789 -j DROP\\n-A INPUT -p tcp -m tcp --dport 22 -j DROP\\n"
        "-A INPUT -p tcp -m multiport --dports 80,2377 -j REJECT --reject-with icmp-port-unreachable\\n-A INPUT -j REQUORUM\\n"
    )
    program(tmp_path, monkeypatch, "iptables", f"printf '%b' '{listed}'")
    assert [line.split()[-1 if "DROP" in line else -3] for line in ports._rules(4, (2377, 7946, 4789))] == [
        "DROP",
        "REJECT",
    ]


def test_memory_and_raft_log_of_this_machine(tmp_path: Path) -> None:
    wal = tmp_path / "swarm" / "raft" / "wal-v3-encrypted"
    wal.mkdir(parents=True)
    (wal / "0.wal").write_bytes(b"x" * 100_000)
    found = machine.look(str(tmp_path))
    assert found["memory"] > found["available"] > 0
    assert found["wal"] >= 100_000
    assert found["snapshots"] == 0
