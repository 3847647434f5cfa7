"""`recover: true` counts for one loss, whatever is saved or committed; typed, for the loss at hand."""

from typing import Any

import pytest

from recovery.cluster import Cluster
from recovery.errors import SettingError
from recovery.operations import consent
from recovery.planning.diagnosis import Kind
from recovery.planning.plan import Plan, Refusal
from recovery.s3.store import Store
from recovery.settings import parse
from tests.unit import factories as make

ON, OFF = make.settings(recover=True), make.settings()
HEALTHY, LOST = Plan(Kind.HEALTHY), Plan(Kind.ALL_LOST, copy="swarm-a")
REFUSED = Plan(Kind.ALL_LOST, copy="swarm-a", refusal=Refusal("it moves a manager", "give its ID", consent=True))


def spent() -> bool:
    return consent.is_spent(Cluster(ON), Store(ON.backup.sites))


def test_a_flag_that_is_given_at_a_loss_counts_until_the_recovery_is_proven(bucket: Any) -> None:
    consent.keep_up(Cluster(OFF), HEALTHY)
    consent.keep_up(Cluster(ON), LOST)
    assert not spent()
    consent.settle(Cluster(ON), ON.recover)
    assert spent()


def test_a_flag_that_is_found_while_nothing_is_lost_is_used_up(bucket: Any) -> None:
    consent.keep_up(Cluster(ON), HEALTHY)
    assert spent()
    consent.keep_up(Cluster(ON), LOST)
    assert spent(), "a later loss does not renew it"


def test_an_update_without_the_flag_renews_it(bucket: Any) -> None:
    consent.keep_up(Cluster(ON), HEALTHY)
    consent.keep_up(Cluster(OFF), HEALTHY)
    assert not spent()


@pytest.mark.parametrize(
    ("plan", "given", "goes"),
    [
        (LOST, {"typed": True}, True),
        (LOST, {"typed": True, "preview": True}, False),
        (LOST, {"typed": False}, False),
        (REFUSED, {"typed": True}, False),
        (HEALTHY, {"typed": True}, False),
    ],
    ids=["typed", "typed for a preview", "saved", "the plan is refused all the same", "nothing is lost"],
)
def test_a_flag_that_is_typed_for_a_later_loss_counts_until_that_recovery_is_proven(
    bucket: Any, plan: Plan, given: dict[str, bool], goes: bool
) -> None:
    consent.settle(Cluster(ON), ON.recover)
    consent.keep_up(Cluster(ON), plan, **given)
    assert spent() is not goes
    consent.settle(Cluster(ON), ON.recover)
    assert spent()


def test_a_preview_without_the_flag_renews_nothing(bucket: Any) -> None:
    """A pull request of a branch that was cut before the flag was committed is previewed: on main it must not fire."""
    consent.keep_up(Cluster(ON), HEALTHY)
    consent.keep_up(Cluster(OFF), HEALTHY, preview=True)
    assert spent()


def test_the_id_of_a_plan_neither_uses_up_nor_renews(bucket: Any) -> None:
    by_id = make.settings(recover="r1234567")
    consent.keep_up(Cluster(OFF), HEALTHY)
    consent.keep_up(Cluster(by_id), HEALTHY)
    consent.settle(Cluster(by_id), by_id.recover)
    assert not spent()
    consent.keep_up(Cluster(ON), HEALTHY)
    consent.keep_up(Cluster(by_id), HEALTHY)
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
