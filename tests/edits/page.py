"""Writes the results of edits as the second table of the chaos page."""

from collections.abc import Iterable, Mapping, Sequence

from tests.edits.files import Base, Edit, State
from tests.edits.known import KNOWN
from tests.edits.results import Result

HEAD = """
## Edits of the stack file

Each row is one edit of the lists or settings in a stack file. Each column is the state of the managers at the time of the
edit: the lost machines are there again, and are empty. *One lost* is the second manager. *Quorum lost* is the first manager
and as many of the next as a majority has. The operator then runs `pulumi up`, with consent to the plan that preview shows.

Every case ran on the [fake swarm](decisions/016-a-fake-swarm-below-the-code.md), with the real program and the real
providers in Pulumi's order. Cases with * ran on a lab too. [A separate function](../tests/edits/oracle.py) decides how each
case must end. It knows a machine by its address. After each edit:

- the machines that the file calls managers vote, and no others
- the swarm lists the machines of the file, each with its own entry, and no others
- a machine that stays keeps its node ID. That includes a lost manager that has a copy
- no machine that stays has left the swarm, and no manager that stays has lost its vote for a moment, except by the recovery of a lost quorum
- at no moment does the quorum have less to spare than one manager, or than it had before
- availability and labels are as the file says
- a second update does nothing

| cell | meaning |
|---|---|
| nothing | The update changed neither a resource nor a machine. |
| in place | The update changed resources, and no machine and no entry of the swarm. |
| N steps | The update made N changes of machines or of the swarm, among them those of the recovery, besides the copies. |
| refused | Requorum refused the update with this code, as it must, before it changed anything. |

"""
SHORT = {
    Base.UNNAMED: "3",
    Base.NAMED: "3, named",
    Base.FIVE: "5",
    Base.FIVE_NAMED: "5, named",
    Base.ADOPTED: "3, with the ID",
    Base.RETURNING: "3, named, and one before",
    Base.ONE: "1, named",
    Base.SEVEN: "7, named",
}


def section(edits: Sequence[Edit], fake: Iterable[Result], lab: Iterable[Result]) -> str:
    """The part of the page about edits."""
    here = {(one.edit, one.state): one for one in fake}
    there = {(one.edit, one.state): one for one in lab}
    rows = [
        f"| {edit.name} | {SHORT[edit.base]} | {' | '.join(_cell(edit, state, here, there) for state in State)} |\n"
        for edit in edits
    ]
    count = sum(len(edit.states) for edit in edits)
    bad = sum(bool(one.faults) for one in here.values())
    totals = f"{count} cases of {len(edits)} edits: {len(here) - bad} ended as they must, {bad} did not.\n\n"
    title = f"| edit | managers | {' | '.join(State)} |\n" + "|---" * (len(State) + 2) + "|\n"
    return "".join([HEAD, totals, title, *rows, *_known()])


def cell(one: Result | None) -> str:
    """The text of one case's result."""
    if one is None:
        return "not run"
    if one.faults:
        return f"**FAULT**: {one.faults[0]}"
    if one.refused:
        return f"refused: {one.refused}"
    if one.steps:
        return f"{one.steps} step{'s' * (one.steps != 1)}"
    return "in place" if one.operations else "nothing"


def _cell(
    edit: Edit,
    state: State,
    here: Mapping[tuple[str, str], Result],
    there: Mapping[tuple[str, str], Result],
) -> str:
    if state not in edit.states:
        return "as all lost"
    text, real = cell(here.get((edit.name, state))), there.get((edit.name, state))
    if real is None:
        return text
    return f"{text}*" if not real.faults else f"{text}, lab {cell(real)}"


def _known() -> list[str]:
    lines = [f"- {why}: {sum(map(len, cases.values()))} cases\n" for why, cases in KNOWN.items()]
    return ["\nThe faults have these causes:\n\n", *lines] if lines else []
