"""Backups: which copies are at fault, and what becomes of a manager whose engine was stopped for one."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from recovery.cluster import Cluster
from recovery.copies import snapshot, taking
from recovery.copies.manifest import Manifest, Proof, Verdict
from recovery.errors import (
    CommandFailed,
    DamagedCopy,
    EngineError,
    ProofFailed,
    Refused,
    RequorumError,
    Silent,
    StoreError,
    UnopenedCopy,
)
from recovery.onnode import copying
from recovery.operations import backup, restart
from recovery.operations.backup import BackupResult
from recovery.swarm.key_file import UnlockKey
from recovery.swarm.machines import Node
from recovery.swarm.model import LocalState
from recovery.swarm.workload import Inventory
from tests.unit import factories as make
from tests.unit.swarm.test_key_file import unlock_key

OF = make.settings()
NODE = OF.managers[0]
KEY = unlock_key()


def proof(verdict: Verdict) -> Manifest:
    return make.manifest(proof=Proof(verdict, make.NOW))


@pytest.mark.parametrize(
    ("outcome", "at_fault"),
    [
        (BackupResult("a", manifest=proof(Verdict.PROVEN)), False),
        (BackupResult("a", manifest=proof(Verdict.UNPROVEN)), False),
        (BackupResult("a", manifest=proof(Verdict.FAILED)), True),
        (BackupResult("a", error=DamagedCopy("copying", "torn", remedy="")), True),
        (BackupResult("a", error=UnopenedCopy("copying", "sealed to others", remedy="")), False),
        (BackupResult("a", error=CommandFailed("copying", "disk full", remedy="")), False),
    ],
)
def test_no_engine_is_stopped_for_what_another_copy_would_not_mend(outcome: BackupResult, at_fault: bool) -> None:
    assert outcome.at_fault is at_fault


class Stopped:
    """A manager of an autolocked swarm, whose engine needs the key once it was stopped, and runs again ``after`` so many seconds.

    Its copy takes half of them; it is about to be stopped at first, and then cut off for a while.
    """

    def __init__(self, fault: BaseException | None, after: float) -> None:
        self.fault, self.after = fault, after
        self.done: list[str] = []
        self.clock = 0.0
        self.begun: float | None = None
        self.refused = 1
        """Times that it takes no key yet."""

    @property
    def state(self) -> LocalState:
        if self.begun is None or "unlocked" in self.done:
            return LocalState.ACTIVE
        passed = (self.clock - self.begun) / self.after if self.after else 1
        if 0.2 < passed < 0.4:
            raise Silent("connecting", "nothing answers", remedy="")
        return LocalState.ACTIVE if passed <= 0.2 else LocalState.INACTIVE if passed < 1 else LocalState.LOCKED

    def shell(self, argv: list[str], **_: object) -> SimpleNamespace:
        if argv[0] != "systemctl":
            return SimpleNamespace()
        assert argv[-1] == f"{copying.GUARD}.timer"
        return SimpleNamespace(status=0 if self.begun is not None and self.clock - self.begun < self.after / 2 else 3)

    def sleep(self, seconds: float) -> None:
        self.clock += seconds

    # The engine

    autolocked = True

    def info(self) -> dict[str, Any]:
        swarm = {"ControlAvailable": True, "NodeID": "id-manager-a", "Cluster": {"ID": make.CLUSTER}}
        return {"Swarm": swarm, "ServerVersion": "20.10.24"}

    def options(self) -> dict[str, Any]:
        return {}

    def inventory(self) -> Inventory:
        assert self.state is LocalState.ACTIVE, "a locked manager lists nothing"
        return Inventory({}, 1)

    def settle(self) -> None:
        pass

    def unlock_key(self) -> UnlockKey:
        assert self.state is LocalState.ACTIVE, "a locked manager tells no key"
        return KEY

    def unlock(self, key: UnlockKey) -> None:
        assert key == KEY
        if self.refused:
            self.refused -= 1
            raise EngineError("unlocking", "context deadline exceeded", remedy="")
        self.done.append("unlocked")

    # The program on the node

    def run(self, _: object, verb: str, *arguments: str) -> dict[str, Any]:
        assert (verb, arguments[1]) == ("take", copying.COLD)
        self.begun = self.clock
        if self.fault:
            raise self.fault
        return {"folder": "/var/lib/requorum/copies/x", "certificate": ""}


def no_certificate(_: str) -> tuple[str, str]:
    """Ends a copy once it lies on its node."""
    raise DamagedCopy("reading a certificate", "there is none", remedy="")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Has the manager's engine, shell and survey be those of ``Stopped``."""

    def made(fault: BaseException | None, after: float) -> Stopped:
        manager = Stopped(fault, after)
        shell = SimpleNamespace(node=NODE, run=manager.shell)
        opened = type("Opened", (), {"__enter__": lambda _: shell, "__exit__": lambda *_: None})()
        for module in (backup, snapshot):
            monkeypatch.setattr(module, "Engine", lambda _: manager)
        monkeypatch.setattr(Cluster, "shell", lambda *_, **__: opened)
        monkeypatch.setattr(taking, "Shell", lambda *_, **__: opened)
        monkeypatch.setattr(backup, "ask", lambda _: SimpleNamespace(state=manager.state, detail=""))
        monkeypatch.setattr(backup, "monotonic", lambda: manager.clock)
        monkeypatch.setattr(backup, "sleep", manager.sleep)
        monkeypatch.setattr(snapshot.program, "run", manager.run)
        monkeypatch.setattr(snapshot, "identity", no_certificate)
        monkeypatch.setattr(restart, "may_halt", lambda *_: None)
        monkeypatch.setattr(restart, "await_back", lambda *_, **__: manager.done.append("waited for"))
        monkeypatch.setattr(taking, "Escrow", lambda *_: SimpleNamespace(keep=lambda _: manager.done.append("kept")))
        return manager

    return made


