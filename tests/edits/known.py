"""Where an edit does not end yet as it must, and why. A test fails when such a case ends well."""

from collections.abc import Mapping

from tests.edits.files import State

Cases = Mapping[str, tuple[State, ...]]
ONE, QUORUM, ALL = State.ONE_LOST, State.QUORUM_LOST, State.ALL_LOST
LIVES = (State.HEALTHY, ONE, QUORUM)
KNOWN: Mapping[str, Cases] = {
    "copies count by the name of their manager, so a lost one comes back as another node under another name": {
        "the first manager is renamed": (QUORUM, ALL),
        "the second manager is renamed": (ONE, QUORUM, ALL),
        **dict.fromkeys(
            (
                "all managers are renamed",
                "every node is renamed",
                "managers without names get some",
                "every node without a name gets one",
                "every node loses its name",
                "both lists are reversed, and all are renamed",
                "3 managers become 5, and all are renamed",
                "the zones have other names",
            ),
            (ONE, QUORUM, ALL),
        ),
        "two workers become managers, and all are renamed": (ONE, QUORUM),
        "a manager and a worker exchange their names": (QUORUM, ALL),
    },
    "a manager that gets the name of another counts as moved to another address": {
        **dict.fromkeys(
            (
                "two managers exchange their names",
                "all managers exchange their names in a circle",
                "managers without names are reordered",
                "both lists are reversed",
                "3 managers become 5, the new ones in front",
                "5 managers become 3, without the first ones",
            ),
            tuple(State),
        ),
        **dict.fromkeys(
            (
                "a manager and a worker without names exchange their roles",
                "a manager and a worker exchange their roles and names",
            ),
            LIVES,
        ),
    },
    "a leader is looked for only among the managers of the stack file": {
        "all managers and all workers exchange their roles": (State.HEALTHY, ONE),
    },
}


def reason(edit: str, state: State) -> str:
    """Why the case is known not to end as it must; empty if it must."""
    return next((why for why, cases in KNOWN.items() if state in cases.get(edit, ())), "")
