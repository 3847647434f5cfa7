"""Random pairs of stack files, on the fake swarm: nodes renamed, reordered, added, removed and moved at once, names exchanged.

While the swarm has a leader, an update never takes a vote from a machine that the file still calls a manager. At no moment
does the quorum have less to spare than one manager, or than it had at the beginning. Only entries of machines change that the
files have otherwise, or that were lost; and none gets or loses its vote twice. After a loss of the quorum, every machine that
has a copy keeps its node ID. The oracle of the edits says so. What must be refused is decided here, by addresses alone.
"""

from collections.abc import Iterator, Mapping

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from tests.edits.edits import nothing
from tests.edits.files import NAMES, SPARES, WORKER_NAMES, Base, Edit, File, State, lost
from tests.edits.trial import Stage, stage

SEVEN = (11, 12, 13, 14, 15, 16, 17)
THREE, FIVE = SEVEN[:3], SEVEN[:5]
MANAGERS = {
    Base.UNNAMED: THREE,
    Base.NAMED: THREE,
    Base.FIVE: FIVE,
    Base.FIVE_NAMED: FIVE,
    Base.ONE: SEVEN[:1],
    Base.SEVEN: SEVEN,
}
UNNAMED = (Base.UNNAMED, Base.FIVE)
WORKERS = (21, 22, 23)
OLD_NAMES = {**dict(zip(SEVEN, NAMES, strict=True)), **dict(zip(WORKERS, WORKER_NAMES, strict=True))}
PLACES = ("manager-a", "manager-b", "manager-c", "manager-a2", "manager-b2", "manager-c2", "manager-a3")
"""What managers without names are called, by their place in the list."""
Nodes = tuple[tuple[int, str], ...]
"""The nodes of a list: the last number of the address, and the name. A node without a name has an empty one."""


@pytest.fixture(scope="module")
def theatre() -> Iterator[Stage]:
    with stage() as made:
        yield made


def becomes(managers: Nodes, workers: Nodes, before: Base, state: State) -> tuple[Edit, State]:
    """The edit after which the file has these nodes, with the refusal that there must be."""

    def change(file: File) -> None:
        for group, nodes in (("managers", managers), ("workers", workers)):
            named = [({"name": name} if name else {}, file.address(last)) for last, name in nodes]
            file.values[group] = [{**name, "address": address} for name, address in named]

    called = {last: name or place for (last, name), place in zip(managers, PLACES, strict=False)}
    refusal = refused(state, before, called, {last for last, _ in workers})
    text = f"from {before}: managers {managers}, workers {workers}"
    return Edit(text, change, before, {state: refusal} if refusal else {}), state


def refused(state: State, before: Base, called: Mapping[int, str], workers: set[int]) -> str:
    """The code with which an update to a file with these machines must be refused; empty if it must be done.

    ``called`` has the managers' names. While the swarm has a leader, a new machine takes the place of the manager that had its
    name. Without one, it is that manager at another address, and managers get other addresses only when all are lost.
    """
    managers, old = set(called), set(MANAGERS[before])
    here = managers | workers
    gone = {int(one) for one in lost(state, [str(last) for last in MANAGERS[before]])}
    left = old - gone
    names = dict(zip(SEVEN, PLACES, strict=True)) if before in UNNAMED else OLD_NAMES
    claimed = {called[last] for last in managers & set(SPARES)}
    moved = {last for last in old - here if names[last] in claimed}
    if state in (State.HEALTHY, State.ONE_LOST) and here & left:
        return "" if managers & {*old, *WORKERS} else "plan-outdated"  # docs/limits.md: no manager knows the swarm
    if moved and here & left:
        return "manager-moved"
    if moved & left:
        return "old-address-in-use"
    if left - here:  # a manager that is up, and that the file does not have
        return "unknown-manager"
    if left & workers:
        return "stand-in-holds-log"
    if not left and managers & set(WORKERS):
        return "no-survivor"
    if moved and len(managers) == 1:  # docs/single-manager.md: nobody can give it a vote there
        return "second-manager-needed"
    return "" if left or managers & old or moved else "no-good-copy"


