"""A round of the agent, with an engine and a copy that are made up, and S3 that is not: what it leaves in each case."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import time
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from recovery.agent import metrics
from recovery.agent import order as agent_order
from recovery.agent import run as agent_run
from recovery.agent import run as rounds
from recovery.agent import state as states
from recovery.agent.config import Config
from recovery.agent.run import AGAIN, DONE, DUE, FAILED, Run
from recovery.agent.spool import Entry, Spool
from recovery.agent.state import State
from recovery.copies import copy, snapshot, storing
from recovery.copies.manifest import Manifest, Proof, Verdict
from recovery.errors import CommandFailed, Refused, SettingError, StoreError, StoreSilent
from recovery.onnode import api
from recovery.s3 import lease
from recovery.s3 import site as s3_site
from recovery.s3.site import Site
from recovery.swarm.key_file import UnlockKey
from tests.unit import factories as make
from tests.unit.agent.test_agent import holdings

OF = make.settings()
KEY = UnlockKey("SWMKEY-1-wBHuRZZ0gWzOlm8jSYGxPGh5dQVTTbGLxkbTLzWZhqg")
PREFIX = "requorum/lab/"
SEALED = b"sealed"
FIRST, SECOND = "a", "c"
"""Node IDs, in the order in which they copy."""


class World:
    """One manager: what its engine says, what a copy would be, and its folder."""

    def __init__(self, folder: Path, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.bucket, self.patch = folder, bucket, monkeypatch
        self.data = folder / "docker"
        self.node, self.version, self.verdict, self.key = FIRST, 1, Verdict.PROVEN, None
        self.taken, self.config = 0, CONFIG
        self.meanwhile: list[Callable[[], None]] = []
        """What happens while the next copies are taken."""
        monkeypatch.setattr(api, "ask", self.ask)
        monkeypatch.setattr(api, "holdings", lambda _: holdings())
        monkeypatch.setattr(snapshot, "take", self.take)
        monkeypatch.setattr(Run, "_seal", lambda _, key, to: to.write_text(key.fingerprint))

    def ask(self, _: Path, __: str, what: str) -> Any:
        info = {"DockerRootDir": str(self.data), "Swarm": {"NodeID": self.node}}
        return info if what == "/info" else {"ID": "swarm", "Version": {"Index": self.version}}

    def take(
        self, shell: Any, sealed: Path, *, recipients: tuple[str, ...], keep: Callable[[UnlockKey], None]
    ) -> Manifest:
        assert recipients == CONFIG.recipients
        if self.key:
            keep(self.key)
        sealed.write_bytes(SEALED)
        self.taken += 1
        if self.meanwhile:
            self.meanwhile.pop(0)()
        at = datetime.now(UTC)
        return make.manifest(
            shell.node.name,
            taken=at,
            proof=Proof(self.verdict, at, "" if self.proves else "torn"),
            size=len(SEALED),
            sha256=hashlib.sha256(SEALED).hexdigest(),
            key_fingerprint=self.key.fingerprint if self.key else None,
        )

    @property
    def proves(self) -> bool:
        return self.verdict is Verdict.PROVEN

    def run(self) -> int:
        return Run(self.config, self.folder).run()

    @property
    def state(self) -> State:
        return states.read(self.folder / states.FILE)

    @state.setter
    def state(self, state: State) -> None:
        state.write(self.folder / states.FILE)

    @property
    def waiting(self) -> tuple[Entry, ...]:
        return Spool(self.folder / "spool", copies=9, size=1 << 20).entries()

    def change(self) -> None:
        self.version += 1

    def later(self, seconds: float) -> None:
        """As if that had gone by since the last try."""
        self.state = replace(self.state, tried_at=self.state.tried_at - seconds)

    def stored(self) -> list[str]:
        return sorted(entry.key.removeprefix(PREFIX) for entry in self.bucket.objects.all())

    @contextmanager
    def without_s3(self) -> Iterator[None]:
        def silent(_: Site, verb: str) -> None:
            raise StoreSilent(verb, "it cannot be reached", remedy="wait")

        with self.patch.context() as patch:
            patch.setattr(Site, "doing", silent)
            yield


CONFIG = Config(
    cluster="lab",
    name="manager-a",
    address=OF.managers[0].address,
    buckets=tuple(replace(bucket, write_only=True) for bucket in OF.backup.sites),
    recipients=("age1one",),
)
ESCROWED = "unlock-keys/" + KEY.escrowed(CONFIG.escrow)


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


def refused(*_: object, **__: object) -> None:
    raise Refused("copying", "manager-b is still at it", remedy="wait")


def test_while_another_copies_it_is_tried_again_later(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease.Leases, "hold", refused)
    assert world.run() == AGAIN
    assert (world.taken, world.state.failure) == (0, "")


def test_a_copy_that_is_not_proven_is_stored_and_not_noted(world: World) -> None:
    world.verdict = Verdict.FAILED
    assert world.run() == AGAIN
    assert of_copies(world.stored()) == ["manifest.json", "zst.age"]
    assert "agent/mark.json" not in world.stored()
    assert "FAILED its proof" in world.state.failure


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.UNPROVEN])
def test_what_is_not_proven_is_tried_again_less_and_less_often(world: World, verdict: Verdict) -> None:
    world.verdict = verdict
    for tries in (1, 2, 3):
        world.run()
        assert world.run() == AGAIN
        assert world.taken == world.state.tries == tries, "not before its time, however often it is woken"
        world.later(agent_order.pause(tries))
    world.change()
    world.run()
    assert (world.taken, world.state.tries) == (4, 1), "what is new is tried at once"
    (world.folder / DUE).touch()
    world.run()
    assert world.taken == 5, "and so is what is due"
    world.verdict = Verdict.PROVEN
    world.later(agent_order.pause(9))
    assert world.run() == DONE
    assert (world.taken, world.state.failure) == (6, "")


def test_what_is_not_proven_without_s3_is_not_tried_on_and_on_either(world: World) -> None:
    world.verdict = Verdict.UNPROVEN
    with world.without_s3():
        for _ in range(3):
            assert world.run() == AGAIN
    assert world.taken == 1


def test_a_copy_that_breaks_off_is_not_tried_on_and_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    (world.folder / DUE).touch()
    tries = []

    def broken(*_: object, **__: object) -> None:
        tries.append(1)
        raise CommandFailed("taking a copy", "no memory", remedy="wait", node="manager-a")

    monkeypatch.setattr(snapshot, "take", broken)
    assert world.run() == FAILED
    assert world.run() == AGAIN
    assert len(tries) == 1
    assert "no memory" in world.state.failure, "a round that only waits does not make good for it"
    monkeypatch.setattr(snapshot, "take", world.take)
    world.later(agent_order.pause(1))
    assert world.run() == DONE
    assert world.state.failure == ""


@pytest.mark.parametrize("broken", [False, True], ids=["not proven", "broken off"])
def test_a_try_that_took_long_is_followed_by_a_rest_too(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    clock, tries = [time()], list[float]()

    def take(*args: Any, **named: Any) -> Manifest:
        clock[0] += 100.0
        tries.append(clock[0])
        if broken:
            raise CommandFailed("taking a copy", "no end within 100 s", remedy="wait", node="manager-a")
        return world.take(*args, **named)

    for module in (rounds, states):
        monkeypatch.setattr(module, "time", lambda: clock[0])
    monkeypatch.setattr(snapshot, "take", take)
    world.verdict = Verdict.UNPROVEN
    world.run()
    clock[0] += agent_order.pause(1) - 1
    assert world.run() == AGAIN
    assert len(tries) == 1
    clock[0] += 1
    world.run()
    assert len(tries) == 2


def test_while_it_rests_another_managers_copy_will_do(world: World) -> None:
    world.verdict = Verdict.UNPROVEN
    world.run()
    failed = world.state
    world.verdict, world.node, world.state = Verdict.PROVEN, SECOND, State()
    world.run()
    world.node, world.state = FIRST, failed
    assert world.run() == DONE
    assert world.taken == 2
    assert "could not prove" in world.state.failure, "its own copies are still not proven"


def leaderless(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: object) -> None:
        raise api.Refused("the swarm does not have a leader")

    monkeypatch.setattr(api, "holdings", refused)


def test_without_a_leader_nothing_is_copied_and_what_waits_is_stored(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world.without_s3():
        world.run()
    leaderless(monkeypatch)
    assert world.run() == FAILED
    assert (world.taken, len(world.waiting)) == (1, 0)
    assert of_copies(world.stored()) == ["manifest.json", "zst.age"]
    assert "does not have a leader" in world.state.failure
    assert world.state.faults["engine"].endswith("code: engine-refused")
    assert world.run() == FAILED


def test_while_a_restore_is_not_proven_nothing_is_copied(world: World) -> None:
    (world.data / "swarm").mkdir(parents=True)
    (world.data / "swarm" / ".requorum").write_text("swarm-copy")
    assert world.run() == FAILED
    assert world.taken == 0
    assert world.state.faults["engine"].endswith("code: recovery-under-way")


class Sent:
    """The copies that are stored, in turn: their places in the order in which they were taken, and what holds then."""

    def __init__(self, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self._bucket = bucket
        self._taken, self.leased = list[datetime](), list[bool]()
        self.after: dict[int, Callable[[], None]] = {}
        """What happens once so many are stored."""
        self._write = storing.write
        monkeypatch.setattr(agent_run, "write", self.write)

    def write(self, site: Site, of: copy.Copy, manifest: Manifest, archive: Path) -> None:
        self._taken.append(manifest.taken)
        held = [entry.get()["Body"].read() for entry in self._bucket.objects.filter(Prefix=f"{PREFIX}agent/lease.json")]
        self.leased.append(held not in ([], [lease.FREE]))
        self._write(site, of, manifest, archive)
        self.after.pop(len(self._taken), lambda: None)()

    @property
    def order(self) -> list[int]:
        return [sorted(self._taken).index(taken) for taken in self._taken]


@pytest.fixture
def sent(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> Sent:
    return Sent(bucket, monkeypatch)


def backlog(world: World, copies: int) -> None:
    """So many copies that wait, each of another swarm, the last one of it as it is."""
    with world.without_s3():
        for _ in range(copies):
            world.change()
            world.run()


def test_the_lease_is_held_for_the_copy_of_the_swarm_as_it_is_alone(world: World, sent: Sent) -> None:
    backlog(world, 2)
    with world.without_s3():
        (world.folder / DUE).touch()
        world.run()
    assert world.run() == DONE
    assert (sent.order, sent.leased) == ([2, 1, 0], [True, False, False])


def test_what_waits_is_stored_while_another_has_the_lease(world: World, sent: Sent) -> None:
    backlog(world, 2)
    with world.patch.context() as patch:
        patch.setattr(lease.Leases, "hold", refused)
        assert world.run() == AGAIN
    assert (sent.order, len(world.waiting)) == ([0], 1), "not what is to be noted"
    assert world.run() == DONE
    assert (sent.order, sent.leased) == ([0, 1], [False, True])
    assert "agent/mark.json" in world.stored()


def test_what_waits_does_not_hold_up_a_copy_that_is_wanted(world: World, sent: Sent) -> None:
    backlog(world, 3)
    sent.after = {2: world.change}
    assert world.run() == DONE
    assert (sent.order, world.taken) == ([2, 1, 3, 0], 4)


def test_who_takes_no_copy_asks_for_no_lease(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each one leaves versions in a bucket that keeps them."""
    assert world.run() == DONE
    world.change()
    world.verdict = Verdict.FAILED
    assert world.run() == AGAIN
    failed = world.state
    monkeypatch.setattr(lease.Leases, "hold", lambda *_, **__: pytest.fail("it asks"))
    assert world.run() == AGAIN
    world.version, world.node, world.state = 1, SECOND, State()
    assert world.run() == DONE
    assert failed.fingerprint == world.state.fingerprint


