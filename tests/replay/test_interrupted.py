"""Recoveries that are interrupted anywhere converge, and survivors give way to the one that is forced."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from recovery.cluster import Cluster
from recovery.node.engine import Engine
from recovery.operations.assess import assess
from recovery.s3 import lease
from recovery.settings import Agent
from recovery.steps import member
from recovery.steps import prove as steps_prove
from tests.fake.cases import Case, Copies, Theatre, names
from tests.fake.wires import Moment, Strike
from tests.replay.recovering import AGENTS_LEASE, interrupted, of_three, recover, require_recovered

INTERRUPTIONS = [
    *(
        Case(3, lost, copies)
        for lost in map(frozenset, (["manager-a"], ["manager-b"], ["manager-a", "manager-c"], names(3)))
        for copies in (Copies.GOOD, Copies.FIRST_ONLY)
    ),
    Case(7, frozenset({"manager-b", "manager-c", "manager-a2", "manager-b2"})),
    *(Case(3, frozenset(names(3)), copies, elsewhere=True) for copies in (Copies.GOOD, Copies.FIRST_ONLY)),
]
"""The leader, a follower, the quorum, everybody, and everybody elsewhere; with identities in S3 and without; and two survivors
that are left behind."""


@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize("case", INTERRUPTIONS, ids=str)
def test_a_recovery_interrupted_at_any_effect_converges(
    theatre: Theatre, points: Iterator[int], case: Case, moment: Moment
) -> None:
    for at in points:
        scene = theatre.stage(case, orphans_forget=at % 2 == 0)
        met = interrupted(theatre, scene, Strike(at, moment))
        require_recovered(theatre, case, scene)
        if not met:
            break
    assert at > 5, "a recovery has effects"


@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize("case", [INTERRUPTIONS[4], INTERRUPTIONS[8]], ids=str)
def test_the_id_that_began_a_recovery_consents_to_its_end(
    theatre: Theatre, points: Iterator[int], case: Case, moment: Moment
) -> None:
    for at in points:
        scene = theatre.stage(case)
        shown = assess(Cluster(scene.settings)).plan
        met = interrupted(
            theatre,
            replace(scene, settings=scene.settings.model_copy(update={"recover": shown.id})),
            Strike(at, moment),
        )
        require_recovered(theatre, case, scene)
        if not met:
            break
    assert shown.survivor


@pytest.mark.parametrize(
    ("lost", "paused"),
    [(["manager-a"], False), (["manager-a", "manager-b"], True), (names(3), True)],
    ids=str,
)
def test_agents_pause_from_the_new_quorum_to_its_proof(
    theatre: Theatre, lost: set[str], paused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(3, frozenset(lost))
    scene = theatre.stage(case)
    seen: list[bool] = []

    def looking(act: Callable[..., Any]) -> Callable[..., Any]:
        def look(*given: Any, **named: Any) -> Any:
            seen.append(theatre.wires.objects.get(AGENTS_LEASE, lease.FREE) != lease.FREE)
            return act(*given, **named)

        return look

    for module, name in ((Engine, "force_new_cluster"), (member, "settle"), (steps_prove, "prove")):
        monkeypatch.setattr(module, name, looking(getattr(module, name)))
    recover(scene.settings.model_copy(update={"agent": Agent()}))
    require_recovered(theatre, case, scene)
    assert set(seen) == {paused}
    assert theatre.wires.objects.get(AGENTS_LEASE, lease.FREE) == lease.FREE


def leaves(effects: list[str]) -> list[str]:
    return [what.partition(":")[0] for what in effects if what.endswith(": leave")]


def until_the_first_join(effects: list[str]) -> list[str]:
    return effects[: next(at for at, what in enumerate(effects) if what.endswith(": join"))]


def test_survivors_leave_once_all_are_copied_and_one_is_forced_and_before_anybody_joins(theatre: Theatre) -> None:
    case, scene, forced, orphans = of_three(theatre)
    recover(scene.settings)
    require_recovered(theatre, case, scene)
    done = theatre.wires.effects
    force = done.index(f"{forced}: force a new cluster")
    for name in case.survivors:
        assert [what for what in done[:force] if what.startswith("S3: write swarm-") and f"-{name}-" in what], name
    assert leaves(done[:force]) == []
    assert leaves(until_the_first_join(done)) == leaves(done) == orphans, "each once"


def test_a_survivor_that_does_not_leave_stops_no_other_and_leaves_when_it_joins(theatre: Theatre) -> None:
    _, scene, _, _ = of_three(theatre)
    recover(scene.settings)
    first = next(at for at, what in enumerate(theatre.wires.effects, 1) if what.endswith(": leave"))
    case, scene, _, orphans = of_three(theatre)
    theatre.wires.begin(Strike(first, Moment.FAILS_BEFORE))
    recover(scene.settings)
    require_recovered(theatre, case, scene)
    assert leaves(until_the_first_join(theatre.wires.effects))[:2] == orphans, "both were told"
    assert sorted(leaves(theatre.wires.effects)) == sorted([*orphans, orphans[0]])


def test_a_survivor_that_is_in_the_new_cluster_already_is_left_alone(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By hand, say, between the force and the look at who was left behind."""
    case, scene, forced, (joined, left) = of_three(theatre)
    swarm = theatre.wires.swarm
    there, leader, force = swarm.named(joined), swarm.named(forced), Engine.force_new_cluster
    identity = there.directory
    assert identity

    def force_and_join(engine: Engine, ca_rotations: int | None) -> None:
        force(engine, ca_rotations)
        swarm.leave(there)
        there.directory = replace(identity, raft=None)
        swarm.join(there, [f"{leader.address}:2377"], swarm.token(swarm.state_of(leader), "manager"))

    monkeypatch.setattr(Engine, "force_new_cluster", force_and_join)
    recover(scene.settings)
    require_recovered(theatre, case, scene)
    assert leaves(theatre.wires.effects) == [left]


