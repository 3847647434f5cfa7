"""The raft options around a join: short for a moment, and back, whatever comes between."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.swarm.raft_options import DEFAULTS, NOTE, SHORT, restored, shortened

RAFT = {"SnapshotInterval": 5000, "LogEntriesForSlowFollowers": 77, "ElectionTick": 10}
SPECS: list[dict[str, Any]] = [
    {"Name": "default", "Labels": {}, "Raft": RAFT},
    {"Name": "default", "Labels": {"mine": "yes"}, "Raft": RAFT, "EncryptionConfig": {"AutoLockManagers": True}},
]


@pytest.mark.parametrize("spec", SPECS)
def test_afterwards_everything_is_as_before(spec: dict[str, Any]) -> None:
    short = shortened(spec)
    assert short["Raft"] == {**RAFT, **SHORT}
    assert restored(short) == spec
    assert restored(spec) == spec


@pytest.mark.parametrize("spec", SPECS)
def test_one_that_was_broken_off_is_not_taken_for_what_was_set(spec: dict[str, Any]) -> None:
    assert shortened(shortened(spec)) == shortened(spec)
    assert restored(shortened(shortened(spec))) == spec


def test_options_that_nobody_set_become_the_defaults() -> None:
    for bare in ({}, {"Raft": None, "Labels": None}):
        assert restored(shortened(bare))["Raft"] == DEFAULTS


@given(st.text())
def test_a_note_that_cannot_be_read_never_leaves_the_log_short(note: str) -> None:
    back = restored({"Labels": {NOTE: note}, "Raft": SHORT})
    assert NOTE not in back["Labels"]
    assert set(back["Raft"]) == set(DEFAULTS)
    assert all(isinstance(value, int) for value in back["Raft"].values())
