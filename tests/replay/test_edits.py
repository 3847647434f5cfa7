"""Every edit of a stack file, in each state of the managers, ends on the fake swarm as the oracle says."""

import re
from collections.abc import Iterable, Iterator

import pytest

from recovery.planning.guidance import UPDATE
from tests.edits.edits import COUNTS, EDITS
from tests.edits.files import Base, Edit, State, edited
from tests.edits.known import reason
from tests.edits.trial import Begin, Stage, node_ids, stage, votes_of
from tests.fake.stack import Update
from tests.fake.wires import Killed

AGE = re.compile(r"\b\d+ (s|min)\b")
GONE = re.compile(r"\(10\.77\.1\.(\d+), manager\)")
QUICK = frozenset(
    {
        "nothing is changed",
        "all managers are renamed",
        "workers without names get some",
        "a manager gets the name of another",
        "workers without names are reordered",
        "the first worker is removed",
        "a worker is another machine under the same name",
        "3 managers become 5",
        "5 managers become 3, with names, without the first ones",
        "the second manager is another machine under a new name",
        "the first manager and a worker exchange their roles",
        "a worker gets a label and a name",
        "the cluster has another name",
    }
)
"""The edits that `make test` makes, one of each kind."""


@pytest.fixture(scope="module")
def theatre() -> Iterator[Stage]:
    with stage() as made:
        yield made


def cases() -> Iterator[object]:
    for edit in EDITS:
        for state in edit.states:
            why = reason(edit.name, state)
            marks = [] if edit.name in QUICK else [pytest.mark.whole]
            known = [pytest.mark.xfail(reason=why, strict=True)] if why else []
            yield pytest.param(edit, state, id=f"{edit.name}, {state}", marks=[*marks, *known])


@pytest.mark.parametrize(("edit", "state"), cases())
def test_an_edit_ends_as_it_must(theatre: Stage, edit: Edit, state: State) -> None:
    assert not theatre.run(edit, state).faults


def test_the_tasks_of_a_worker_end_before_it_leaves(theatre: Stage) -> None:
    """A drained machine of the fake ends one task in each round, and none once it has left."""
    edit = next(edit for edit in EDITS if edit.name == "the first worker is removed")
    picture = theatre.build(edit.base)
    stack, swarm = theatre.lose(picture, State.HEALTHY), theatre.wires.swarm
    worker = swarm.machines[picture.file.workers[0]["address"]]
    worker.tasks = 9
    done = stack.up(edited(edit, picture.file).values)
    assert (done.failure, worker.tasks) == ("", 0)


@pytest.mark.parametrize("name", ["the first worker is removed", "a worker gets a label and a name"])
def test_a_preview_changes_nothing_and_does_what_the_update_does(theatre: Stage, name: str) -> None:
    edit = next(edit for edit in EDITS if edit.name == name)
    picture = theatre.build(edit.base)
    stack, values = theatre.lose(picture, State.HEALTHY), edited(edit, picture.file).values
    previewed = stack.preview(values)
    assert not previewed.effects
    assert stack.state == picture.state
    done = stack.up(values)
    assert previewed.operations == done.operations
    assert _without_ages(previewed.log) <= _without_ages([*done.log, f"next: {UPDATE}"])
    assert not done.failure


@pytest.mark.parametrize("proven", [True, False], ids=["", "the proof is made for the first time"])
@pytest.mark.parametrize("state", [State.HEALTHY, State.ONE_LOST])
def test_a_preview_says_who_leaves_in_which_order(
    theatre: Stage, capsys: pytest.CaptureFixture[str], state: State, proven: bool
) -> None:
    edit = next(edit for edit in EDITS if edit.name == "5 managers become 3, with names, without the first ones")
    picture = theatre.build(edit.base)
    stack, values = theatre.lose(picture, state), edited(edit, picture.file).values
    if not proven:
        stack.forget("health")
    order = ["12", "11"]  # one that is lost is the first, and the leader the last
    capsys.readouterr()
    noted = [line for line in stack.preview(values).log if "is not in the stack file" in line]
    assert [last for line in noted for last in GONE.findall(line)] == order
    said = [line for line in capsys.readouterr().err.splitlines() if "leaves the swarm before the proof" in line]
    assert [last for line in said for last in GONE.findall(line)] == (order if proven else [])
    done = stack.up(values)
    assert not done.failure
    went = [what.rpartition(" ")[2] for what in done.effects if ": remove " in what]
    assert not proven or went == [node_ids(picture.swarm)[f"10.77.1.{last}"] for last in order]


VOTES = re.compile(r"votes (\d+) -> (\d+), tolerates (-?\d+)")
OTHER_MANAGERS = (
    "the second manager is another machine under the same name",
    "two of 5 managers are other machines under the same names",
    "the first manager and a worker exchange their roles",
    "a manager is replaced, one becomes a worker, a worker a manager, and one is in another zone",
    *(edit.name for edit in COUNTS if edit.base is not Base.ONE and "become" in edit.name),
)
WALKED = OTHER_MANAGERS[0], OTHER_MANAGERS[3]


@pytest.mark.parametrize("state", [State.HEALTHY, State.ONE_LOST])
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in WALKED else [pytest.mark.whole]) for name in dict.fromkeys(OTHER_MANAGERS)],
)
def test_a_preview_shows_each_change_of_the_votes_as_the_update_makes_it(
    theatre: Stage, capsys: pytest.CaptureFixture[str], name: str, state: State
) -> None:
    edit = next(edit for edit in EDITS if edit.name == name)
    picture = theatre.build(edit.base)
    stack, values = theatre.lose(picture, state), edited(edit, picture.file).values
    begun = Begin.of(theatre.wires.swarm)
    assert begun
    capsys.readouterr()
    told = [line for line in stack.preview(values).log if line.startswith("votes")]
    told += [line for line in capsys.readouterr().err.splitlines() if "leaves the swarm before the proof" in line]
    shown = [tuple(map(int, found)) for line in told for found in VOTES.findall(line)]
    done = stack.up(values)
    assert not done.failure
    assert shown == votes_of(theatre.wires.swarm, begun) != []


def _without_ages(log: Iterable[str]) -> set[str]:
    """The lines of a log. A copy is older when the update looks at it than when the preview did."""
    return {AGE.sub("some time", line) for line in log}


def test_a_worker_that_does_not_answer_at_its_new_address_is_left_alone(
    theatre: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit = next(edit for edit in EDITS if edit.name == "a worker has an address for SSH")
    picture = theatre.build(edit.base)
    stack = theatre.lose(picture, State.HEALTHY)
    monkeypatch.setattr(theatre.wires, "hostnames", {})
    done = stack.up(edited(edit, picture.file).values)
    assert (done.failure, done.effects) == ("", [])


@pytest.mark.parametrize("failure", [StopIteration, KeyboardInterrupt, Killed])
def test_an_update_ends_with_any_failure_of_a_resource(
    theatre: Stage, monkeypatch: pytest.MonkeyPatch, failure: type[BaseException]
) -> None:
    edit = next(edit for edit in EDITS if edit.name == "nothing is changed")
    picture = theatre.build(edit.base)
    stack = theatre.lose(picture, State.HEALTHY)

    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(Update, "_handled", fail)
    with pytest.raises(failure):
        stack.up(picture.file.values)


def test_the_edits_are_many_and_each_has_its_own_name() -> None:
    names = [edit.name for edit in EDITS]
    assert len(names) == len(set(names)) >= 40
    assert set(names) >= QUICK
