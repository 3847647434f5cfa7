"""Recoveries on the fake swarm: every case, how one is run and interrupted, and what must be so at its end."""

from contextlib import suppress
from dataclasses import replace

import pytest

from recovery.cluster import Cluster
from recovery.errors import RequorumError
from recovery.operations import lifecycle
from recovery.operations.assess import assess
from recovery.operations.recover import recover_all
from recovery.planning.consented import still_valid
from recovery.planning.diagnosis import Kind
from recovery.settings import Settings
from recovery.swarm import raft_options
from tests.fake.cases import Case, Copies, Scene, Theatre, names, quiet, subsets
from tests.fake.wires import Killed, Strike

COUNTS = [1, 2, 3, 4, 5, pytest.param(6, marks=pytest.mark.whole)]
"""Managers of a swarm. Only one that was taken over has 1, 2, 4 or 6."""
TRIES = 3
AGENTS_LEASE = "requorum/lab/agent/lease.json"


def recover(settings: Settings) -> None:
    """What `requorum recover --yes` does, with consent to the plan that it finds, unless the settings name a plan.

    Of a cluster whose settings name every manager, no plan is without one, but for those that moved."""
    if settings.recover is True:
        found = assess(Cluster(settings)).plan
        assert found.moves or not found.without
        settings = settings.model_copy(update={"recover": found.id or True})
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
    assert not [m.name for m in swarm.machines.values() if m.former], f"{case}: swarm directories of before are left"
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


def interrupted(theatre: Theatre, scene: Scene, *strikes: Strike, reboot: bool = False, rounds: int = 2) -> bool:
    """Recover, struck in each run in turn, then again until it is done; whether the last strike met its effect.

    Between two runs machines may be switched off and on, and some rounds of time pass. Unless they were, what is planned
    after a run is what is left of its plan. A node that was silent then may answer now, and get steps of its own.
    """
    wires = theatre.wires
    for strike in strikes:
        wires.begin()
        before = assess(Cluster(scene.settings))
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
            fresh = assess(Cluster(scene.settings)).plan
            left = tuple(step for step in fresh.steps if step.node not in before.diagnosis.left_alone)
            assert not still_valid(before.plan, replace(fresh, steps=left)), strike
    for further in reversed(range(TRIES)):
        wires.begin()
        with suppress(*([RequorumError] if further else [])):
            recover(scene.settings)
            break
        wires.sleep(1)
    return met


def of_three(theatre: Theatre, *, slow: bool = False) -> tuple[Case, Scene, str, list[str]]:
    """The quorum of seven lost: who of the three survivors is to be forced, and the two that are left behind."""
    case = Case(7, frozenset({"manager-b", "manager-c", "manager-a2", "manager-b2"}))
    scene = theatre.stage(case, slow=slow)
    forced = assess(Cluster(scene.settings)).plan.survivor
    assert forced
    return case, scene, forced, [name for name in names(7) if name in case.survivors - {forced}]