@pytest.mark.parametrize("after", [0.0, 2.0, copying.STOPPED_SECONDS + 20.0])
@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (None, "there is none"),
        (KeyboardInterrupt("stop"), "stop"),
        (Silent("taking a copy", "the connection was lost", remedy=""), "the connection was lost"),
        (CommandFailed("taking a copy", "disk full", remedy=""), "disk full"),
        (DamagedCopy("taking a copy", "torn", remedy=""), "torn"),
    ],
)
def test_a_locked_manager_is_unlocked_with_the_key_of_before_also_where_its_copy_failed(
    world: Any, fault: BaseException | None, why: str, after: float
) -> None:
    """However long its engine takes: after an interrupt it is the guard on the node that starts it."""
    manager = world(fault, after)
    with pytest.raises((RequorumError, KeyboardInterrupt), match=why):
        backup._take_cold(Cluster(OF), SimpleNamespace(store=None), NODE, print)  # type: ignore[arg-type]
    assert manager.done == ["kept", "unlocked", "waited for"]


class Interrupted(ThreadPoolExecutor):
    """Somebody presses Ctrl-C while what was submitted is under way."""

    def submit(self, *work: Any, **named: Any) -> Any:
        super().submit(*work, **named)
        raise KeyboardInterrupt


def test_an_interrupt_while_the_engine_is_waited_for_does_not_leave_it_locked(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = world(None, 2.0)
    monkeypatch.setattr(backup, "ThreadPoolExecutor", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        backup._take_cold(Cluster(OF), SimpleNamespace(store=None), NODE, print)  # type: ignore[arg-type]
    assert manager.done == ["kept", "unlocked"]


def test_a_manager_whose_engine_stays_down_is_not_back(world: Any) -> None:
    manager = world(None, 1e9)
    with pytest.raises(ProofFailed, match=r"code: node-not-back$"):
        backup._take_cold(Cluster(OF), SimpleNamespace(store=None), NODE, print)  # type: ignore[arg-type]
    assert manager.done == ["kept"]


@pytest.fixture
def cold(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Has cold copies of three managers, manager-a the leader, end as it is told; what is given then are those tried."""

    def made(**ends: RequorumError) -> list[str]:
        tried: list[str] = []

        def take(_: object, __: object, node: Node, ___: object) -> tuple[None, Manifest]:
            tried.append(node.name)
            if error := ends.get(node.name.replace("-", "_")):
                raise error
            return None, proof(Verdict.PROVEN)

        store = SimpleNamespace(require_lock=lambda: None)
        monkeypatch.setattr(Cluster, "catalog", lambda _: SimpleNamespace(store=store))
        monkeypatch.setattr(Cluster, "hold", lambda *_, **__: nullcontext())
        monkeypatch.setattr(backup, "_order", lambda _: (list(OF.managers), "manager-a"))
        monkeypatch.setattr(backup, "_take_cold", take)
        return tried

    return made


ALL = [node.name for node in OF.managers]


@pytest.mark.parametrize("error", [DamagedCopy, CommandFailed, StoreError, Refused])
def test_a_cold_copy_that_fails_keeps_no_other_from_being_taken(cold: Any, error: type[RequorumError]) -> None:
    tried = cold(manager_b=error("copying", "no", remedy=""))
    found = {outcome.manager: outcome.error for outcome in backup.backup_cold(Cluster(OF), ALL, say=print)}
    assert tried == list(found) == ["manager-b", "manager-c", "manager-a"]
    assert [name for name, fault in found.items() if fault] == ["manager-b"]


def test_after_a_manager_that_is_not_back_no_engine_is_stopped_and_each_is_told_why(cold: Any) -> None:
    tried = cold(manager_c=ProofFailed("copying", "it is locked", remedy=""))
    found = {outcome.manager: outcome.error for outcome in backup.backup_cold(Cluster(OF), ALL, say=print)}
    assert tried == ["manager-b", "manager-c"]
    assert list(found) == ["manager-b", "manager-c", "manager-a"]
    assert isinstance(found["manager-a"], Refused)
    assert "manager-c is not back" in str(found["manager-a"])


def test_where_no_cold_copy_may_be_taken_the_hot_one_is_what_there_is(
    cold: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hot = [BackupResult(name, manifest=proof(Verdict.FAILED)) for name in ALL]
    monkeypatch.setattr(backup, "backup", lambda *_, **__: iter(hot))
    cold(manager_c=ProofFailed("copying", "it is locked", remedy=""))
    said: list[str] = []
    found = {outcome.manager: outcome for outcome in backup.backup_or_cold(Cluster(OF), say=said.append)}
    assert found.keys() == set(ALL)
    assert found["manager-a"] is hot[0]
    assert "manager-c is not back" in said[-1], "why, is said"
    assert isinstance(found["manager-c"].error, ProofFailed)
    assert found["manager-b"].manifest == proof(Verdict.PROVEN)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("unprinted", [manager.name for manager in OF.managers])
def test_it_ends_when_its_lines_cannot_be_printed(monkeypatch: pytest.MonkeyPatch, unprinted: str) -> None:
    """As in `requorum copies take | head -1`."""
    taken: list[str] = []

    def take_from(_: object, __: object, node: Node, *, copied: Callable[[], None]) -> tuple[None, None, None]:
        taken.append(node.name)
        copied()
        return None, None, None

    def say(line: str) -> None:
        if unprinted in line:
            raise BrokenPipeError

    monkeypatch.setattr(backup, "_order", lambda _: (list(OF.managers), OF.managers[-1].name))
    monkeypatch.setattr(backup, "take_from", take_from)
    monkeypatch.setattr(
        Cluster, "catalog", lambda _: SimpleNamespace(store=SimpleNamespace(require_lock=list, notes=()))
    )
    with pytest.raises(BrokenPipeError):
        list(backup.backup(Cluster(OF), say=say))
    assert sorted(taken) == [manager.name for manager in OF.managers if manager.name != unprinted]
