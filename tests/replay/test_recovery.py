"""Every loss on the fake swarm: recovered and proven, or refused with nothing changed; interrupted anywhere, it converges."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from recovery.cluster import Cluster
from recovery.copies import snapshot
from recovery.copies.catalog import Catalog
from recovery.copies.escrow import Escrow
from recovery.copies.taking import take_safety
from recovery.errors import DamagedCopy, NoUnlockKey, ProofFailed, Refused, RequorumError
from recovery.node.engine import Engine
from recovery.node.ssh import Shell
from recovery.operations import lifecycle
from recovery.operations.assess import assess
from recovery.operations.recover import recover_all
from recovery.planning.consented import still_valid
from recovery.planning.diagnosis import Kind
from recovery.planning.plan import Plan
from recovery.planning.record import NOTHING
from recovery.s3 import lease
from recovery.settings import Agent, Settings
from recovery.steps import member, save, swarm_directory
from recovery.steps import prove as steps_prove
from recovery.steps.prove import Health
from recovery.steps.quorum import dissolve, establish
from recovery.steps.remove import depart, remove
from recovery.steps.run import Run
from recovery.swarm import raft_options
from recovery.swarm.key_file import UnlockKey
from recovery.swarm.model import LocalState, Survey
from tests.fake.cases import Case, Copies, Scene, Theatre, names, quiet, subsets
from tests.fake.engine import LEADERLESS_SECONDS
from tests.fake.machine import Cut, Machine
from tests.fake.wires import Killed, Moment, Strike, wired
from tests.unit.swarm.test_key_file import unlock_key

COUNTS = [1, 2, 3, 4, 5, pytest.param(6, marks=pytest.mark.whole)]
"""Managers of a swarm. Only one that was taken over has 1, 2, 4 or 6."""
TRIES = 3
AGENTS_LEASE = "requorum/lab/agent/lease.json"


@pytest.fixture(scope="module")
def theatre() -> Iterator[Theatre]:
    with wired() as wires:
        yield Theatre(wires)


def recover(settings: Settings) -> None:
    """What `requorum recover --yes` does, with consent to the plan that it finds."""
    settings = settings.model_copy(update={"recover": settings.recover and (assess(Cluster(settings)).plan.id or True)})
    assessment = assess(Cluster(settings))
    assessment.require_safe(settings)
    if assessment.plan.steps or lifecycle.unproven(Cluster(settings), say=quiet):
        recover_all(Cluster(settings), assessment, say=quiet)


FOREIGN = (Copies.NEWEST_FOREIGN, Copies.ALL_NEWEST_FOREIGN)


def cases(managers: int) -> list[Case]:
    """Every loss with every kind of copies; and with everyone in turn behind the others where it may be the one to force."""
    plain = [Case(managers, lost, copies) for lost in subsets(managers) for copies in Copies]
    named = [replace(case, named=True) for case in plain if case.copies in FOREIGN]
    behind = [
        Case(managers, lost, behind=frozenset({name}))
        for lost in subsets(managers)
        for name in names(managers)
        if name not in lost and len(lost) > managers / 2
    ]
    told = [case for case in plain + named if not case.survivors or case.copies is Copies.GOOD]
    moved = [replace(case, elsewhere=True) for case in told if case.lost]
    return plain + named + behind + moved


def require_recovered(theatre: Theatre, case: Case, scene: Scene) -> None:
    """The cluster is what the case says it must be, seen in the fake and not through the code under test."""
    swarm = theatre.wires.swarm
    assert not swarm.violations, case
    assert swarm.founded == (scene.cluster_id,), f"{case}: a swarm was founded"
    for _ in range(3):
        swarm.pass_time()
    leader = swarm.lives()
    assert leader, f"{case}: nobody leads"
    state = swarm.state_of(leader)
    assert state.cluster_id == scene.cluster_id, case
    managers = {machine.name for machine in swarm.followers(leader)}
    assert managers == set(names(case.managers)), case
    assert len(state.voters) == case.managers, case
    assert sorted(entry.hostname for entry in state.nodes.values()) == sorted(
        node.name for node in scene.settings.nodes
    )
    here = swarm.identities
    assert {entry.hostname: entry.node_id for entry in state.nodes.values()} == here, case
    for name in (*case.identities, "worker-1"):
        assert here[name] == scene.identities[name], f"{case}: {name} came back as another node"
    configs = {name.removeprefix("config-") for name in state.configs}
    assert raft_options.NOTE not in (state.spec.get("Labels") or {}), f"{case}: the log is still kept short"
    assert case.kept <= configs, case
    assert not case.gone & configs, case
    assert not [m for m in swarm.machines.values() if m.directory and (m.directory.placed or m.directory.repaired)], (
        case
    )
    done = {what for what in theatre.wires.effects if what.startswith("worker-1")}
    assert done <= ({"worker-1: open a detour"} if case.elsewhere else set()), "workers are left alone"
    avoided = {address for machine in swarm.machines.values() for address in machine.detours}
    assert not avoided & {str(node.address) for node in scene.settings.nodes}, f"{case}: a detour around a node of now"
    if case.keeps_quorum:
        older = {key: index for key, index in state.versions.items() if index < scene.versions.get(key, 0)}
        assert not older, f"{case}: versions went back"
        assert swarm.spare >= scene.spare, f"{case}: the quorum had less to spare"
    now = assess(Cluster(scene.settings))
    assert (now.diagnosis.kind, now.plan.steps) == (Kind.HEALTHY, ()), case


@pytest.mark.parametrize("managers", COUNTS)
def test_every_loss_is_recovered_or_refused(theatre: Theatre, managers: int) -> None:
    for case in cases(managers):
        scene = theatre.stage(case)
        if case.refused:
            with pytest.raises(Refused, match=case.refused):
                recover(scene.settings)
            assert not theatre.wires.effects, f"{case}: refused, and yet something was done"
        else:
            recover(scene.settings)
            require_recovered(theatre, case, scene)


def test_a_manager_that_moved_is_not_taken_out_with_its_old_address(theatre: Theatre) -> None:
    """As when its resources have no alias under the old address: Pulumi deletes them after it made new ones."""
    case = Case(3, frozenset(names(3)), elsewhere=True)
    scene = theatre.stage(case)
    recover(scene.settings)
    for node in scene.settings.managers:
        before = replace(node, address=node.address - 100)
        remove(Cluster(scene.settings), before, scene.identities[node.name], ending=False, say=quiet)
    require_recovered(theatre, case, scene)


RENAMES = {"other names": ("m1", "m2", "m3"), "exchanged names": ("manager-b", "manager-c", "manager-a")}


@pytest.mark.parametrize("given", RENAMES.values(), ids=list(RENAMES))
def test_managers_that_have_other_names_since_come_back_from_their_own_copies(
    theatre: Theatre, given: tuple[str, ...]
) -> None:
    for case in [Case(3, lost, copies) for lost in subsets(3) for copies in (Copies.GOOD, Copies.FIRST_ONLY)]:
        scene = theatre.stage(case)
        managers = (replace(node, name=name) for node, name in zip(scene.settings.managers, given, strict=True))
        recover(scene.settings.model_copy(update={"managers": tuple(managers)}))
        require_recovered(theatre, case, scene)


@pytest.mark.parametrize("managers", COUNTS)
def test_without_the_flag_only_what_a_living_leader_allows_is_done(theatre: Theatre, managers: int) -> None:
    for case in [Case(managers, lost) for lost in subsets(managers)]:
        scene = theatre.stage(case)
        cautious = scene.settings.model_copy(update={"recover": False})
        if case.keeps_quorum:
            recover(cautious)
            require_recovered(theatre, case, scene)
        else:
            with pytest.raises(Refused, match="--config recover="):
                assess(Cluster(cautious)).require_safe(cautious)
            assert not theatre.wires.effects, case


def interrupted(theatre: Theatre, scene: Scene, *strikes: Strike, reboot: bool = False, rounds: int = 2) -> bool:
    """Recover, struck in each run in turn, then again until it is done; whether the last strike met its effect.

    Between two runs machines may be switched off and on, and some rounds of time pass. Unless they were, what is planned
    after a run is what is left of its plan.
    """
    wires = theatre.wires
    for strike in strikes:
        wires.begin()
        consented = assess(Cluster(scene.settings)).plan
        wires.begin(strike)
        with suppress(Killed, RequorumError):
            recover(scene.settings)
        met = len(wires.effects) >= strike.at
        if reboot:
            wires.swarm.reboot()
        for _ in range(rounds):
            wires.swarm.pass_time()
        wires.begin()
        if not reboot:
            assert not still_valid(consented, assess(Cluster(scene.settings)).plan), strike
    for left in reversed(range(TRIES)):
        wires.begin()
        with suppress(*([RequorumError] if left else [])):
            recover(scene.settings)
            break
        wires.sleep(1)
    return met


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


def of_three(theatre: Theatre, *, slow: bool = False) -> tuple[Case, Scene, str, list[str]]:
    """The quorum of seven lost: who of the three survivors is to be forced, and the two that are left behind."""
    case = Case(7, frozenset({"manager-b", "manager-c", "manager-a2", "manager-b2"}))
    scene = theatre.stage(case, slow=slow)
    forced = assess(Cluster(scene.settings)).plan.survivor
    assert forced
    return case, scene, forced, [name for name in names(7) if name in case.survivors - {forced}]


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

    def force_and_join(engine: Engine) -> None:
        force(engine)
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
def test_a_recovery_interrupted_again_and_again_converges(
    theatre: Theatre, case: Case, strikes: list[Strike], reboot: bool, rounds: int, orphans_forget: bool, slow: bool
) -> None:
    scene = theatre.stage(case, orphans_forget=orphans_forget, slow=slow)
    interrupted(theatre, scene, *strikes, reboot=reboot, rounds=rounds)
    require_recovered(theatre, case, scene)


def test_survivors_that_still_look_for_their_leader_are_waited_for(theatre: Theatre) -> None:
    for case in (Case(5, lost) for lost in subsets(5) if len(lost) == 3):
        scene = theatre.stage(case, slow=True)
        recover(scene.settings)
        require_recovered(theatre, case, scene)


def test_survivors_that_still_look_for_their_leader_are_waited_for_once_and_not_in_turn(theatre: Theatre) -> None:
    case, scene, _, _ = of_three(theatre, slow=True)
    begun = theatre.wires.clock
    recover(scene.settings)
    require_recovered(theatre, case, scene)
    assert theatre.wires.clock - begun < 2 * LEADERLESS_SECONDS


@pytest.mark.parametrize("managers", [3, 5])
@pytest.mark.parametrize("whom", [Cut.US, Cut.EVERYBODY])
def test_a_silent_manager_is_left_alone(theatre: Theatre, managers: int, whom: Cut) -> None:
    """Whatever is lost beside it: where the others, or it with them, keep the quorum they come back; else nothing is done."""
    for case in (Case(managers, lost) for lost in subsets(managers) if len(lost) < managers):
        for name in sorted(case.survivors):
            scene = theatre.stage(case)
            swarm = theatre.wires.swarm
            swarm.cut(name, whom)
            for _ in range(3):
                swarm.pass_time()
            there = case.survivors if whom is Cut.US else case.survivors - {name}
            if len(there) > managers / 2 and case.survivors - {name}:
                recover(scene.settings)
                followers = {machine.name for machine in swarm.followers(swarm.lives() or swarm.named(name))}
                assert followers == set(names(managers)) - (set() if whom is Cut.US else {name}), case
            else:
                with pytest.raises(Refused, match="code: silent-manager"):
                    recover(scene.settings)
                assert not theatre.wires.effects, case
            assert not swarm.violations, case
            assert not [what for what in theatre.wires.effects if what.startswith(f"{name}:")], case


@pytest.mark.parametrize("managers", [3, 5])
def test_a_manager_is_taken_out_only_where_the_quorum_survives(theatre: Theatre, managers: int) -> None:
    for case in [Case(managers, lost) for lost in subsets(managers)]:
        for victim in names(managers):
            scene = theatre.stage(case)
            swarm = theatre.wires.swarm
            others = tuple(node for node in scene.settings.managers if node.name != victim)
            fewer = scene.settings.model_copy(update={"managers": others})
            node, node_id = scene.settings.node(victim), scene.identities[victim]
            if case.keeps_quorum and len(case.survivors - {victim}) > (managers - 1) / 2:
                remove(Cluster(fewer), node, node_id, ending=False, say=quiet)
                leader = swarm.lives()
                assert leader, f"{case}: {victim} was taken out, and nobody leads"
                state = swarm.state_of(leader)
                assert victim not in {entry.hostname for entry in state.nodes.values()}, case
                assert len(state.voters) == managers - 1, case
            else:
                with pytest.raises(Refused):
                    remove(Cluster(fewer), node, node_id, ending=False, say=quiet)
            assert not swarm.violations, case


@pytest.mark.parametrize("directory", ["a worker of it", "a manager of it"])
def test_nothing_is_restored_elsewhere_while_one_of_this_swarm_answers_where_it_was(
    theatre: Theatre, directory: str
) -> None:
    scene = theatre.stage(Case(3, frozenset(names(3)), elsewhere=True))
    swarm = theatre.wires.swarm
    left = swarm.make("left", "10.77.2.12")
    worker = swarm.named("worker-1")
    assert worker.directory
    raft = theatre.original(3, "manager-b").raft if directory == "a manager of it" else None
    left.directory, left.state = replace(worker.directory, raft=raft), worker.state
    with pytest.raises(Refused, match=r"10\.77\.2\.12, the old address of manager-b(?s:.*)code: old-address-in-use"):
        recover(scene.settings)
    assert not theatre.wires.effects


def test_nodes_that_the_stack_file_no_longer_has_leave_and_no_others(theatre: Theatre) -> None:
    """The state names every node of the last proof, also those whose machine has another name by now."""
    scene = theatre.stage(Case(5, frozenset()))
    swarm, of = theatre.wires.swarm, scene.settings
    kept = tuple(replace(node, name=f"renamed-{node.name}") for node in of.managers if node.name != "manager-c")
    fewer = of.model_copy(update={"managers": kept, "workers": ()})
    assert depart(Cluster(fewer), set(scene.identities.values()), say=quiet) == ("manager-c", "worker-1")
    leader = swarm.lives()
    assert leader
    assert {entry.hostname for entry in swarm.state_of(leader).nodes.values()} == set(names(5)) - {"manager-c"}
    assert swarm.named("worker-1").state is LocalState.INACTIVE
    assert depart(Cluster(fewer), set(scene.identities.values()), say=quiet) == ()


def test_copies_of_another_swarm_are_not_restored_in_place_of_the_one_that_was_built(theatre: Theatre) -> None:
    """Nobody named the cluster's ID, every newest copy is another swarm's, and no node is left to contradict."""
    case = Case(3, frozenset(names(3)), Copies.ALL_NEWEST_FOREIGN)
    scene = theatre.stage(case)
    foreign = Catalog(scene.settings).copies[0].name
    with pytest.raises(Refused, match=f"swarm {scene.cluster_id}, and (?s:.*)code: several-swarms"):
        establish(Run(Cluster(scene.settings), Plan(Kind.ALL_LOST, copy=foreign), quiet), known=scene.cluster_id)
    assert not theatre.wires.effects


def test_a_copy_under_another_ca_than_the_living_nodes_know_is_restored_only_under_a_ca_that_is_named(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = theatre.stage(Case(3, frozenset(names(3))))
    ours = assess(Cluster(scene.settings)).plan
    assert ours.vouched, "a worker lives"
    monkeypatch.setattr(Survey, "cas", lambda *_: frozenset({"another"}))
    refused = assess(Cluster(scene.settings)).plan
    assert refused.refusal
    assert refused.refusal.code == "no-good-copy"
    by_name = assess(Cluster(scene.settings.model_copy(update={"copy_from": ours.copy}))).plan
    assert by_name.refusal
    assert by_name.refusal.code == "no-good-copy"
    named = assess(Cluster(scene.settings.model_copy(update={"ca_sha256": (ours.ca,)}))).plan
    assert (named.copy, named.ca, named.vouched) == (ours.copy, ours.ca, True)


def test_what_is_restored_is_under_the_ca_that_the_plan_was_made_for(theatre: Theatre) -> None:
    scene = theatre.stage(Case(3, frozenset(names(3))))
    plan = assess(Cluster(scene.settings)).plan
    with pytest.raises(Refused, match="code: plan-outdated"):
        establish(Run(Cluster(scene.settings), replace(plan, ca="another"), quiet), known=scene.cluster_id)
    assert not theatre.wires.effects


def test_an_older_engine_is_given_no_copy_unless_that_is_named(theatre: Theatre) -> None:
    """Neither where the plan sees the engine, nor where only the restore does: after a machine was made again."""
    scene = theatre.stage(Case(3, frozenset(names(3))))
    swarm, catalog = theatre.wires.swarm, Catalog(scene.settings)
    copy = next(copy for copy in catalog.by_trust(catalog.copies) if copy.manager == "manager-b").name
    swarm.named("manager-b").engine = "19.03.15"
    of = scene.settings.model_copy(update={"copy_from": copy})
    named = assess(Cluster(of)).plan
    assert (named.copy, named.refusal) == (copy, None)
    assert any("(20.10.24)" in loss for loss in named.losses)
    with pytest.raises(Refused, match="code: engine-too-old"):
        establish(Run(Cluster(scene.settings), named, quiet))
    assert swarm.named("manager-b").directory is None, "nothing was put there"
    for name in names(3):
        swarm.named(name).engine = "19.03.15"
    with pytest.raises(Refused, match=r"install engine 20\.10\.24 or newer(?s:.*)code: engine-too-old"):
        recover(scene.settings)
    recover(of)
    assert swarm.founded == (scene.cluster_id,)


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


def deaf(theatre: Theatre, monkeypatch: pytest.MonkeyPatch, key: UnlockKey | None) -> tuple[Case, Scene, list[Health]]:
    """A lost quorum of which the survivor that is forced does not gossip at the proof; what the proof came to."""
    case = Case(3, frozenset({"manager-b", "manager-c"}))
    scene, real, proven = theatre.stage(case), steps_prove.prove, list[Health]()

    def prove(*given: Any, **named: Any) -> Health:
        forced = theatre.wires.swarm.named("manager-a")
        assert forced is theatre.wires.swarm.lives()
        forced.gossips, forced.key = False, key
        proven.append(real(*given, **named))
        assert not theatre.wires.swarm.unheard, "the leader has heard of every node"
        return proven[-1]

    monkeypatch.setattr(steps_prove, "prove", prove)
    return case, scene, proven


@pytest.mark.parametrize("key", [None, unlock_key()], ids=["open", "locked"])
def test_a_leader_that_is_restarted_for_gossip_is_unlocked_and_the_proof_is_made_of_what_the_next_one_says(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch, key: UnlockKey | None
) -> None:
    monkeypatch.setattr(Escrow, "opening", lambda *_, **__: key)
    case, scene, proven = deaf(theatre, monkeypatch, key)
    recover(scene.settings)
    require_recovered(theatre, case, scene)
    done = [what for what in theatre.wires.effects if what.startswith("manager-a")]
    assert done[-2 if key else -1 :] == ["manager-a: restart its engine", *(["manager-a: unlock"] if key else [])]
    leader = theatre.wires.swarm.lives()
    assert leader
    assert [health.leader for health in proven] == [leader.name]
    assert leader.name != "manager-a"


def test_a_leader_that_would_stay_locked_is_not_restarted(theatre: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: Any, **__: Any) -> Any:
        raise NoUnlockKey("looking for the unlock key", "none of the 2 keys in escrow opens it", remedy="give it")

    monkeypatch.setattr(Escrow, "opening", none)
    _, scene, _ = deaf(theatre, monkeypatch, unlock_key())
    with pytest.raises(ProofFailed, match=r"gossip of manager-a: failed(?s:.*)code: proof-failed"):
        recover(scene.settings)
    assert "manager-a: restart its engine" not in theatre.wires.effects


@pytest.mark.parametrize("lost", [("manager-c",), ("manager-a", "manager-b")], ids=["one", "two"])
def test_a_manager_that_votes_and_never_reports_is_restarted_once_the_others_are_a_quorum(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch, lost: tuple[str, ...]
) -> None:
    case = Case(3, frozenset(lost))
    scene, swarm = theatre.stage(case), theatre.wires.swarm
    give = swarm._give_vote

    def gives(leader: Machine, machine: Machine) -> None:
        give(leader, machine)
        machine.reports = machine.name != lost[-1]

    monkeypatch.setattr(swarm, "_give_vote", gives)
    recover(scene.settings)
    require_recovered(theatre, case, scene)
    assert theatre.wires.effects.count(f"{lost[-1]}: restart its engine") == 1


def test_a_manager_that_stops_to_report_after_its_join_is_restarted_by_the_proof(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, real = Case(3, frozenset({"manager-c"})), steps_prove.prove
    scene, swarm = theatre.stage(case), theatre.wires.swarm

    def prove(*given: Any, **named: Any) -> Health:
        swarm.named("manager-c").reports = False
        return real(*given, **named)

    monkeypatch.setattr(steps_prove, "prove", prove)
    recover(scene.settings)
    require_recovered(theatre, case, scene)
    assert theatre.wires.effects.count("manager-c: restart its engine") == 1


def test_what_a_broken_join_left_of_raft_options_is_brought_back_with_the_next_look_at_a_manager(
    theatre: Theatre,
) -> None:
    scene = theatre.stage(Case(3, frozenset()))
    node = scene.settings.managers[1]
    failing = pytest.raises(ProofFailed)
    with failing, Shell(node, scene.settings.ssh) as there, Engine(there).short_log():
        raise ProofFailed("joining manager-c", "it is not Ready", remedy="")
    leader = theatre.wires.swarm.lives()
    assert leader
    assert raft_options.NOTE in theatre.wires.swarm.state_of(leader).spec["Labels"]
    member.bring_back(Run(Cluster(scene.settings), NOTHING, quiet), node)
    spec = theatre.wires.swarm.state_of(leader).spec
    assert raft_options.NOTE not in spec["Labels"]
    assert {key: spec["Raft"][key] for key in raft_options.KEYS} == raft_options.DEFAULTS


def test_a_swarm_is_ended_by_one_operator_at_a_time(theatre: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = theatre.stage(Case(3, frozenset()))
    leave, alone = Engine.leave, []

    def leaving(engine: Engine) -> None:
        alone.append(theatre.wires.objects["requorum/lab/lease.json"] != lease.FREE)
        leave(engine)

    monkeypatch.setattr(Engine, "leave", leaving)
    dissolve(Cluster(scene.settings), scene.cluster_id, say=quiet)
    assert alone == [True] * 4


@pytest.mark.parametrize("kind", [Kind.FORKED, Kind.FOREIGN])
def test_a_quorum_that_is_not_given_says_what_to_do_about_that(
    theatre: Theatre, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = theatre.stage(Case(3, frozenset()))
    run = Run(Cluster(scene.settings), NOTHING, quiet)
    diagnosis = replace(assess(Cluster(scene.settings)).diagnosis, kind=kind)
    monkeypatch.setattr(run, "diagnose", lambda: diagnosis)
    with pytest.raises(Refused) as refused:
        establish(run)
    told = str(refused.value)
    assert "docker swarm leave --force" in told
    assert "recover=true" not in told


def test_a_survivor_whose_log_cannot_be_read_is_told_with_what_to_do_about_it(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torn(_: Any) -> Any:
        raise DamagedCopy("taking a copy", "the log holds no entry", remedy="run it again")

    scene = theatre.stage(Case(3, frozenset({"manager-a", "manager-b"})))
    monkeypatch.setattr(snapshot, "look", torn)
    with pytest.raises(DamagedCopy, match=r"manager-c: (?s:.*)docker swarm leave --force(?s:.*)code: log-unreadable"):
        recover(scene.settings)


def test_a_plan_says_which_objects_a_damaged_copy_would_have_brought_back(theatre: Theatre) -> None:
    scene = theatre.stage(Case(3, frozenset(names(3)), Copies.NEWEST_DAMAGED))
    newest = Catalog(scene.settings).copies[0].name
    assert f"according to {newest}, these are lost: configs config-early" in assess(Cluster(scene.settings)).plan.losses


def test_a_swarm_of_its_own_that_came_up_from_a_survivor_is_left_again(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As docker does where it finds nothing that it can use."""
    scene, force = theatre.stage(Case(3, frozenset({"manager-a", "manager-b"}))), Engine.force_new_cluster

    def found(engine: Engine) -> None:
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
        with pytest.raises(Refused, match=r"worker-1 knows a manager at (?s:.*)code: unknown-manager"):
            assess(Cluster(few))
    else:
        assert assess(Cluster(few)).plan.copy, "it is told what can be done"
