"""The matrix of edits' own parts: what it expects, what its page says, and how a resource is found under a former name."""

from pathlib import Path

import pytest
from pulumi.runtime.proto import alias_pb2, resource_pb2

from tests.edits import page, results
from tests.edits.edits import EDITS
from tests.edits.files import Base, Edit, File, State, base, edited
from tests.edits.oracle import Expected, expected
from tests.edits.results import FAKE, LAB, Result
from tests.fake.stack import Update

BY_NAME = {edit.name: edit for edit in EDITS}


def wanted(name: str, state: State) -> Expected:
    edit = BY_NAME[name]
    before: File = base(edit.base, {"subnet": "10.77.0.0/16"})
    return expected(edit, state, before, edited(edit, before))


def machines(*last: int) -> frozenset[str]:
    return frozenset(f"10.77.1.{number}" for number in last)


def test_a_rename_changes_no_machine() -> None:
    found = wanted("every node is renamed", State.HEALTHY)
    assert (found.kept, found.loyal) == (machines(11, 12, 13, 21, 22, 23), machines(11, 12, 13))
    assert (found.left, found.changing) == (frozenset(), frozenset())


@pytest.mark.parametrize(
    ("state", "loyal", "stays"),
    [
        (State.HEALTHY, (12, 13), (11, 12, 13, 21, 22, 23)),
        (State.ONE_LOST, (13,), (11, 13, 21, 22, 23)),
        (State.QUORUM_LOST, (), (21, 22, 23)),
    ],
)
def test_who_stays_depends_on_who_is_lost(state: State, loyal: tuple[int, ...], stays: tuple[int, ...]) -> None:
    found = wanted("the first manager and a worker exchange their roles", state)
    assert (found.loyal, found.stays) == (machines(*loyal), machines(*stays))
    assert found.managers == machines(21, 12, 13)


def test_a_machine_that_is_lost_keeps_its_node_id_where_a_copy_has_it() -> None:
    assert machines(12) <= wanted("nothing is changed", State.ONE_LOST).kept
    assert not machines(12) & wanted("the copies have another prefix", State.ONE_LOST).kept
    moved = wanted("all managers and all workers exchange their roles", State.ALL_LOST)
    assert moved.kept == machines(21, 22, 23), "a copy is of a manager"


CELLS = [
    (Result("", State.HEALTHY), "nothing"),
    (Result("", State.HEALTHY, operations=["update health"]), "in place"),
    (Result("", State.HEALTHY, operations=["update health"], steps=1), "1 step"),
    (Result("", State.HEALTHY, refused="setting-invalid"), "refused: setting-invalid"),
    (Result("", State.HEALTHY, refused="no-leader", faults=["refused, and not done"]), "**FAULT**: refused, and not done"),
    (None, "not run"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "text"), CELLS)
def test_a_cell_says_what_came_of_an_edit(one: Result | None, text: str) -> None:
    assert page.cell(one) == text


def test_the_page_has_a_row_for_each_edit_and_says_what_ran_on_the_lab() -> None:
    rows = [
        Edit(name, lambda _: None, of) for name, of in (("one", Base.UNNAMED), ("two", Base.FIVE), ("three", Base.ONE))
    ]
    fake = [Result("one", state) for state in State] + [Result("two", State.HEALTHY, faults=["no"])]
    lab = [Result("one", State.HEALTHY), Result("one", State.ALL_LOST, faults=["gone"])]
    text = page.section(rows, fake, lab)
    assert "| one | 3 | nothing* | nothing | nothing | nothing, lab **FAULT**: gone |" in text
    assert "| two | 5 | **FAULT**: no | not run | not run | not run |" in text
    assert "| three | 1, named | not run | as all lost | as all lost | not run |" in text
    assert "10 cases of 3 edits: 4 ended as they must, 1 did not." in text


def test_results_are_stored_by_place_and_replaced(tmp_path: Path) -> None:
    file = tmp_path / "edits.jsonl"
    old, new = Result("one", State.HEALTHY, steps=1), Result("one", State.HEALTHY, steps=2)
    results.replace(FAKE, [old, Result("two", State.HEALTHY)], file)
    results.replace(LAB, [old], file)
    results.replace(FAKE, [new], file)
    assert results.read(FAKE, file) == [Result("two", State.HEALTHY), new]
    assert results.read(LAB, file) == [old]


def test_a_resource_is_found_under_its_own_name_and_under_its_aliases() -> None:
    request = resource_pb2.RegisterResourceRequest(
        name="new",
        aliases=[
            alias_pb2.Alias(spec=alias_pb2.Alias.Spec(name="old")),
            alias_pb2.Alias(spec=alias_pb2.Alias.Spec(name="old", noParent=True)),
            alias_pb2.Alias(urn="urn:pulumi:fake::requorum::a::b"),
        ],
    )
    assert Update.key("urn:pulumi:fake::requorum::p$t::new", request) == [
        "urn:pulumi:fake::requorum::p$t::new",
        "urn:pulumi:fake::requorum::p$t::old",
        "urn:pulumi:fake::requorum::t::old",
        "urn:pulumi:fake::requorum::a::b",
    ]
