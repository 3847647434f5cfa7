"""The fake swarm against the scenarios that real engines pass in tests/lab/test_fake.py, and what only it says."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from recovery.copies import snapshot
from recovery.copies.manifest import Verdict
from recovery.node.engine import STILL_RUNNING, Engine
from recovery.swarm.model import LocalState
from tests.fake import scenarios
from tests.fake.cases import elsewhere
from tests.fake.machine import Cut, Machine
from tests.fake.quorum import SwarmError
from tests.fake.scenarios import SCENARIOS, A, B, Machines, Scenario, copy, label, three
from tests.fake.wires import Wires, cluster, wired
from tests.unit import factories as make


class FakeMachines:
    """The protocol of the scenarios, on the fake."""

    def __init__(self, wires: Wires) -> None:
        self.swarm = wires.swarm
        self.settings = make.settings()
        cluster(wires, self.settings)

    def lose(self, *names: str) -> None:
        for name in names:
            self.swarm.lose(name)

    def make(self, *names: str) -> None:
        for name in names:
            self.swarm.make(name, str(self.settings.node(name).address))

    def move(self, *names: str) -> None:
        for name in names:
            del self.swarm.machines[str(self.settings.node(name).address)]
        self.settings = elsewhere(self.settings, names)
        self.make(*names)

    def isolate(self, name: str) -> None:
        self.swarm.cut(name, Cut.EVERYBODY)

    def heal(self, name: str) -> None:
        self.swarm.cut(name, Cut.NOBODY)

    def until(self, condition: Callable[[], bool], what: str) -> None:
        for _ in range(5):
            if condition():
                return
            self.swarm.pass_time()
        raise AssertionError(what)

    @contextmanager
    def breaking(self, rule: str) -> Iterator[None]:
        before, self.swarm.strict = len(self.swarm.violations), False
        yield
        assert [rule in violation for violation in self.swarm.violations[before:]] == [True]
        self.swarm.strict = True


@pytest.fixture(params=[False, True], ids=["left behind with their logs", "left behind without"])
def machines(request: pytest.FixtureRequest) -> Iterator[FakeMachines]:
    with wired() as wires:
        wires.swarm.orphans_forget = request.param
        yield FakeMachines(wires)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_the_fake_does_what_engines_do(scenario: Scenario, machines: FakeMachines, tmp_path: Path) -> None:
    scenario(machines, tmp_path)


@pytest.mark.parametrize("scenario", [scenarios.founding_and_joining, scenarios.a_removed_identity_is_not_taken_back])
def test_a_join_that_an_engine_goes_on_with_by_itself_is_waited_for(
    scenario: Scenario, machines: FakeMachines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swarm, waiting = machines.swarm, list[tuple[Machine, list[str], str]]()
    join, go_on = swarm.join, swarm.pass_time

    def slowly(machine: Machine, remotes: list[str], token: str) -> None:
        waiting.append((machine, remotes, token))
        machine.state = LocalState.PENDING
        raise SwarmError(f"Timeout was reached before node joined. The attempt to join the swarm {STILL_RUNNING}.")

    def pass_time() -> None:
        while waiting:
            waiting[-1][0].state = LocalState.INACTIVE
            with suppress(SwarmError):
                join(*waiting.pop())
        go_on()

    monkeypatch.setattr(swarm, "join", slowly)
    monkeypatch.setattr(swarm, "pass_time", pass_time)
    scenario(machines, tmp_path)


def test_what_a_swarm_writes_by_itself_behind_the_last_entry_makes_another_one_the_last(
    machines: FakeMachines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(_: Machines, asked: str, node_id: str, text: str) -> None:
        label(machines, asked, node_id, text)
        if text in ("second", "third"):
            machines.swarm.change(machines.swarm.named(asked), lambda state, _: state)

    monkeypatch.setattr(scenarios, "label", busy)
    scenarios.the_last_entry_is_dropped_unless_another_follows(machines, tmp_path)


def test_a_copy_that_lacks_the_last_change_is_not_proven_by_what_the_sandbox_wrote(
    machines: FakeMachines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, ids = three(machines)
    label(machines, A, ids[A], "first")
    assert copy(machines, A, tmp_path / "whole").verdict is Verdict.PROVEN
    monkeypatch.setattr(Engine, "settle", lambda _: None)
    monkeypatch.setattr(snapshot, "sleep", lambda _: None)
    label(machines, A, ids[A], "second")
    manifest = copy(machines, A, tmp_path / "short")
    assert manifest.proof
    assert manifest.proof.version_index > manifest.inventory.index, "what came up is of a later version"
    assert manifest.verdict is Verdict.FAILED
    assert "committed up to entry" in manifest.proof.detail


def test_a_copy_of_a_manager_that_lags_for_a_moment_is_taken_again(
    machines: FakeMachines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, ids = three(machines)
    settle, waits = Engine.settle, list[float]()
    monkeypatch.setattr(Engine, "settle", lambda engine: settle(engine) if waits else None)
    monkeypatch.setattr(snapshot, "sleep", waits.append)
    label(machines, A, ids[A], "last")
    assert copy(machines, B, tmp_path / "copy").verdict is Verdict.PROVEN
    assert waits == [snapshot.PAUSE]
