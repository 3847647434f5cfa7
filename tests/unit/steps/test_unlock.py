"""Autolock after a forced new cluster: switched on again where it was on, whoever died in between."""

import hashlib
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest
from requests.exceptions import ReadTimeout

from recovery import waiting
from recovery.cluster import Cluster
from recovery.copies.escrow import Escrow
from recovery.errors import DamagedKeyFile, ProofFailed
from recovery.node import data_root
from recovery.node.shell import Output
from recovery.onnode.archive import KEY, OPENED
from recovery.planning import steps
from recovery.planning.record import NOTHING
from recovery.steps import lock, swarm_directory, unlock, votes
from recovery.steps.run import Run
from recovery.swarm.key_file import is_locked
from recovery.swarm.model import LocalState, NodeReport
from tests.unit import factories as make
from tests.unit.planning.test_diagnosis import A, S
from tests.unit.swarm.test_key_file import key_file, unlock_key

SURVIVOR = make.leaderless(A)
UNLOCK = unlock_key()


class Here:
    """A shell on this machine."""

    def __init__(self, *_: object) -> None:
        self.node = A

    def __enter__(self) -> "Here":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", check: bool = True, **_: Any) -> Output:
        done = subprocess.run(argv, input=stdin, capture_output=True, check=check)
        return Output(done.stdout, done.stderr.decode(), done.returncode)


class Engine:
    """The engine of a new cluster."""

    def __init__(self, root: Path) -> None:
        self.root, self.autolocked = root, False

    def info(self) -> dict[str, str]:
        return {"DockerRootDir": str(self.root)}

    def set_options(self, options: Any) -> None:
        self.autolocked = options.autolock

    def unlock_key(self) -> str:
        return "a new key"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / KEY
    file.parent.mkdir(parents=True)
    file.write_bytes(key_file(UNLOCK))
    monkeypatch.setattr(data_root, "of", lambda _: str(tmp_path))
    monkeypatch.setattr(Run, "shell", Here)
    monkeypatch.setattr(Escrow, "opening", lambda *_, **__: UNLOCK)
    return tmp_path


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(Escrow, "keep", lambda _, key: found.append(key))
    return found


