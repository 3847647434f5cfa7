"""A machine that has no Docker engine is in no swarm. One whose engine is down may be."""

import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from recovery.survey import bare
from recovery.swarm.model import LocalState, NodeReport, Reach
from recovery.swarm.on_node import OnNode
from tests.unit import factories as make

A = make.settings().managers[0]
SEEN = NodeReport(A, Reach.NO_ENGINE, "no socket", on_node=OnNode(lacks=("docker", "age")))


def judged(seen: NodeReport, said: str = "bare\n", status: int = 0) -> tuple[NodeReport, list[Any]]:
    asked: list[Any] = []

    def run(argv: list[str], **_: Any) -> Any:
        asked.append(argv)
        return SimpleNamespace(status=status, stdout=said.encode())

    return bare.judged(SimpleNamespace(run=run), seen, "/var/lib/docker"), asked  # type: ignore[arg-type]


def test_a_machine_without_an_engine_is_in_no_swarm() -> None:
    found, _ = judged(SEEN)
    assert (found.reach, found.state, found.known_lost) == (Reach.ANSWERS, LocalState.INACTIVE, True)
    assert found.detail == "it has no Docker engine"


@pytest.mark.parametrize(
    "seen",
    [
        replace(SEEN, raft=True),
        replace(SEEN, node_id="id"),
        replace(SEEN, on_node=OnNode(lacks=("age",))),
        replace(SEEN, on_node=None),
        replace(SEEN, reach=Reach.NO_RIGHTS),
    ],
    ids=["it has a log", "it has a certificate", "it has docker", "nobody looked", "no rights"],
)
def test_any_trace_of_an_engine_is_no_loss_and_nothing_more_is_asked(seen: NodeReport) -> None:
    found, asked = judged(seen)
    assert (found, asked) == (seen, [])


@pytest.mark.parametrize(("said", "status"), [("", 0), ("bare", 1), ("a banner\nbare", 0)])
def test_only_a_plain_answer_counts(said: str, status: int) -> None:
    assert judged(SEEN, said, status)[0] == SEEN


def look(folder: Path, root: Path) -> str:
    done = subprocess.run(
        ["/bin/sh", "-c", bare.NOTHING, "bare", str(root), str(root / "proc")],
        env={"PATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


def test_the_look_finds_a_program_a_process_or_a_swarm_directory(tmp_path: Path) -> None:
    tools, root = tmp_path / "bin", tmp_path / "root"
    tools.mkdir()
    root.mkdir()
    if not Path("/var/lib/docker/swarm").exists():
        assert look(tools, root) == "bare"
    (root / "swarm").mkdir()
    assert look(tools, root) == ""
    (root / "swarm").rmdir()
    (tools / "dockerd").write_text("#!/bin/sh\n")
    (tools / "dockerd").chmod(0o755)
    assert look(tools, root) == ""
    (tools / "dockerd").unlink()
    (root / "proc" / "12").mkdir(parents=True)
    (root / "proc" / "12" / "comm").write_text("containerd-shim\n")
    if not Path("/var/lib/docker/swarm").exists():
        assert look(tools, root) == "bare"
    (root / "proc" / "12" / "comm").write_text("dockerd\n")
    assert look(tools, root) == ""
