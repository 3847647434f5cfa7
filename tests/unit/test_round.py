"""A round of the agent, with an engine and a copy that are made up, and S3 that is not: what it leaves in each case."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recovery import lease, site, snapshot
from recovery.agent import round as rounds
from recovery.agent.config import Config
from recovery.agent.round import AGAIN, DONE, DUE, FAILED, Round
from recovery.agent.state import State
from recovery.errors import Refused, SettingError, StoreSilent
from recovery.keyfile import UnlockKey
from recovery.manifest import Manifest, Proof, Verdict
from recovery.onnode import api
from tests.unit import factories as make
from tests.unit.test_agent import holdings

OF = make.settings()
KEY = UnlockKey("SWMKEY-1-wBHuRZZ0gWzOlm8jSYGxPGh5dQVTTbGLxkbTLzWZhqg")
PREFIX = "requorum/lab/"
FIRST, SECOND = "a", "c"
"""Node IDs, in the order in which they copy."""


class World:
    """One manager: what its engine says, what a copy would be, and its folder."""

    def __init__(self, folder: Path, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.bucket, self.patch = folder, bucket, monkeypatch
        self.data = folder / "docker"
        self.node, self.version, self.verdict, self.key = FIRST, 1, Verdict.PROVEN, None
        self.taken, self.state = 0, State()
        monkeypatch.setattr(api, "ask", self.ask)
        monkeypatch.setattr(api, "holdings", lambda _: holdings())
        monkeypatch.setattr(snapshot, "take", self.take)
        monkeypatch.setattr(Round, "_seal", lambda _, key, to: to.write_text(key.fingerprint))

    def ask(self, _: Path, __: str, what: str) -> Any:
        info = {"DockerRootDir": str(self.data), "Swarm": {"NodeID": self.node}}
        return info if what == "/info" else {"ID": "swarm", "Version": {"Index": self.version}}

    def take(
        self, shell: Any, sealed: Path, *, recipients: tuple[str, ...], keep: Callable[[UnlockKey], None]
    ) -> Manifest:
        assert recipients == CONFIG.recipients
        if self.key:
            keep(self.key)
        sealed.write_bytes(b"sealed")
        self.taken += 1
        at = datetime.now(UTC)
        return make.manifest(shell.node.name, taken=at, proof=Proof(self.verdict, at, "" if self.proves else "torn"))

    @property
    def proves(self) -> bool:
        return self.verdict is Verdict.PROVEN

    def run(self) -> int:
        done = Round(CONFIG, self.folder, self.state)
        status = done.run()
        self.state, self.waiting = done.state, done.waiting
        return status

    def stored(self) -> list[str]:
        return sorted(entry.key.removeprefix(PREFIX) for entry in self.bucket.objects.all())

    @contextmanager
    def without_s3(self) -> Iterator[None]:
        def silent(*_: object, **__: object) -> None:
            raise StoreSilent("reading", "it cannot be reached", remedy="wait")

        with self.patch.context() as patch:
            patch.setattr(lease, "hold", silent)
            yield


CONFIG = Config(
    cluster="lab",
    name="manager-a",
    address=OF.managers[0].address,
    buckets=tuple(replace(bucket, write_only=True) for bucket in OF.backup.sites),
    recipients=("age1one",),
)


@pytest.fixture
def world(tmp_path: Path, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, bucket, monkeypatch)


def of_copies(keys: list[str]) -> list[str]:
    return [key.rsplit(".", 2)[-2] + "." + key.rsplit(".", 1)[-1] for key in keys if key.startswith("manager-a/")]


def test_a_change_is_copied_stored_and_noted(world: World) -> None:
    assert world.run() == DONE
    assert of_copies(world.stored()) == ["manifest.json", "zst.age"]
    noted = json.loads(world.bucket.Object(f"{PREFIX}agent/mark.json").get()["Body"].read())
    assert noted["fingerprint"] == world.state.fingerprint != ""
    assert not world.waiting
    assert world.state.failure == ""
    assert world.state.proven == world.state.taken > 0


def test_when_nothing_changed_s3_is_not_even_asked(world: World) -> None:
    assert world.run() == DONE
    with world.without_s3():
        assert world.run() == DONE
    assert world.taken == 1


def test_a_copy_that_is_due_is_taken_though_nothing_changed(world: World) -> None:
    world.run()
    (world.folder / DUE).touch()
    assert world.run() == DONE
    assert world.taken == 2
    assert world.run() == DONE
    assert world.taken == 2


def test_without_s3_a_copy_waits_and_is_stored_once(world: World) -> None:
    with world.without_s3():
        assert world.run() == AGAIN
        assert world.run() == AGAIN
    assert (world.taken, len(world.waiting)) == (1, 1)
    assert "cannot be reached" in world.state.failure
    assert world.run() == DONE
    assert (world.taken, len(world.waiting), world.state.failure) == (1, 0, "")
    assert of_copies(world.stored()) == ["manifest.json", "zst.age"]


def test_without_s3_only_the_first_copies_and_whoever_is_due(world: World) -> None:
    world.node = SECOND
    with world.without_s3():
        assert world.run() == AGAIN
        assert world.taken == 0
        (world.folder / DUE).touch()
        assert world.run() == AGAIN
    assert world.taken == 1


def test_another_manager_waits_for_the_first_and_copies_when_that_does_not(world: World) -> None:
    world.run()
    world.version, world.node, before = 2, SECOND, world.state
    world.state = State()
    assert world.run() == AGAIN, "a copy has come since it last looked"
    assert world.taken == 1
    assert world.run() == DONE
    assert world.taken == 2
    assert world.state.fingerprint != before.fingerprint


def test_what_another_manager_copied_is_known(world: World) -> None:
    world.run()
    world.node, world.state = SECOND, State()
    assert world.run() == DONE
    assert world.taken == 1
    assert world.state.fingerprint


def test_while_another_copies_it_is_tried_again_later(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise Refused("copying", "another is at it", remedy="wait")

    monkeypatch.setattr(lease, "hold", refused)
    assert world.run() == AGAIN
    assert (world.taken, world.state.failure) == (0, "")


def test_a_copy_that_is_not_proven_is_stored_and_not_noted(world: World) -> None:
    world.verdict = Verdict.FAILED
    assert world.run() == DONE
    assert of_copies(world.stored()) == ["manifest.json", "zst.age"]
    assert "agent/mark.json" not in world.stored()
    assert "FAILED its proof" in world.state.failure


def test_without_a_leader_nothing_is_copied_and_nothing_lost(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with world.without_s3():
        world.run()
    monkeypatch.setattr(
        api, "holdings", lambda _: (_ for _ in ()).throw(api.Refused("the swarm does not have a leader"))
    )
    assert world.run() == FAILED
    assert (world.taken, len(world.waiting)) == (1, 1)
    assert "does not have a leader; the copies made so far are kept" in world.state.failure


def test_while_a_restore_is_not_proven_nothing_is_copied(world: World) -> None:
    (world.data / "swarm").mkdir(parents=True)
    (world.data / "swarm" / ".requorum").write_text("swarm-copy")
    assert world.run() == FAILED
    assert world.taken == 0
    assert "a restore of it is under way" in world.state.failure


def test_an_unlock_key_is_in_escrow_once(world: World) -> None:
    world.key = KEY
    world.run()
    assert f"unlock-keys/{KEY.fingerprint}.age" in world.stored()
    written = world.bucket.Object(PREFIX + KEY.escrowed).last_modified
    world.version = 2
    world.run()
    assert world.bucket.Object(PREFIX + KEY.escrowed).last_modified == written
    assert world.state.key == KEY.fingerprint


def test_an_unlock_key_that_nobody_could_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"escrow\.recipients"):
        Round(CONFIG, tmp_path, State())._seal(KEY, tmp_path / "key")


def test_a_full_disk_is_told_and_leaves_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snapshot, "take", full)
    assert world.run() == FAILED
    assert "No space left" in world.state.failure
    assert not list((world.folder / "spool").iterdir())
    monkeypatch.setattr(snapshot, "take", world.take)
    assert world.run() == DONE


def test_the_newest_copy_is_stored_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with world.without_s3():
        world.run()
        world.version = 2
        world.run()
    sent: list[datetime] = []
    real = rounds.copy.store

    def store(*given: Any) -> Any:
        sent.append(given[2].taken)
        return real(*given)

    monkeypatch.setattr(rounds.copy, "store", store)
    assert world.run() == DONE
    assert sent == sorted(sent, reverse=True)
    assert len(sent) == 2
    assert sent[0] - sent[1] < timedelta(minutes=1)


def test_a_clock_that_is_wrong_is_told_until_it_is_set(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time that a copy bears is this clock's, and which copy is the newest goes by that."""
    wrong = timedelta(minutes=6)
    monkeypatch.setattr(site, "skew", lambda _, __: wrong)
    assert world.run() == DONE
    assert "the clock here is 360 s ahead of the main site's" in world.state.failure
    wrong, world.version = -wrong, 2
    assert world.run() == DONE
    assert "the clock here is 360 s behind the main site's" in world.state.failure
    wrong, world.version = timedelta(minutes=4), 3
    assert world.run() == DONE
    assert not world.state.failure
