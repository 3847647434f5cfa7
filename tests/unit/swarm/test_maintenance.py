"""The note of a node in maintenance."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.swarm.entries import Member
from recovery.swarm.maintenance import NOTE, Maintenance
from tests.unit import factories as make

ENTRY = Member("id", "worker-1", "10.77.1.21", "worker", "drain", ready=True)


def noted(label: str) -> Member:
    return replace(ENTRY, labels={NOTE: label})


@given(
    st.sampled_from(["active", "pause", "drain"]),
    st.none() | st.datetimes(timezones=st.just(UTC), min_value=datetime(2000, 1, 1)),
)
def test_what_is_noted_is_read_again(before: str, until: datetime | None) -> None:
    kept = Maintenance(before, until)
    assert Maintenance.of(noted(kept.label)) == kept


@pytest.mark.parametrize("label", ["", "away", "active yesterday", "active 2026-13-01", "ACTIVE"])
def test_what_nobody_can_read_is_no_note(label: str) -> None:
    assert Maintenance.of(noted(label)) is None


def test_a_node_without_a_label_is_in_no_maintenance() -> None:
    assert (Maintenance.of(ENTRY), Maintenance.of(None)) == (None, None)


def test_a_maintenance_without_an_end_is_never_over() -> None:
    assert not Maintenance("active").is_over(make.NOW)
    assert Maintenance("active", make.NOW).is_over(make.NOW + timedelta(seconds=1))
    assert not Maintenance("active", make.NOW).is_over(make.NOW)


def test_a_time_without_a_zone_is_utc() -> None:
    assert Maintenance.of(noted("active 2026-01-02T03:04:05")) == Maintenance("active", make.NOW)
