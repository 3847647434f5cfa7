"""`recover: true` counts for one loss, whatever is saved or committed."""

from typing import Any

import pytest

from recovery.errors import SettingError
from recovery.operations import consent
from recovery.planning.diagnosis import Kind
from recovery.s3.store import Store
from recovery.settings import parse
from tests.unit import factories as make

ON, OFF = make.settings(recover=True), make.settings()


def spent() -> bool:
    return consent.is_spent(ON, Store(ON.backup.sites))


def test_a_flag_that_is_given_at_a_loss_counts_until_the_recovery_is_proven(bucket: Any) -> None:
    consent.keep_up(ON, Kind.ALL_LOST)
    assert not spent()
    consent.spend(ON)
    assert spent()


def test_a_flag_that_is_found_while_nothing_is_lost_is_used_up(bucket: Any) -> None:
    consent.keep_up(ON, Kind.HEALTHY)
    assert spent()
    consent.keep_up(ON, Kind.ALL_LOST)
    assert spent(), "a later loss does not renew it"


def test_an_update_without_the_flag_renews_it(bucket: Any) -> None:
    consent.keep_up(ON, Kind.HEALTHY)
    consent.keep_up(OFF, Kind.HEALTHY)
    assert not spent()


def test_a_preview_without_the_flag_renews_nothing(bucket: Any) -> None:
    """A pull request of a branch that was cut before the flag was committed is previewed: on main it must not fire."""
    consent.keep_up(ON, Kind.HEALTHY)
    consent.keep_up(OFF, Kind.HEALTHY, preview=True)
    assert spent()


def test_the_id_of_a_plan_neither_uses_up_nor_renews(bucket: Any) -> None:
    by_id = make.settings(recover="r1234567")
    consent.keep_up(by_id, Kind.HEALTHY)
    consent.spend(by_id)
    assert not spent()
    consent.keep_up(ON, Kind.HEALTHY)
    consent.keep_up(by_id, Kind.HEALTHY)
    assert spent()


@pytest.mark.parametrize(
    ("given", "meant"), [("true", True), ("True", True), (True, True), ("false", False), ("r0a1b2c3", "r0a1b2c3")]
)
def test_consent_is_true_or_the_id_of_a_plan(given: Any, meant: Any) -> None:
    assert parse(make.raw(recover=given)).recover == meant


@pytest.mark.parametrize("given", ["yes", "1", "r123", "0a1b2c3d", ""])
def test_anything_else_is_no_consent(given: str) -> None:
    with pytest.raises(SettingError, match=r"requorum:recover: .*the ID of the plan"):
        parse(make.raw(recover=given))
