"""What a recovery leaves alone: silent machines, swarms and copies of others, engines that are too old."""

from dataclasses import replace

import pytest

from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog
from recovery.copies.order import by_trust
from recovery.errors import Refused
from recovery.operations.assess import assess
from recovery.planning.diagnosis import Kind
from recovery.planning.plan import Plan
from recovery.steps.quorum import establish
from recovery.steps.remove import depart, remove
from recovery.steps.run import Run
from recovery.swarm.model import LocalState, Survey
from tests.fake.cases import Case, Copies, Theatre, names, quiet, subsets
from tests.fake.engine import LEADERLESS_SECONDS
from tests.fake.machine import Cut
from tests.replay.recovering import of_three, recover, require_recovered


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
    assert depart(Cluster(fewer), set(scene.identities.values()), say=quiet) == ("worker-1", "manager-c")
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
    copy = next(copy for copy in by_trust(catalog.reading(catalog.copies)) if copy.manager == "manager-b").name
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