def test_an_unlock_key_is_stored_with_every_copy(world: World) -> None:
    world.key = KEY
    world.run()
    assert PREFIX + ESCROWED in [entry.key for entry in world.bucket.objects.all()]
    world.bucket.Object(PREFIX + ESCROWED).delete()
    world.change()
    world.run()
    assert ESCROWED in world.stored(), "such as after a change of bucket"


def test_an_unlock_key_is_locked_for_as_long_as_the_copy(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[str] = []
    real = Site.keep

    def keep(site: Site, key: str, content: bytes) -> None:
        kept.append(key)
        real(site, key, content)

    monkeypatch.setattr(Site, "keep", keep)
    world.key = KEY
    for _ in range(2):
        world.run()
        world.change()
    assert kept.count(PREFIX + ESCROWED) == 2
    assert kept[0] == PREFIX + ESCROWED, "before the copy that needs it"


def test_a_key_that_is_missing_keeps_its_copy_from_s3(world: World) -> None:
    world.key = KEY
    with world.without_s3():
        world.run()
    (world.waiting[0].folder / ESCROWED).unlink()
    world.run()
    assert "unlock key" in world.state.failure
    assert world.state.faults["copy"].endswith("code: copy-damaged")


def test_an_unlock_key_that_nobody_could_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"code: no-escrow-recipients$"):
        Run(CONFIG, tmp_path)._seal(KEY, tmp_path / "key")


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


