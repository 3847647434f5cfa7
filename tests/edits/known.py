"""Where an edit does not end yet as it must, and why. A test fails when such a case ends well."""

from collections.abc import Mapping

from tests.edits.files import State

Cases = Mapping[str, tuple[State, ...]]
ONE, QUORUM, ALL = State.ONE_LOST, State.QUORUM_LOST, State.ALL_LOST
LIVES = (State.HEALTHY, ONE, QUORUM)
KNOWN: Mapping[str, Cases] = {
    "a lost manager that gets the name of another comes back as another node, if copies of both are there": {
        "5 managers become 3, without the first ones": (QUORUM, ALL),
    },
    "a name that a worker's machine had as a manager counts as moved to another address": dict.fromkeys(
        (
            "a manager and a worker without names exchange their roles",
            "a manager and a worker exchange their roles and names",
        ),
        LIVES,
    ),
    "a leader is looked for only among the managers of the stack file": {
        "all managers and all workers exchange their roles": (State.HEALTHY, ONE),
    },
}


def reason(edit: str, state: State) -> str:
    """Why the case is known not to end as it must; empty if it must."""
    return next((why for why, cases in KNOWN.items() if state in cases.get(edit, ())), "")
