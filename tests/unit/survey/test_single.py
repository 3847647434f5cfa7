"""The scripts of a look at one manager, run by a real shell; and when its log is tried."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from recovery.errors import Refused
from recovery.node import data_root
from recovery.node.shell import Output
from recovery.node.ssh import Shell
from recovery.survey import single
from recovery.swarm.machines import Node
from recovery.swarm.model import LocalState, NodeReport, Reach
from recovery.swarm.on_node import OnNode
from recovery.swarm.survivor import Survivor
from recovery.swarm.wal import Position
from tests.unit import factories as make

HOST = Node(name="host", address=single.UNKNOWN, role="manager", ssh_address="host")
ME = "node-me"
CERTIFICATE = "certificates/swarm-node.crt"


def run(argv: Sequence[str], **_: Any) -> Output:
    done = subprocess.run(argv, capture_output=True)
    return Output(done.stdout, done.stderr.decode(), done.returncode)


SHELL = cast("Shell", SimpleNamespace(node=HOST, run=run))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(data_root, "of", lambda _: str(tmp_path))
    put(tmp_path, f"swarm/{CERTIFICATE}", make.certificate(ME, make.CLUSTER).decode())
    return tmp_path


def put(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_address_others_and_what_lies_beside_are_read_from_the_directory(root: Path) -> None:
    put(
        root,
        "swarm/state.json",
        f'[{{"node_id":"{ME}","addr":"10.0.0.1:2377"}},\n{{"node_id":"b","addr":"10.0.0.2:2377"}}]',
    )
    put(root, "swarm/docker-state.json", '{"DataPathAddr":"10.1.0.1"}')
    put(root, "swarm.saved-abc.tar.zst", "")
    at = single.place(SHELL, None)
    assert (at.node.address, at.node.data_path_address, at.node.dial) == (
        IPv4Address("10.0.0.1"),
        IPv4Address("10.1.0.1"),
        "host",
    )
    assert (at.others, at.beside) == (("10.0.0.2",), (f"{root}/swarm.saved-abc.tar.zst",))


def test_a_repaired_directory_lacks_the_engines_file_and_the_newest_one_that_it_replaced_has_it(root: Path) -> None:
    for number in (1, 2):
        put(root, f"swarm.before-{number}/docker-state.json", f'{{"AdvertiseAddr":"10.0.0.{number}:2377"}}')
        os.utime(root / f"swarm.before-{number}/docker-state.json", (number, number))
    assert single.place(SHELL, None).node.address == IPv4Address("10.0.0.2")


def test_an_address_that_no_file_tells_is_the_operators_to_give(root: Path) -> None:
    with pytest.raises(Refused, match=r"--advertise-addr(?s:.*)code: bad-argument"):
        single.place(SHELL, None)
    assert single.place(SHELL, IPv4Address("10.0.0.7")).node.address == IPv4Address("10.0.0.7")


def test_a_host_without_a_swarm_directory_has_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        monkeypatch.setattr(data_root, "of", lambda _, folder=folder: str(folder))
        assert single.place(SHELL, None) == single.Place(replace(HOST), (), (), str(folder))


def test_an_archive_is_kept_once_whole_and_for_root_alone(root: Path) -> None:
    put(root, "copy", "archive")
    put(root, "swarm.saved-old.tar.zst.part", "what a killed run left")
    keep = ["sh", "-c", single.KEEP, "keep", str(root), str(root / "copy"), "abc"]
    for _ in range(2):
        assert run(keep).status == 0
        put(root, "copy", "another")
    kept = root / "swarm.saved-abc.tar.zst"
    assert (kept.read_text(), kept.stat().st_mode & 0o777) == ("archive", 0o600)
    assert sorted(path.name for path in root.glob("swarm.saved-*")) == [kept.name]


MANAGER = replace(make.leaderless(make.settings().managers[0]), on_node=OnNode())
LOST = ("10.0.0.2",)


@pytest.mark.parametrize(
    ("report", "others", "answers", "tried", "kept"),
    [
        (MANAGER, (), False, True, False),
        (replace(MANAGER, damage="a wrong checksum"), (), False, True, True),
        (MANAGER, LOST, False, True, False),
        (MANAGER, LOST, True, False, False),
        (replace(MANAGER, full="0 MiB are free"), (), False, False, False),
        (replace(MANAGER, on_node=OnNode(lacks=("zstd",))), (), False, False, False),
        (replace(MANAGER, state=LocalState.LOCKED), (), False, False, False),
        (replace(MANAGER, state=LocalState.LOCKED), LOST, False, True, False),
        (replace(MANAGER, state=LocalState.LOCKED, damage="torn"), (), False, True, True),
        (replace(MANAGER, reach=Reach.NO_ENGINE), (), False, False, False),
        (replace(MANAGER, reach=Reach.NO_ENGINE, damage="it holds no entry"), (), False, True, True),
        (make.manager(MANAGER.node, make.settings().nodes), LOST, False, False, False),
        (make.worker(MANAGER.node), (), False, False, False),
    ],
)
def test_a_log_is_tried_where_a_new_cluster_may_have_to_be_forced_from_it(
    report: NodeReport, others: tuple[str, ...], answers: bool, tried: bool, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Survivor("host", Position(2, 9, 9))
    monkeypatch.setattr(single, "ask", lambda *_, **__: report)
    monkeypatch.setattr(single, "answering", lambda _, of: of if answers else ())
    monkeypatch.setattr(single, "tried", lambda *_: log)
    monkeypatch.setattr(single, "keep", lambda *_: "the safety copy")
    seen = single.look(
        SHELL, single.Place(HOST, others, (), "/srv/docker"), lambda _: pytest.fail("no key is asked for")
    )
    assert (seen.survivor is log, bool(seen.kept), seen.root) == (tried, kept, "/srv/docker")
