"""Whatever somebody with the operator's S3 key, and without the SSH key, writes where operators write: it decides nothing.

Leases and the declaration of a format are left out: they may stop a command, and docs/security.md says so.
"""

import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recovery.operations import report
from recovery.s3.keys import DRILL, KEEP
from tests.adversary.hostile import BYTES, JSON
from tests.adversary.test_any_objects import COMMANDS, Stage, ends_as_documented, holds, stage
from tests.unit import factories as make
from tests.unit.data import stored as data
from tests.unit.operations.test_report import RESTORED, told

__all__ = ["stage"]

TIME = "20260102T030405000006Z"
NEARLY: Mapping[str, dict[str, Any]] = {
    "reports": report.as_json(told(*RESTORED), TIME),
    "journal": {"action": "force", "node": "manager-a", "begun": "2026-01-02T03:04:05+00:00", "who": "x", "facts": {}},
    "lost": {"node": "manager-a", "address": "10.77.1.11", "at": "2026-01-02T03:04:05+00:00", "how": "off", "by": "x"},
    "consent": {"counts": True, "at": "2026-01-02T03:04:05+00:00"},
    "drill": {"proof": {"verdict": "proven", "at": "2026-01-02T03:04:05+00:00"}},
    "keep": {"reason": "x", "by": "x", "at": "2026-01-02T03:04:05+00:00"},
    "data": data.manifest().to_document(),
}
"""What Requorum itself writes there."""
MORE = (
    ["reports", TIME],
    ["reports", TIME, "--json"],
    ["reports", "--json"],
    ["lease"],
    ["data", "prune", "--dry-run"],
    ["data", "verify"],
)


def spoilt(draw: st.DrawFn, value: Any) -> Any:
    """The document with another value somewhere in it, or in its place."""
    if isinstance(value, Mapping | list) and value and draw(st.integers(0, 5)):
        made: Any = deepcopy(value)
        key = draw(st.sampled_from(sorted(value) if isinstance(value, Mapping) else range(len(value))))
        made[key] = spoilt(draw, value[key])
        return made
    return draw(JSON)


@st.composite
def control(draw: st.DrawFn, stage: Stage) -> dict[str, bytes]:
    """A few objects that only operators write, nearly right or not at all."""
    of, keys = stage.of, stage.of.keys
    copies = sorted(key for key in stage.genuine if key.endswith(".tar.zst.age"))
    copy = draw(st.sampled_from(copies)).removesuffix(".tar.zst.age")
    dated = f"data-rows-{make.NOW:%Y%m%dT%H%M%S%fZ}"
    places = {
        "reports": [f"{keys.reports}{TIME}.json", f"{keys.reports}99991231T235959000000Z.json"],
        "journal": [f"{keys.journal}{TIME}-force-manager-a.json", f"{keys.journal}x.json"],
        "lost": [keys.lost_node(node.name) for node in of.nodes],
        "consent": [keys.consent],
        "drill": [copy + DRILL, keys.drill("manager-a")],
        "keep": [copy + KEEP],
        "data": [f"{keys.data}rows/{dated}.manifest.json"],
    }
    found: dict[str, bytes] = {f"{keys.data}rows/{dated}.zst.age": b"x"}
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(sorted(places)))
        key = draw(st.sampled_from(places[kind]))
        if draw(st.integers(0, 3)):
            document = spoilt(draw, NEARLY[kind])
            found[key] = json.dumps(document, default=str).encode()
        else:
            found[key] = draw(BYTES)
    return found


@settings(max_examples=12)
@given(given_=st.data())
def test_the_same_copy_is_restored_and_no_genuine_one_goes(stage: Stage, given_: st.DataObject) -> None:
    holds(stage, given_.draw(control(stage)))


@settings(max_examples=15)
@given(given_=st.data())
def test_every_command_ends_as_documented(stage: Stage, given_: st.DataObject) -> None:
    ends_as_documented(stage, given_.draw(control(stage)), given_.draw(st.sampled_from((*COMMANDS, *MORE))))


@pytest.mark.whole
@settings(max_examples=200)
@given(given_=st.data())
def test_so_it_is_for_many_objects(stage: Stage, given_: st.DataObject) -> None:
    holds(stage, given_.draw(control(stage)))


@pytest.mark.whole
@settings(max_examples=300)
@given(given_=st.data())
def test_so_it_does_for_many_objects(stage: Stage, given_: st.DataObject) -> None:
    ends_as_documented(stage, given_.draw(control(stage)), given_.draw(st.sampled_from((*COMMANDS, *MORE))))
