"""One manager's world: an engine and a copy that are made up, and S3 that is not."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from recovery.agent import run as agent_run
from recovery.agent import state as states
from recovery.agent.config import Config
from recovery.agent.run import Run
from recovery.agent.spool import Entry, Spool
from recovery.agent.state import State
from recovery.copies import copy, snapshot, storing
from recovery.copies.manifest import Manifest, Proof, Verdict
from recovery.errors import Refused, StoreSilent
from recovery.onnode import api
from recovery.s3 import lease
from recovery.s3.site import Site
from recovery.swarm.key_file import UnlockKey
from tests.unit import factories as make
from tests.unit.agent.swarms import holdings

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


def of_copies(keys: list[str]) -> list[str]:
    return [key.rsplit(".", 2)[-2] + "." + key.rsplit(".", 1)[-1] for key in keys if key.startswith("manager-a/")]


def refused(*_: object, **__: object) -> None:
    raise Refused("copying", "manager-b is still at it", remedy="wait")


def backlog(world: World, copies: int) -> None:
    """So many copies that wait, each of another swarm, the last one of it as it is."""
    with world.without_s3():
        for _ in range(copies):
            world.change()
            world.run()


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
