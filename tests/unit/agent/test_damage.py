"""A round whose disk, settings or copies are damaged: each is told, and keeps nothing else back."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recovery.agent import order as agent_order
from recovery.agent.config import METRICS_FILE
from recovery.agent.state import AGAIN, DONE, FAILED, State
from recovery.copies import copy, snapshot
from tests.unit.agent.world import CONFIG, ESCROWED, KEY, SEALED, World, backlog, of_copies


def test_a_full_disk_is_told_and_leaves_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snapshot, "take", full)
    assert world.run() == FAILED
    assert "No space left" in world.state.failure
    assert not list((world.folder / "spool").iterdir())
    monkeypatch.setattr(snapshot, "take", world.take)
    world.later(agent_order.pause(1))
    assert world.run() == DONE


DAMAGE: dict[str, Callable[[Path], object]] = {
    "an archive that is torn": lambda folder: (folder / "archive").write_bytes(b"sea"),
    "one that is another": lambda folder: (folder / "archive").write_bytes(b"SEALED"),
    "none": lambda folder: (folder / "archive").unlink(),
    "a manifest that is torn": lambda folder: (folder / "manifest.json").write_text("{"),
    "no manifest": lambda folder: (folder / "manifest.json").unlink(),
    "a note that is torn": lambda folder: (folder / "note.json").write_text("{"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_copy_is_set_aside_and_told_and_keeps_nothing_back(
    world: World, damage: Callable[[Path], object]
) -> None:
    with world.without_s3():
        world.run()
        world.change()
        world.run()
    newest, other = world.waiting
    damage(newest.folder)
    world.later(agent_order.pause(9))
    assert world.run() in (AGAIN, DONE)
    names = [key for key in world.stored() if key.endswith("manifest.json")]
    assert copy.of(other.manifest, "").manifest_key in names
    assert copy.of(newest.manifest, "").manifest_key not in names
    assert (world.taken, len(names)) == (3, 2), "what was lost is copied again"
    assert (world.folder / "damaged" / newest.folder.name).is_dir()
    assert not world.waiting


def test_a_copy_of_another_release_stays_and_is_told_and_its_swarm_is_copied_again(world: World) -> None:
    backlog(world, 2)
    newest, _ = world.waiting
    written = newest.folder / "manifest.json"
    written.write_text(json.dumps({**json.loads(written.read_text()), "format": 99}))
    world.later(agent_order.pause(9))
    for _ in range(2):
        assert world.run() == AGAIN
        assert (world.taken, len(of_copies(world.stored()))) == (3, 4), "once, and what else waits is stored"
        assert "format 99" in world.state.failure
        assert world.state.faults["store"].endswith("code: unknown-format")
        assert f"rm -r {newest.folder}" in world.state.faults["store"]
        assert newest.archive.read_bytes() == SEALED
    shutil.rmtree(newest.folder)
    assert world.run() == DONE
    assert (world.taken, world.state.failure) == (3, "")


@pytest.mark.parametrize("unread", ["manifest.json", "archive"])
def test_a_copy_that_cannot_be_read_for_once_stays_and_is_told_and_then_stored(
    world: World, monkeypatch: pytest.MonkeyPatch, unread: str
) -> None:
    backlog(world, 2)
    (_, older), opened = world.waiting, Path.open

    def broken(path: Path, *given: Any, **named: Any) -> Any:
        if path == older.folder / unread:
            raise OSError(5, "Input/output error")
        return opened(path, *given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", broken)
        assert world.run() == AGAIN
        assert f"{older.folder.name} in the spool: Input/output error" in world.state.failure
        assert world.state.faults["store"].endswith("code: disk-failed")
    assert older in world.waiting
    assert world.run() == DONE
    assert (world.taken, world.state.failure, len(of_copies(world.stored()))) == (2, "", 4)


def test_a_copy_is_on_the_disk_before_it_counts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.key = KEY
    done: list[str] = []
    real_sync, real_rename = os.fsync, Path.rename

    def sync(opened: int) -> None:
        done.append(Path(f"/proc/self/fd/{opened}").readlink().name)
        real_sync(opened)

    def rename(path: Path, to: Path) -> Path:
        done.append(f"rename {path.suffix}")
        return real_rename(path, to)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "rename", rename)
    with world.without_s3():
        world.run()
    before, after = done[: done.index("rename .new")], done[done.index("rename .new") + 1 :]
    assert {"archive", "manifest.json", "note.json", "unlock-keys", Path(ESCROWED).name} < set(before)
    assert before[-1].endswith(".new")
    assert after[0] == "spool"


def test_a_state_that_cannot_be_written_is_told_and_keeps_nothing_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world.without_s3():
        world.run()
    world.config = replace(CONFIG, metrics=world.folder)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(State, "write", full)
    assert world.run() == FAILED
    assert of_copies(world.stored()) == ["manifest.json", "zst.age"]
    assert 'requorum_agent_failing{cluster="lab",manager="manager-a"} 1.0' in (world.folder / METRICS_FILE).read_text()
    world.change()
    assert world.run() == FAILED
    assert world.taken == 1, "what would not be remembered is not tried"


def test_metrics_that_cannot_be_written_are_told(world: World) -> None:
    world.config = replace(CONFIG, metrics=world.folder / "missing")
    assert world.run() == FAILED
    assert of_copies(world.stored()) == ["manifest.json", "zst.age"]


def test_settings_that_cannot_be_used_are_told(world: World) -> None:
    bucket = replace(CONFIG.buckets[0], encryption="customer", key_file=world.folder / "missing")
    world.config = replace(CONFIG, buckets=(bucket,))
    assert world.run() == FAILED
    assert "No such file" in world.state.failure
    world.config = CONFIG
    assert world.run() == DONE
    assert world.state.failure == ""


def test_an_error_that_is_none_of_ours_is_told_before_it_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("SWMKEY-1-secret")

    monkeypatch.setattr(snapshot, "take", broken)
    with pytest.raises(KeyError):
        world.run()
    assert "KeyError" in world.state.failure
    assert world.state.faults["round"].endswith("code: agent-crashed")
    assert "secret" not in str(world.state)
