"""Backups: which copies are at fault, and what becomes of a manager whose engine was stopped for one."""

from types import SimpleNamespace
from typing import Any

import pytest

from recovery import backup, escalation, snapshot
from recovery.backup import Outcome
from recovery.errors import CommandFailed, DamagedCopy, RequorumError, UnopenedCopy
from recovery.keyfile import UnlockKey
from recovery.manifest import Manifest, Proof, Verdict
from recovery.model import Inventory, LocalState
from recovery.onnode import copying
from tests.unit import factories as make
from tests.unit.test_keyfile import unlock_key

OF = make.settings()
NODE = OF.managers[0]
KEY = unlock_key()


def proof(verdict: Verdict) -> Manifest:
    return make.manifest(proof=Proof(verdict, make.NOW))


@pytest.mark.parametrize(
    ("outcome", "at_fault"),
    [
        (Outcome("a", manifest=proof(Verdict.PROVEN)), False),
        (Outcome("a", manifest=proof(Verdict.UNPROVEN)), False),
        (Outcome("a", manifest=proof(Verdict.FAILED)), True),
        (Outcome("a", error=DamagedCopy("copying", "torn", remedy="")), True),
        (Outcome("a", error=UnopenedCopy("copying", "sealed to others", remedy="")), False),
        (Outcome("a", error=CommandFailed("copying", "disk full", remedy="")), False),
    ],
)
def test_no_engine_is_stopped_for_what_another_copy_would_not_mend(outcome: Outcome, at_fault: bool) -> None:
    assert outcome.at_fault is at_fault


class Stopped:
    """A manager of an autolocked swarm, whose engine needs the key once it was stopped."""

    def __init__(self, fault: RequorumError | None) -> None:
        self.fault = fault
        self.done: list[str] = []
        self.state = LocalState.ACTIVE

    # The engine

    autolocked = True

    def info(self) -> dict[str, Any]:
        swarm = {"ControlAvailable": True, "NodeID": "id-manager-a", "Cluster": {"ID": make.CLUSTER}}
        return {"Swarm": swarm, "ServerVersion": "20.10.24"}

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
        self.done.append("unlocked")
        self.state = LocalState.ACTIVE

    # The program on the node

    def run(self, _: object, verb: str, *arguments: str) -> dict[str, Any]:
        assert (verb, arguments[1]) == ("take", copying.COLD)
        self.state = LocalState.LOCKED
        if self.fault:
            raise self.fault
        return {"folder": "/var/lib/requorum/copies/x", "certificate": ""}


def no_certificate(_: str) -> tuple[str, str]:
    """Ends a copy once it lies on its node."""
    raise DamagedCopy("reading a certificate", "there is none", remedy="")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Has the manager's engine, shell and survey be those of ``Stopped``."""

    def made(fault: RequorumError | None) -> Stopped:
        manager = Stopped(fault)
        shell = SimpleNamespace(node=NODE, run=lambda *_, **__: None)
        opened = type("Opened", (), {"__enter__": lambda _: shell, "__exit__": lambda *_: None})()
        for module in (backup, snapshot):
            monkeypatch.setattr(module, "Engine", lambda _: manager)
        monkeypatch.setattr(backup, "Shell", lambda *_: opened)
        monkeypatch.setattr(backup, "ask", lambda _: SimpleNamespace(state=manager.state))
        monkeypatch.setattr(snapshot.program, "run", manager.run)
        monkeypatch.setattr(snapshot, "identity", no_certificate)
        monkeypatch.setattr(escalation, "may_halt", lambda *_: None)
        monkeypatch.setattr(escalation, "await_back", lambda *_: manager.done.append("waited for"))
        monkeypatch.setattr(backup, "Escrow", lambda *_: SimpleNamespace(keep=lambda _: manager.done.append("kept")))
        return manager

    return made


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (None, "there is none"),
        (CommandFailed("taking a copy", "disk full", remedy=""), "disk full"),
        (DamagedCopy("taking a copy", "torn", remedy=""), "torn"),
    ],
)
def test_a_locked_manager_is_unlocked_with_the_key_of_before_also_where_its_copy_failed(
    world: Any, fault: RequorumError | None, why: str
) -> None:
    manager = world(fault)
    with pytest.raises(RequorumError, match=why):
        backup._take_cold(SimpleNamespace(store=None), OF, NODE, print)  # type: ignore[arg-type]
    assert manager.done == ["kept", "unlocked", "waited for"]
