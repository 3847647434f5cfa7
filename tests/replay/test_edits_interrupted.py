"""An edit of the managers is struck at each effect. The next update finishes it, or goes back to the file of before.

The oracle of the edits watches the whole way: no quorum is in doubt, no vote is given or taken twice, and the leader hands over once.
"""

from collections.abc import Iterator

import pytest

from tests.edits.edits import EDITS
from tests.edits.trial import Stage, stage
from tests.fake.wires import Moment, Strike

REPLACED = "the second manager is another machine under the same name"
NAMES = (
    REPLACED,
    "the first manager is another machine under the same name",
    "the first manager and a worker exchange their roles",
    "1 manager becomes 3 with workers",
    "5 managers become 7",
    "7 managers become 3",
    "3 managers become 1, and the others workers",
    "a manager is replaced, one becomes a worker, a worker a manager, and one is in another zone",
)


@pytest.fixture(scope="module")
def theatre() -> Iterator[Stage]:
    with stage() as made:
        yield made


CASES = [
    pytest.param(
        name,
        moment,
        back,
        marks=[] if (name, moment, back) == (REPLACED, Moment.KILLED, False) else [pytest.mark.whole],
    )
    for name in NAMES
    for moment in Moment
    for back in (False, True)
]


@pytest.mark.parametrize(("name", "moment", "back"), CASES)
def test_an_edit_that_is_interrupted_ends_as_the_next_file_says(
    theatre: Stage, points: Iterator[int], name: str, moment: Moment, back: bool
) -> None:
    edit = next(edit for edit in EDITS if edit.name == name)
    for at in points:
        met, faults = theatre.interrupt(edit, Strike(at, moment), back=back)
        assert not faults, f"{moment} at effect {at}"
        if not met:
            return