@pytest.mark.parametrize(
    ("wanted", "locked"), [(None, True), (True, True), (False, False)], ids=["unsaid", "wanted", "not wanted"]
)
def test_autolock_is_on_again_though_the_run_that_opened_the_key_file_was_killed(
    root: Path, kept: list[str], wanted: bool | None, locked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    of, engine = run(wanted), Engine(root)
    monkeypatch.setattr(lock, "Engine", lambda _: engine)
    unlock.open_key_file(of, steps.open_key_file(A.name))
    assert not is_locked((root / KEY).read_bytes())
    unlock.open_key_file(of, steps.open_key_file(A.name))  # the next run finds it open
    for _ in range(2):
        lock.lock_again(of, steps.lock(A.name))
        assert engine.autolocked is locked
    assert kept == ["a new key"] * 2 * locked
    assert not (root / "swarm" / OPENED).exists()


def test_a_swarm_that_was_not_autolocked_stays_so(root: Path, kept: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    (root / KEY).write_bytes(key_file())
    engine = Engine(root)
    monkeypatch.setattr(lock, "Engine", lambda _: engine)
    unlock.open_key_file(run(None), steps.open_key_file(A.name))
    lock.lock_again(run(None), steps.lock(A.name))
    assert not engine.autolocked
    assert not kept


@pytest.mark.parametrize("arrived", [0, 100])
def test_a_key_file_stays_if_the_connection_is_lost_before_all_of_the_new_one_has_arrived(
    root: Path, monkeypatch: pytest.MonkeyPatch, arrived: int
) -> None:
    before = (root / KEY).read_bytes()
    whole = Here.run
    monkeypatch.setattr(Here, "run", lambda shell, argv, *, stdin=b"": whole(shell, argv, stdin=stdin[:arrived]))
    with pytest.raises(subprocess.CalledProcessError):
        unlock.open_key_file(run(None), steps.open_key_file(A.name))
    assert (root / KEY).read_bytes() == before
    assert [file.name for file in (root / KEY).parent.iterdir()] == [Path(KEY).name], "no key is left beside it"
    assert not (root / "swarm" / OPENED).exists()


@pytest.mark.parametrize("locked", ["", OPENED])
def test_a_copy_that_is_put_in_place_opened_is_marked_for_that(tmp_path: Path, locked: str) -> None:
    file = tmp_path / "swarm.requorum" / KEY
    file.parent.mkdir(parents=True)
    file.write_bytes(b"key")
    argv = ["sh", "-c", swarm_directory.SWAP, "swap", str(tmp_path), swarm_directory.WHOLE, "a-copy", locked]
    Here().run(argv, stdin=f"{hashlib.sha256(b'key').hexdigest()}  {KEY}\n".encode())
    assert (tmp_path / KEY).read_bytes() == b"key"
    assert (tmp_path / "swarm" / OPENED).exists() is bool(locked)


@pytest.mark.parametrize("torn", [b"", key_file(UNLOCK)[:200]], ids=["empty", "cut"])
@pytest.mark.parametrize(
    "act",
    [
        lambda shell: unlock.require_key(Cluster(S), A),
        lambda shell: unlock.start(Cluster(S), shell, say=print),
        lambda shell: unlock.open_with(shell, SURVIVOR, lambda _: UNLOCK, say=print),
        lambda shell: unlock.is_under(shell, UNLOCK),
    ],
    ids=["require_key", "start", "open_with", "is_under"],
)
def test_a_torn_key_file_is_told_with_its_manager(
    root: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[[Any], object], torn: bytes
) -> None:
    (root / KEY).write_bytes(torn)
    monkeypatch.setattr(Cluster, "shell", Here)
    with pytest.raises(DamagedKeyFile, match=r"^manager-a: (?s:.*)code: key-file-unreadable$"):
        act(Here())
    assert (root / KEY).read_bytes() == torn


WAITS = [
    replace(SURVIVOR, state=LocalState.PENDING),
    SURVIVOR,
    make.manager(A, S.nodes, unreachable=["manager-b", "manager-c"]),
]
"""The engine is busy; it sees no leader; it sees one that has lost its quorum."""


class Unlocking:
    """Docker's API of an engine that has not seen a leader when the time to answer is over."""

    def unlock_swarm(self, _: str) -> None:
        raise ReadTimeout("Read timed out.")


@pytest.fixture
def unlocking(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in seconds, which passes only in sleep; what is waited for is not there until a test says so."""
    clock = [0.0]
    monkeypatch.setattr(Here, "engine_socket", lambda _: "here", raising=False)
    monkeypatch.setattr(docker, "APIClient", lambda **_: Unlocking())
    monkeypatch.setattr(waiting, "monotonic", lambda: clock[0])
    monkeypatch.setattr(waiting, "sleep", lambda _: clock.append(clock.pop() + 1))
    return clock


@pytest.mark.parametrize(
    "back", [make.manager(A, S.nodes), replace(make.worker(A), raft=False)], ids=["led", "a worker by now"]
)
def test_a_manager_that_was_unlocked_is_waited_for_until_it_takes_part(
    unlocking: list[float], monkeypatch: pytest.MonkeyPatch, back: NodeReport
) -> None:
    seen = iter([*WAITS, back])
    monkeypatch.setattr(unlock, "ask", lambda _: next(seen))
    unlock.start(Cluster(S), Here(), say=print)  # type: ignore[arg-type]
    assert unlocking == [len(WAITS)]


def test_a_manager_that_sees_no_leader_after_all_is_told(
    unlocking: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unlock, "ask", lambda _: WAITS[0])
    with pytest.raises(ProofFailed, match=r"after 75 s(?s:.*)pending(?s:.*)code: no-leader$"):
        unlock.start(Cluster(S), Here(), say=print)  # type: ignore[arg-type]
    assert votes.SECONDS < unlocking[0] < votes.SECONDS + 5


def run(wanted: bool | None) -> Run:
    """A run beside the survivor, under settings that want autolock on, off, or say nothing."""
    of = make.settings()
    made = Run(Cluster(of.model_copy(update={"swarm": replace(of.swarm, autolock=wanted)})), NOTHING, print)
    made.survey = make.survey([SURVIVOR])
    return made