def test_the_newest_copy_is_stored_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with world.without_s3():
        world.run()
        world.version = 2
        world.run()
    sent: list[datetime] = []
    real = storing.write

    def write(*given: Any) -> None:
        sent.append(given[2].taken)
        real(*given)

    monkeypatch.setattr(agent_run, "write", write)
    assert world.run() == DONE
    assert sent == sorted(sent, reverse=True)
    assert len(sent) == 2
    assert sent[0] - sent[1] < timedelta(minutes=1)


def test_a_clock_that_is_wrong_is_told_until_it_is_set(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time that a copy bears is this clock's, and which copy is the newest goes by that."""
    wrong = timedelta(minutes=6)
    monkeypatch.setattr(s3_site, "skew", lambda _, __: wrong)
    assert world.run() == DONE
    assert "this machine's clock is 360 s ahead of the main site's" in world.state.failure
    wrong, world.version = -wrong, world.version + 1
    assert world.run() == DONE
    assert "this machine's clock is 360 s behind the main site's" in world.state.failure
    wrong, world.version = timedelta(minutes=4), world.version + 1
    assert world.run() == DONE
    assert not world.state.failure


@pytest.fixture
def unlisted(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """S3 as it answers those who may not list: that a missing object is none of their business."""
    real = Site._content

    def content(site: Site, key: str, version: dict[str, str]) -> tuple[bytes, str]:
        try:
            return real(site, key, version)
        except ClientError as error:
            raise ClientError({"Error": {"Code": "AccessDenied"}}, "GetObject") from error

    monkeypatch.setattr(Site, "_content", content)
    return world


def test_with_credentials_that_may_not_list_the_first_copy_is_stored_too(unlisted: World) -> None:
    assert unlisted.run() == DONE
    assert of_copies(unlisted.stored()) == ["manifest.json", "zst.age"]


def test_an_operator_who_is_refused_is_told_so(unlisted: World) -> None:
    with pytest.raises(StoreError, match="AccessDenied"):
        Site(replace(CONFIG.buckets[0], write_only=False)).look("missing")


def test_what_changes_while_a_copy_is_taken_is_copied_in_the_same_run(world: World) -> None:
    world.meanwhile = [world.change, world.change]
    assert world.run() == DONE
    assert world.taken == 3


def test_who_gets_no_turn_for_long_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(lease.Leases, "hold", refused)
        assert world.run() == AGAIN
        world.state = replace(world.state, refused=world.state.refused - rounds.REFUSED_SECONDS)
        assert world.run() == AGAIN
        assert "manager-b is still at it" in world.state.failure
    assert world.run() == DONE
    assert (world.state.failure, world.state.refused) == ("", 0.0)


def test_a_failed_due_copy_stays_a_fault_until_a_copy_is_proven(world: World) -> None:
    world.run()
    world.verdict = Verdict.FAILED
    (world.folder / DUE).touch()
    world.run()
    assert world.run() == DONE, "nothing has changed"
    assert "FAILED its proof" in world.state.failure
    world.verdict = Verdict.PROVEN
    (world.folder / DUE).touch()
    world.run()
    assert world.state.failure == ""


class Sites:
    """A main and a second site; what is in `down` does not answer, what is in `refusing` answers that it will not."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.down: set[str] = set()
        self.refusing: set[str] = set()
        boto3.resource("s3", region_name="us-east-1").create_bucket(Bucket="others")
        world.config = replace(CONFIG, buckets=(*CONFIG.buckets, replace(CONFIG.buckets[0], name="others")))
        real = Site.doing

        @contextmanager
        def doing(site: Site, verb: str) -> Iterator[None]:
            if site.name in self.down:
                raise StoreSilent(verb, "it cannot be reached", remedy="wait")
            if site.name in self.refusing:
                raise StoreError(verb, "AccessDenied", remedy="allow it")
            with real(site, verb):
                yield

        world.patch.setattr(Site, "doing", doing)

    def copies(self, name: str) -> list[str]:
        found = boto3.resource("s3", region_name="us-east-1").Bucket("copies" if name == "main" else "others")
        return [entry.key for entry in found.objects.all() if "/manager-a/" in entry.key]

    def run(self) -> int:
        return self.world.run()


@pytest.fixture
def sites(world: World) -> Sites:
    return Sites(world)


@pytest.mark.parametrize(("broken", "other"), [("main", "second"), ("second", "main")])
@pytest.mark.parametrize("how", ["down", "refusing"])
def test_one_site_keeps_no_copy_from_the_other_and_gets_what_it_lacks(
    sites: Sites, broken: str, other: str, how: str
) -> None:
    getattr(sites, how).add(broken)
    for count in (1, 2):
        assert sites.run() == AGAIN
        assert len(sites.copies(other)) == 2 * count
        assert len(sites.world.waiting) == count
        sites.world.change()
    sites.world.version -= 1
    assert f"the {broken} site lacks 2 copies: " in sites.world.state.failure
    told = metrics.collected(sites.world.config, sites.world.state, sites.world.waiting)
    for name, count in ((broken, 2), (other, 0)):
        labels = {"cluster": "lab", "manager": "manager-a", "site": name}
        assert told.get_sample_value("requorum_agent_lacking_copies", labels) == count
    getattr(sites, how).clear()
    assert sites.run() == DONE
    assert len(sites.copies(broken)) == len(sites.copies(other)) == 4
    assert (sites.world.taken, sites.world.waiting, sites.world.state.failure) == (2, (), "")


def test_what_a_site_has_is_not_sent_there_again(sites: Sites, monkeypatch: pytest.MonkeyPatch) -> None:
    sites.down.add("main")
    sites.run()
    sent: list[str] = []
    real = storing.write

    def write(site: Site, *given: Any) -> None:
        sent.append(site.name)
        real(site, *given)

    monkeypatch.setattr(agent_run, "write", write)
    sites.run()
    sites.down.clear()
    sites.run()
    assert sent == ["main"]


def test_a_site_that_is_no_longer_in_the_settings_is_not_waited_for(sites: Sites) -> None:
    sites.down.add("second")
    sites.run()
    sites.world.config = CONFIG
    assert sites.run() == DONE
    assert (sites.world.waiting, sites.world.state.failure) == ((), "")


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
    assert 'requorum_agent_failing{cluster="lab",manager="manager-a"} 1.0' in (world.folder / metrics.FILE).read_text()
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


class Killed(BaseException):
    """The process is no more."""


class Death:
    """Kills a round before its n-th effect: a write to S3, or to the disk. A dead process has no effect any more."""

    def __init__(self, at: int, patch: pytest.MonkeyPatch) -> None:
        self.at, self.effects = at, 0
        of_s3 = [(Site, name) for name in ("_put", "upload")]
        of_disk = [(Path, name) for name in ("mkdir", "rename", "replace", "unlink", "write_bytes", "write_text")]
        for place, name in [*of_s3, *of_disk, (shutil, "rmtree")]:
            patch.setattr(place, name, self._mortal(getattr(place, name)))

    def _mortal(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def act(*given: Any, **named: Any) -> Any:
            self.effects += 1
            if self.effects > self.at:
                raise Killed
            return real(*given, **named)

        return act


@pytest.mark.parametrize("key", [None, KEY], ids=["", "autolocked"])
def test_killed_before_any_effect_the_next_round_ends_it(
    tmp_path: Path, bucket: Any, monkeypatch: pytest.MonkeyPatch, key: UnlockKey | None
) -> None:
    monkeypatch.setattr(lease, "STALE_SECONDS", 0.05)
    monkeypatch.setattr(lease, "PAUSE", 0.01)
    at, ended = 0, False
    while not ended:
        folder = tmp_path / str(at)
        folder.mkdir()
        bucket.objects.all().delete()
        with monkeypatch.context() as patch:
            world = World(folder, bucket, patch)
            world.key = key
            with monkeypatch.context() as mortal:
                Death(at, mortal)
                with suppress(Killed):
                    ended = world.run() == DONE
            of_s3 = world.stored()
            manifests = [name for name in of_s3 if name.endswith(".manifest.json")]
            assert all(name.replace(".manifest.json", ".tar.zst.age") in of_s3 for name in manifests), at
            world.later(agent_order.pause(1))
            assert world.run() == DONE, (at, world.state.failure)
            assert of_copies(world.stored()) == ["manifest.json", "zst.age"], at
            assert (ESCROWED in world.stored()) == bool(key)
            noted = json.loads(bucket.Object(f"{PREFIX}agent/mark.json").get()["Body"].read())
            assert noted["copy"] in "".join(world.stored())
            assert world.state.fingerprint == noted["fingerprint"]
            assert (list((folder / "spool").iterdir()), world.state.failure) == ([], "")
            assert not (folder / "damaged").exists()
        at += 1
    assert at > 12