@st.composite
def misfortunes(draw: st.DrawFn) -> Case:
    """Any case that can be recovered."""
    managers = draw(st.sampled_from([3, 5]))
    lost = draw(st.sets(st.sampled_from(names(managers)), min_size=1))
    left = sorted(set(names(managers)) - lost)
    few = st.sets(st.sampled_from(left), max_size=managers // 2) if left else st.just(set[str]())
    copies, named = draw(st.sampled_from(Copies)), draw(st.booleans())
    case = Case(managers, frozenset(lost), copies, frozenset(draw(few)), named)
    assume(not case.refused)
    return case


@given(
    misfortunes(),
    st.lists(st.builds(Strike, st.integers(1, 30), st.sampled_from(Moment)), min_size=1, max_size=3),
    st.booleans(),
    st.integers(0, 3),
    st.booleans(),
    st.booleans(),
)
@hypothesis_settings(
    max_examples=60,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@example(
    Case(3, frozenset(names(3))), [Strike(5, Moment.FAILS_BEFORE)], True, 0, False, True
)  # restored and not proven, then without a leader for a moment
@example(
    Case(5, frozenset(names(5))), [Strike(12, Moment.FAILS_BEFORE)], True, 0, False, False
)  # the second of five has just joined, and the quorum of the two is lost once more
@example(
    Case(5, frozenset({"manager-a", "manager-b", "manager-b2"}), Copies.FIRST_ONLY),
    [Strike(18, Moment.FAILS_BEFORE), Strike(18, Moment.KILLED), Strike(12, Moment.FAILS_AFTER)],
    False,
    1,
    True,
    True,
)  # the engine of the manager that left is silent at the third run's beginning, and answers at its end
@example(
    Case(3, frozenset(names(3)), Copies.ALL_NEWEST_FOREIGN),
    [Strike(1, Moment.KILLED), Strike(4, Moment.KILLED)],
    False,
    0,
    False,
    False,
)  # restored and not proven, beside newer copies of another swarm, and no node is left that knows the CA
def test_a_recovery_interrupted_again_and_again_converges(
    theatre: Theatre, case: Case, strikes: list[Strike], reboot: bool, rounds: int, orphans_forget: bool, slow: bool
) -> None:
    scene = theatre.stage(case, orphans_forget=orphans_forget, slow=slow)
    interrupted(theatre, scene, *strikes, reboot=reboot, rounds=rounds)
    require_recovered(theatre, case, scene)