@st.composite
def names(draw: st.DrawFn, before: Base, machines: list[int]) -> dict[int, str]:
    """A name for each machine: its own, a new one, one that another has, one that a place in the list gave, or none."""
    named = before not in UNNAMED
    given = {last: OLD_NAMES.get(last, f"node-{last}") if named else "" for last in machines}
    some = draw(st.lists(st.sampled_from(machines), unique=True))
    given.update(zip(some, draw(st.permutations([given[last] for last in some])), strict=True))
    new = draw(st.dictionaries(st.sampled_from(machines), st.sampled_from(("", "new", *PLACES)), max_size=4))
    taken = {name for last, name in given.items() if name and last not in new}
    for last, name in new.items():
        given[last] = "" if name in taken else name
        taken.add(name)
    return given


@st.composite
def edits(draw: st.DrawFn) -> tuple[Edit, State]:
    """Any edit, in any state."""
    before = draw(st.sampled_from(tuple(MANAGERS)))
    state = draw(st.sampled_from(Edit("", nothing, before).states))
    machines = draw(st.permutations([*MANAGERS[before], *WORKERS, *SPARES]))
    count = draw(st.sampled_from((1, 3, 5, 7)))
    managers, rest = machines[:count], machines[count:]
    workers = rest[: draw(st.integers(0, len(rest)))]
    called = draw(names(before, [*managers, *workers]))
    if any(not called[last] for last in managers):  # a place gives a name, and another node may not have it
        called = {last: "" if name in PLACES else name for last, name in called.items()}
    return becomes(*(tuple((last, called[last]) for last in group) for group in (managers, workers)), before, state)


@given(edits())
@example(  # a manager that lives becomes a worker, and a blank machine gets the name of a lost one that is in no list
    becomes(((11, ""), (12, ""), (31, "")), ((14, ""),), Base.FIVE, State.QUORUM_LOST)
)
@example(  # the same, and the survivor that is in no list has the name that another blank machine gets
    becomes(
        ((23, ""), (33, ""), (11, ""), (13, ""), (32, "")), ((31, ""), (12, ""), (14, "")), Base.FIVE, State.QUORUM_LOST
    )
)
@example(  # no manager of the file is one yet, and the only one of before that stays is a worker: other workers know it
    becomes(((23, "three"), (33, "node-33"), (32, "node-32")), ((13, "gamma"), (22, "two")), Base.NAMED, State.HEALTHY)
)
@example(  # the lost manager is not in the file any more, and two come new: its vote goes before they come
    becomes(((11, "alpha"), (31, "node-31"), (32, "node-32")), (), Base.NAMED, State.ONE_LOST)
)
@example(  # two managers are alive and in no list, and only their copies tell that: a restore would make a second swarm
    becomes(((12, "beta"), (32, "node-32"), (33, "node-33")), (), Base.NAMED, State.ONE_LOST)
)
@example(  # a worker becomes a manager under the name of a lost one that is in no list any more
    becomes(((23, ""), (22, ""), (21, ""), (11, ""), (13, "")), (), Base.UNNAMED, State.QUORUM_LOST)
)
@example(  # no manager of the file is in the swarm, and one of before stays as a worker
    becomes(((31, ""),), ((12, ""),), Base.UNNAMED, State.HEALTHY)
)
@example(becomes(((31, ""), (32, ""), (33, "")), ((12, ""), (13, "")), Base.FIVE, State.ONE_LOST))
@example(
    becomes(
        ((31, "node-31"), (32, "node-32"), (33, "node-33")), ((13, "gamma"), (21, "one")), Base.NAMED, State.HEALTHY
    )
)
@example(  # the only manager of the file is a lost one at another address
    becomes(((31, ""),), (), Base.UNNAMED, State.ALL_LOST)
)
@settings(
    max_examples=25,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_an_update_changes_what_the_files_have_otherwise_and_risks_no_quorum(
    theatre: Stage, case: tuple[Edit, State]
) -> None:
    edit, state = case
    assert not theatre.run(edit, state).faults, edit.name
