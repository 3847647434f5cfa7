"""What a run takes for a while is given back by the next command, whatever became of the run: on the fake swarm."""

from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import count

import pytest

from recovery.cluster import Cluster
from recovery.node.engine import Engine
from recovery.node.ssh import Shell
from recovery.operations.assess import assess
from recovery.planning.record import NOTHING
from recovery.steps import member
from recovery.steps.quorum import establish
from recovery.steps.remove import remove
from recovery.steps.run import Run
from recovery.swarm import drained, raft_options
from tests.fake.cases import Case, Scene, Theatre, quiet
from tests.fake.raft import Entry, State
from tests.fake.wires import Killed, Moment, Strike


def entry_of(theatre: Theatre, name: str) -> Entry:
    leader = theatre.wires.swarm.lives()
    assert leader
    return next(one for one in theatre.wires.swarm.state_of(leader).nodes.values() if one.hostname == name)


def drained_and_killed(theatre: Theatre, availability: str) -> Scene | None:
    """A worker whose removal was killed right after it was drained; then its operator keeps it."""
    for at in count(1):
        scene = theatre.stage(Case(3, frozenset()))
        leader = theatre.wires.swarm.lives()
        assert leader
        before = entry_of(theatre, "worker-1")
        paused = replace(before, availability=availability)
        theatre.wires.swarm.change(leader, partial(_with_node, paused))
        theatre.wires.begin(Strike(at, Moment.KILLED))
        fewer = scene.settings.model_copy(update={"workers": ()})
        with suppress(Killed):
            remove(Cluster(fewer), scene.settings.node("worker-1"), before.node_id, ending=False, say=quiet)
        struck = len(theatre.wires.effects) == at
        theatre.wires.begin()
        if not struck:
            return None
        if entry_of(theatre, "worker-1").availability == "drain" and theatre.wires.swarm.named("worker-1").in_swarm:
            return scene
    return None


def _with_node(entry: Entry, state: State, index: int) -> State:
    return state.with_node(entry, index)


@pytest.mark.parametrize("availability", ["active", "pause"])
def test_a_worker_whose_removal_was_interrupted_gets_its_availability_back(theatre: Theatre, availability: str) -> None:
    scene = drained_and_killed(theatre, availability)
    assert scene
    assert entry_of(theatre, "worker-1").labels[drained.NOTE] == availability
    shown = assess(Cluster(scene.settings)).changes
    assert f"availability drain becomes {availability}" in shown.entries["worker-1"]
    member.bring_back(Run(Cluster(scene.settings), NOTHING, quiet), scene.settings.node("worker-1"))
    entry = entry_of(theatre, "worker-1")
    assert (entry.availability, drained.NOTE in entry.labels) == (availability, False)
    assert "worker-1" not in assess(Cluster(scene.settings)).changes.entries


def test_raft_options_of_an_interrupted_join_are_a_change_that_the_quorum_puts_back(theatre: Theatre) -> None:
    scene = theatre.stage(Case(3, frozenset()))
    node = scene.settings.managers[1]
    with pytest.raises(Killed), Shell(node, scene.settings.ssh) as there, Engine(there).short_log():
        raise Killed
    found = assess(Cluster(scene.settings))
    assert not found.plan.steps
    assert found.changes.options, "an update that would change nothing else has this to change"
    establish(Run(Cluster(scene.settings), NOTHING, quiet))
    leader = theatre.wires.swarm.lives()
    assert leader
    spec = theatre.wires.swarm.state_of(leader).spec
    assert raft_options.NOTE not in spec["Labels"]
    assert not assess(Cluster(scene.settings)).changes.options


def test_a_note_of_a_repaired_log_that_stayed_is_taken_off_and_hides_no_later_damage(theatre: Theatre) -> None:
    scene = theatre.stage(Case(3, frozenset()))
    machine = theatre.wires.swarm.named("manager-a")
    assert machine.directory
    machine.directory = replace(machine.directory, repaired="a wrong checksum")
    theatre.wires.swarm.damage("manager-a", lost=2)
    report = assess(Cluster(scene.settings)).survey.of("manager-a")
    assert (report.damage, report.mended) == ("a wrong checksum", "")
    machine.directory = replace(machine.directory, good=None)
    theatre.wires.swarm.restart(machine)
    theatre.wires.swarm.pass_time()
    establish(Run(Cluster(scene.settings), NOTHING, quiet))
    assert machine.directory
    assert machine.directory.repaired == ""
