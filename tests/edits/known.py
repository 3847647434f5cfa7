"""Where an edit does not end yet as it must, and why. A test fails when such a case ends well."""

from collections.abc import Mapping

from tests.edits.files import State

Cases = Mapping[str, tuple[State, ...]]
KNOWN: Mapping[str, Cases] = {}


def reason(edit: str, state: State) -> str:
    """Why the case is known not to end as it must; empty if it must."""
    return next((why for why, cases in KNOWN.items() if state in cases.get(edit, ())), "")
