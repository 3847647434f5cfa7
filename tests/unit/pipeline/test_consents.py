"""When a consent that an operator gave in S3 counts: a table, and what it turns a decision into."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.pipeline.consents import DONE, VALID, Attempt, Consent, goes_on, why_not
from recovery.pipeline.watching import Act, Decision, Seen, answered, topic
from recovery.planning.diagnosis import Kind
from recovery.planning.plan import Plan, Refusal
from tests.unit import factories as make

ID, OTHER = "r0123456789abcdef", "rfedcba9876543210"
NOW = make.NOW
GIVEN = NOW - timedelta(minutes=5)
CONSENT = Consent(ID, GIVEN, "ann@desk")
BEGUN = Attempt(ID, GIVEN, NOW - timedelta(minutes=1), "watcher@w")
TABLE = [
    ("given", CONSENT, None, ""),
    ("given by a clock that is ahead", replace(CONSENT, when=NOW + timedelta(minutes=4)), None, ""),
    ("none", None, None, "needs the consent of a person"),
    ("unsigned", replace(CONSENT, unsigned="it is not signed"), None, "does not count: it is not signed"),
    ("to another plan", replace(CONSENT, plan=OTHER), None, f"is to plan {OTHER}"),
    ("withdrawn", replace(CONSENT, withdrawn=True), None, "ann@desk withdrew"),
    ("a day old", replace(CONSENT, when=NOW - VALID), None, "is valid for a day"),
    ("of tomorrow", replace(CONSENT, when=NOW + timedelta(minutes=6)), None, "is valid for a day"),
    ("taken, and the watcher was killed", CONSENT, BEGUN, ""),
    ("taken, and done", CONSENT, replace(BEGUN, ended=DONE), "is used up"),
    ("taken, and failed", CONSENT, replace(BEGUN, ended="it failed"), "is used up: it failed"),
    ("given again", replace(CONSENT, when=NOW), replace(BEGUN, ended="it failed"), ""),
]


@pytest.mark.parametrize(("consent", "attempt", "why"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_when_a_consent_counts(consent: Consent | None, attempt: Attempt | None, why: str) -> None:
    found = why_not(ID, consent, attempt, NOW)
    assert why in found
    assert bool(found) is bool(why)


@pytest.mark.parametrize(
    ("attempt", "report", "on"),
    [
        (BEGUN, None, True),
        (BEGUN, BEGUN.when - timedelta(seconds=1), True),
        (BEGUN, BEGUN.when + timedelta(seconds=1), False),
        (replace(BEGUN, ended="it failed"), None, True),
        (replace(BEGUN, ended=DONE), None, False),
        (replace(BEGUN, when=NOW - VALID), None, False),
    ],
    ids=["killed", "an older report", "proven", "failed", "done", "of yesterday"],
)
def test_the_rest_of_a_recovery_goes_on_until_it_is_proven(attempt: Attempt, report: object, on: bool) -> None:
    assert goes_on([attempt], report, NOW) is on  # type: ignore[arg-type]


@given(st.sampled_from(Act), st.sampled_from(["", "nobody consented"]))
def test_a_consent_answers_a_question_and_nothing_else(act: Act, why: str) -> None:
    found = answered(Decision(act, "why"), why)
    if act is not Act.ASK:
        assert found == Decision(act, "why")
    else:
        assert found.act is (Act.ASK if why else Act.RECOVER)
        assert found.why


def seen(kind: Kind, **given: object) -> Seen:
    refusal = Refusal("manager-b is silent for 5 min", "start it", code="silent-manager")
    return replace(Seen(kind, Plan(kind, refusal=refusal), well=False), **given)  # type: ignore[arg-type]


def test_people_hear_of_another_state_and_not_of_an_age() -> None:
    says = Decision(Act.SAY, "since 5 min")
    assert topic(seen(Kind.QUORUM_LOST), says) == topic(seen(Kind.QUORUM_LOST), Decision(Act.SAY, "since 6 min"))
    assert topic(seen(Kind.QUORUM_LOST), says) != topic(seen(Kind.FORKED), says)
    old = [topic(seen(Kind.HEALTHY, faults=(f"FAILED   copies: {age} old",)), says) for age in ("26 h", "27 h")]
    assert old[0] == old[1]
    assert topic(seen(Kind.HEALTHY, faults=("FAILED   site: down",)), says) not in old
    lost = seen(Kind.ALL_LOST, plan=Plan(Kind.ALL_LOST, copy="swarm-a"))
    other = replace(lost, plan=replace(lost.plan, copy="swarm-b"))
    asks = Decision(Act.ASK, "it needs consent")
    assert topic(lost, asks) != topic(other, asks)
