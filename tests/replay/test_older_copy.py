"""A worker that joined after the copy: the restored swarm does not list it, so it leaves and joins anew, as the plan says."""

from collections.abc import Iterator

import pytest

from recovery.cluster import Cluster
from recovery.operations import lifecycle
from recovery.operations.assess import assess
from recovery.pipeline.watching import Act
from recovery.planning.diagnosis import Kind
from recovery.planning.steps import Action
from recovery.settings import parse
from tests.edits.files import Base, State
from tests.edits.trial import Stage, stage
from tests.fake.cases import Case, Theatre, names
from tests.fake.watched import watched

MANAGERS = names(3)
WORKER = "worker-1"
WHOLE = pytest.mark.whole
FIRST = [(WORKER,), pytest.param((WORKER, "manager-c"), marks=WHOLE)]
LOST = [
    MANAGERS,
    MANAGERS[:2],
    pytest.param(("manager-a", "manager-c"), marks=WHOLE),
    pytest.param(("manager-b", "manager-c"), marks=WHOLE),
    pytest.param((*MANAGERS, WORKER), marks=WHOLE),
]


@pytest.mark.parametrize("first", FIRST, ids=" ".join)
@pytest.mark.parametrize("lost", LOST, ids=" ".join)
def test_a_recovery_by_consent_ends(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch, first: tuple[str, ...], lost: tuple[str, ...]
) -> None:
    """Also by the log of a survivor whose last entry, which removed the old entry of the worker, was not committed there."""
    with watched(theatre.wires, theatre.stage(Case(3, frozenset()))) as at:
        watcher = at.watcher()
        with monkeypatch.context() as patch:
            patch.setattr(lifecycle, "fresh_copies", lambda *_, **__: None)
            at.lose(*first)
            assert watcher.round().act is Act.HEAL, at.errors
        at.pass_time()
        at.lose(*lost)
        assert watcher.round().act is Act.ASK
        at.consent(at.asked())
        assert watcher.round().act is Act.RECOVER, at.errors
        at.pass_time()
        found = assess(Cluster(at.settings))
        assert (found.diagnosis.kind, found.plan.steps) == (Kind.HEALTHY, ())
        state = at.swarm.state_of(at.swarm.named("manager-a"))
        assert sorted(entry.hostname for entry in state.nodes.values()) == [*MANAGERS, WORKER]
        assert not at.swarm.violations
        assert at.swarm.founded == (at.scene.cluster_id,)


@pytest.fixture(scope="module")
def built() -> Iterator[Stage]:
    with stage() as made:
        yield made


def test_pulumi_lets_the_worker_leave_and_join(built: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = built.build(Base.NAMED)
    stack, raw = built.lose(picture, State.HEALTHY), dict(picture.file.values)
    swarm, worker = built.wires.swarm, picture.file.workers[0]

    def lose(*gone: str) -> None:
        for address in gone:
            swarm.make(swarm.machines[address].name, address)
        for _ in range(3):
            swarm.pass_time()

    with monkeypatch.context() as patch:
        patch.setattr(lifecycle, "fresh_copies", lambda *_, **__: None)
        lose(worker["address"])
        assert not stack.up(raw).failure
    joined = swarm.machines[worker["address"]].node_id
    lose(*(manager["address"] for manager in picture.file.managers))
    steps = assess(Cluster(parse(raw))).plan.steps
    assert [step.action for step in steps if step.node == worker["name"]] == [Action.LEAVE, Action.JOIN]
    done = stack.up(raw, consent=True)
    assert not done.failure, done
    assert swarm.machines[worker["address"]].node_id not in ("", joined)
    again = stack.up(raw)
    assert (again.failure, again.operations, again.effects) == ("", [], [])
    assert not swarm.violations
