"""The scripts that put a repaired log in the place of a damaged one, run by a real shell; and what the survey then finds."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from recovery.copies import snapshot
from recovery.copies.snapshot import Staged
from recovery.errors import CommandFailed, ProofFailed
from recovery.node import data_root
from recovery.node.shell import Output
from recovery.node.ssh import Shell
from recovery.onnode import copying
from recovery.onnode.archive import KEY, OPENED, REPAIRED, WAL
from recovery.steps import swarm_directory
from recovery.survey import nodes
from recovery.survey.damage import UNIT
from tests.unit import factories as make
from tests.unit.copies.test_snapshot import CONTENT
from tests.unit.onnode.test_repair import harmed, place
from tests.unit.swarm.test_damage import log

A = make.settings().managers[0]
NOTED = "swarm/docker-state.json"


def run(
    argv: Sequence[str], *, stdin: bytes | None = None, check: bool = True, seconds: float = 0, stdout: Any = None
) -> Output:
    if UNIT in argv:
        return Output(b"ActiveState=failed\n", "", 0)
    done = subprocess.run(argv, input=stdin or b"", capture_output=True)
    if check and done.returncode:
        raise CommandFailed("running it", done.stderr.decode(), remedy="look", code="command-failed")
    return Output(done.stdout, done.stderr.decode(), done.returncode)


SHELL = cast("Shell", SimpleNamespace(node=A, run=run))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A manager whose log is damaged in its fourth entry."""
    monkeypatch.setattr(copying, "FOLDER", tmp_path / "copies")
    monkeypatch.setattr(data_root, "of", lambda _: str(tmp_path / "docker"))
    made = place(tmp_path / "docker", harmed(log(), 4))
    (made / NOTED).write_text("{}")
    return made


def repaired(root: Path) -> Staged:
    return snapshot.read_taken(A, copying.take(str(root), copying.REPAIRED), make.NOW)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("at_once", [swarm_directory.AT_ONCE, "raise SystemExit(1)"], ids=["at once", "in three moves"])
def test_the_repaired_directory_takes_the_place_and_the_damaged_one_is_kept(
    root: Path, monkeypatch: pytest.MonkeyPatch, at_once: str
) -> None:
    monkeypatch.setattr(swarm_directory, "AT_ONCE", at_once)
    damaged = content(root / "swarm")
    copy = repaired(root)
    swarm_directory.exchange(SHELL, copy, b"", damage=copy.cut)
    [kept] = root.glob("swarm.before-*")
    assert content(kept) == damaged
    now = content(root / "swarm")
    assert now.pop(REPAIRED) == b"a wrong checksum\n"
    assert now.keys() == damaged.keys() - {Path(NOTED).name, f"{WAL.removeprefix('swarm/')}0.tmp"}
    assert now[KEY.removeprefix("swarm/")] == CONTENT[KEY]
    assert not (root / "swarm.requorum").exists()


def test_a_key_file_that_was_opened_is_put_in_place_with_its_mark(root: Path) -> None:
    copy = repaired(root)
    swarm_directory.exchange(SHELL, copy, b"opened", damage=copy.cut)
    assert (root / KEY).read_bytes() == b"opened"
    assert (root / "swarm" / OPENED).exists()


def test_a_swarm_directory_that_is_a_mount_point_is_named(root: Path) -> None:
    if subprocess.run(["mount", "--bind", root / "swarm", root / "swarm"], capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        before, copy = content(root), repaired(root)
        with pytest.raises(ProofFailed, match="is a mount point") as refused:
            swarm_directory.exchange(SHELL, copy, b"", damage=copy.cut)
        assert "unmount it" in refused.value.remedy
        assert content(root) == before
    finally:
        subprocess.run(["umount", root / "swarm"], check=True)


def test_nothing_changes_where_not_every_file_arrives(root: Path) -> None:
    before, copy = content(root), repaired(root)
    Path(copy.folder / copying.ARCHIVE).write_bytes(b"torn")
    with pytest.raises(ProofFailed, match="code: restore-incomplete"):
        swarm_directory.exchange(SHELL, copy, b"", damage=copy.cut)
    assert content(root) == before


def test_the_survey_finds_the_damage_and_then_that_it_was_repaired(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the real script and the real program; an engine that is off says nothing."""

    def off(*_: Any, **__: Any) -> Any:
        raise nodes.EngineError("asking", "nothing answers", remedy="look", code="engine-silent")

    monkeypatch.setattr("recovery.node.engine.Engine", off)
    before = nodes.ask(SHELL)
    assert (before.raft, before.damage, before.halted, before.repaired) == (True, "a wrong checksum", True, "")
    copy = repaired(root)
    swarm_directory.exchange(SHELL, copy, b"", damage=copy.cut)
    after = nodes.ask(SHELL)
    assert (after.raft, after.damage, after.mended, after.full) == (True, "", "a wrong checksum", "")
    assert (after.node_id, after.cluster_id, after.ca_sha256) == (before.node_id, before.cluster_id, before.ca_sha256)
    assert after.node_id
    engine = cast("Any", SimpleNamespace(info=lambda: {"DockerRootDir": str(root)}))
    swarm_directory.forced(SHELL, engine)
    assert nodes.ask(SHELL).repaired == ""
