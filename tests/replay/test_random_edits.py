"""Random pairs of stack files, on the fake swarm: nodes renamed, reordered, added, removed and moved at once.

While the swarm has a leader, an update never takes a vote from a machine that the file still calls a manager. At no moment
does the quorum have less to spare than one manager, or than it had at the beginning. Only entries of machines change that the
files have otherwise, or that were lost; and none gets or loses its vote twice. The oracle of the edits says so.
"""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, assume, example, given, settings
from hypothesis import strategies as st

from tests.edits.files import NAMES, SPARES, WORKER_NAMES, Base, Edit, File, State
from tests.edits.trial import Stage, stage

MANAGERS = {Base.NAMED: (11, 12, 13), Base.FIVE_NAMED: (11, 12, 13, 14, 15)}
WORKERS = (21, 22, 23)
LOST = 12
OLD_NAMES = {**dict(zip((11, 12, 13, 14, 15), NAMES, strict=True)), **dict(zip(WORKERS, WORKER_NAMES, strict=True))}
Nodes = tuple[tuple[int, str], ...]
"""The nodes of a list: the last number of the address, and the name."""


@pytest.fixture(scope="module")
def theatre() -> Iterator[Stage]:
    with stage() as made:
        yield made


def becomes(managers: Nodes, workers: Nodes, before: Base) -> Edit:
    """The edit after which the file has these nodes."""

    def change(file: File) -> None:
        for group, nodes in (("managers", managers), ("workers", workers)):
            file.values[group] = [{"name": name, "address": file.address(last)} for last, name in nodes]

    return Edit(f"managers {managers}, workers {workers}", change, before)


@st.composite
def edits(draw: st.DrawFn) -> tuple[Edit, State]:
    """Any edit of a healthy swarm, or of one that lost a manager, that leaves one of its living managers in the file.

    A lost manager keeps its name (copies count by name), and no machine gets the name of another.
    """
    before, state = draw(st.sampled_from(tuple(MANAGERS))), draw(st.sampled_from((State.HEALTHY, State.ONE_LOST)))
    machines = draw(st.permutations([*MANAGERS[before], *WORKERS, *SPARES]))
    count = draw(st.sampled_from((3, 5)))
    managers, rest = machines[:count], machines[count:]
    workers = rest[: draw(st.integers(0, len(rest)))]
    lost = {LOST} if state is State.ONE_LOST else set()
    assume(set(managers) & (set(MANAGERS[before]) - lost))
    renamed = draw(st.sets(st.sampled_from(machines))) - lost
    names = {
        last: OLD_NAMES[last] if last in OLD_NAMES and last not in renamed else f"node-{last}" for last in machines
    }
    return becomes(*(tuple((last, names[last]) for last in group) for group in (managers, workers)), before), state


@given(edits())
@example(  # the lost manager is not in the file any more, and two come new: its vote goes before they come
    (becomes(((11, "alpha"), (31, "node-31"), (32, "node-32")), (), Base.NAMED), State.ONE_LOST)
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
