"""Nothing is forced or made beside managers that may live, and consent does not outlive its loss."""

from contextlib import suppress
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog
from recovery.copies.taking import take_safety
from recovery.errors import ProofFailed, Refused
from recovery.node.engine import Engine
from recovery.operations import lifecycle
from recovery.operations.assess import assess
from recovery.planning.diagnosis import Kind
from recovery.s3 import lease
from recovery.steps import save, swarm_directory
from recovery.steps.quorum import dissolve
from recovery.swarm.model import LocalState
from tests.fake.cases import Case, Theatre, names, quiet
from tests.fake.machine import Cut, Machine
from tests.fake.wires import Killed, Moment, Strike
from tests.replay.recovering import recover


@pytest.mark.parametrize(
    ("managers", "lost", "module", "slow"),
    [(3, names(3), swarm_directory, "place"), (5, names(5)[:3], save, "take_safety")],
    ids=["restored", "forced"],
)
def test_nothing_is_forced_beside_managers_that_came_back_while_copies_were_on_their_way(
    theatre: Theatre, managers: int, lost: tuple[str, ...], module: Any, slow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, act = theatre.stage(Case(managers, frozenset())), getattr(module, slow)
    swarm = theatre.wires.swarm
    before = {name: swarm.named(name).directory for name in lost}
    for name in lost:
        swarm.named(name).directory, swarm.named(name).state = None, LocalState.INACTIVE
    swarm.pass_time()
    assert not swarm.lives()

    def slowly(*given: Any, **named: Any) -> Any:
        done = act(*given, **named)
        while before:
            name, directory = before.popitem()
            if not swarm.named(name).directory:  # else it is the one that is restored
                swarm.named(name).directory, swarm.named(name).state = directory, LocalState.ACTIVE
        swarm.pass_time()
        assert swarm.lives(), "they have their quorum"
        return done

    monkeypatch.setattr(module, slow, slowly)
    with pytest.raises(Refused, match="code: plan-outdated"):
        recover(scene.settings)
    assert not [what for what in theatre.wires.effects if "force" in what]
    monkeypatch.setattr(module, slow, act)
    recover(scene.settings)
    assert assess(Cluster(scene.settings)).diagnosis.kind is Kind.HEALTHY, "the others rejoin them"
    assert swarm.identities == scene.identities


def test_nothing_is_forced_once_survivors_that_did_not_hear_each_other_have_a_leader(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, act = theatre.stage(Case(3, frozenset({"manager-a"}))), take_safety
    swarm = theatre.wires.swarm

    def heard(*given: Any, **named: Any) -> Any:
        done = act(*given, **named)
        apart.undo()
        swarm.pass_time()
        return done

    monkeypatch.setattr(save, "take_safety", heard)
    with pytest.MonkeyPatch.context() as apart:
        apart.setattr(Machine, "reaches", lambda self, other: self is other)
        for _ in range(3):
            swarm.pass_time()
        with pytest.raises(Refused, match=r"the swarm has a leader again(?s:.*)code: plan-outdated"):
            recover(scene.settings)
    assert not [what for what in theatre.wires.effects if "force" in what]


def test_nothing_is_forced_under_a_lease_that_somebody_else_has_taken_over(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the operator's machine slept while a copy was on its way, and another one began meanwhile."""
    scene, act = theatre.stage(Case(3, frozenset(names(3)))), swarm_directory.place

    def slept(*given: Any, **named: Any) -> Any:
        theatre.wires.objects["requorum/lab/lease.json"] = b'{"holder": "other", "by": "ops@desk", "doing": "recovery"}'
        return act(*given, **named)

    monkeypatch.setattr(swarm_directory, "place", slept)
    with pytest.raises(Refused, match=r"\"recovery\" by ops@desk(?s:.*)code: lease-lost"):
        recover(scene.settings)
    assert not [what for what in theatre.wires.effects if "force" in what]


def test_a_survivor_that_was_off_while_the_others_went_on_and_were_copied_is_forced_only_by_the_plan_s_id(
    theatre: Theatre,
) -> None:
    """Without that, what S3 has of the others would be given up for an old log, under a word that said nothing of it."""
    scene = theatre.stage(Case(3, frozenset()))
    wires, swarm = theatre.wires, theatre.wires.swarm
    swarm.cut("manager-c", Cut.EVERYBODY)
    for _ in range(3):
        swarm.pass_time()
    theatre.write("while it was off")
    lifecycle.fresh_copies(Cluster(scene.settings), say=quiet)
    newest = Catalog(scene.settings).copies[0].name
    for name in ("manager-a", "manager-b"):
        swarm.named(name).directory, swarm.named(name).state = None, LocalState.INACTIVE
    swarm.cut("manager-c", Cut.NOBODY)
    swarm.pass_time()
    wires.begin()
    plan = assess(Cluster(scene.settings)).plan
    assert plan.ahead == newest
    assert plan.refusal
    assert plan.refusal.code == "consent-needed"
    assert newest in plan.refusal.why
    assert plan.agreed().refusal, "no other word will do"
    assert not wires.effects
    recover(scene.settings)  # by its ID
    assert assess(Cluster(scene.settings)).diagnosis.kind is Kind.HEALTHY


def test_consent_to_force_from_a_survivor_is_worth_nothing_at_its_next_loss(theatre: Theatre) -> None:
    scene = theatre.stage(Case(3, frozenset({"manager-a", "manager-b"})))
    swarm = theatre.wires.swarm
    first = assess(Cluster(scene.settings)).plan
    recover(scene.settings)
    for name in ("manager-a", "manager-b"):
        swarm.named(name).directory, swarm.named(name).state = None, LocalState.INACTIVE
    for _ in range(3):
        swarm.pass_time()
    committed = scene.settings.model_copy(update={"recover": first.id})
    again = assess(Cluster(committed)).plan
    assert (again.kind, again.survivor) == (first.kind, first.survivor)
    assert again.refusal
    assert again.refusal.code == "consent-needed"
    assert first.id in again.refusal.why


def test_what_was_written_to_a_restored_swarm_before_its_proof_is_saved_before_it_is_left(theatre: Theatre) -> None:
    """The run that restored it was killed; hours later somebody has removed a config, so that it differs from the copy."""
    for at in count(1):
        scene = theatre.stage(Case(3, frozenset(names(3))))
        wires, swarm = theatre.wires, theatre.wires.swarm
        wires.begin(Strike(at, Moment.KILLED))
        with suppress(Killed):
            recover(scene.settings)
        if wires.effects[-1].endswith("force a new cluster"):
            break
    seed = swarm.lives()
    assert seed
    swarm.change(seed, lambda state, index: replace(state, configs={"config-new": index}))
    wires.begin()
    before = set(wires.objects)
    with pytest.raises(ProofFailed, match=r"configs: config-early(?s:.*)code: swarm-differs"):
        recover(scene.settings)
    assert [key for key in set(wires.objects) - before if f"/{seed.name}/swarm-unknown-" in key]
    recover(scene.settings)
    assert assess(Cluster(scene.settings)).diagnosis.kind is Kind.HEALTHY


def test_a_swarm_is_ended_by_one_operator_at_a_time(theatre: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = theatre.stage(Case(3, frozenset()))
    leave, alone = Engine.leave, []

    def leaving(engine: Engine) -> None:
        alone.append(theatre.wires.objects["requorum/lab/lease.json"] != lease.FREE)
        leave(engine)

    monkeypatch.setattr(Engine, "leave", leaving)
    dissolve(Cluster(scene.settings), scene.cluster_id, say=quiet)
    assert alone == [True] * 4


def test_a_swarm_of_its_own_that_came_up_from_a_survivor_is_left_again(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As docker does where it finds nothing that it can use."""
    scene, force = theatre.stage(Case(3, frozenset({"manager-a", "manager-b"}))), Engine.force_new_cluster

    def found(engine: Engine, _: int | None) -> None:
        engine.leave()
        engine.init(scene.settings.swarm)

    monkeypatch.setattr(Engine, "force_new_cluster", found)
    with pytest.raises(ProofFailed, match=r"swarm cluster-(?s:.*)code: swarm-differs"):
        recover(scene.settings)
    assert not theatre.wires.swarm.lives()
    monkeypatch.setattr(Engine, "force_new_cluster", force)
    recover(scene.settings)
    assert assess(Cluster(scene.settings)).diagnosis.cluster_id == scene.cluster_id


@pytest.mark.parametrize("up", [True, False])
def test_nothing_is_made_beside_managers_that_nobody_named(theatre: Theatre, up: bool) -> None:
    """A swarm of five was taken over with three in the stack file, which are lost: the two others hold its log."""
    scene = theatre.stage(Case(5, frozenset()))
    swarm, few = theatre.wires.swarm, scene.settings.model_copy(update={"managers": scene.settings.managers[:3]})
    assert [line.split(" at ")[0] for line in assess(Cluster(few)).diagnosis.warnings] == ["manager-a2", "manager-b2"]
    worker = swarm.named("worker-1")
    assert worker.directory
    worker.directory = replace(worker.directory, remotes=tuple(str(node.address) for node in scene.settings.managers))
    for name in names(5)[: 3 if up else 5]:
        swarm.named(name).directory, swarm.named(name).state = None, LocalState.INACTIVE
    swarm.pass_time()
    if up:
        with pytest.raises(
            Refused, match=r"manager-[ab]2 at 10\.77\.\d\.\d+, of which S3 has copies(?s:.*)code: unknown-manager"
        ):
            assess(Cluster(few))
    else:
        plan = assess(Cluster(few)).plan
        assert plan.copy, "it is told what can be done"
        assert not plan.without, "their machines answer, and are in no swarm"
