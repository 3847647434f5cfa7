"""Consent to one plan, as an operator gives it to a watcher without a forge, and what a watcher made of it. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from recovery.spans import SKEW

VALID = timedelta(hours=24)
"""A consent that no watcher took by then is forgotten: nobody waits for it any more."""

DONE = "the recovery is done"
"""How an attempt ends that brought the cluster back."""


@dataclass(frozen=True)
class Question:
    """The plan that a watcher asks consent to, as people read it. Without a plan, nothing is asked."""

    plan: str
    lines: tuple[str, ...]
    when: datetime
    by: str


@dataclass(frozen=True)
class Consent:
    """An operator's consent to a plan."""

    plan: str
    when: datetime
    by: str
    withdrawn: bool = False
    unsigned: str = ""
    """Why no operator's signature is valid on it; empty if one is."""


@dataclass(frozen=True)
class Attempt:
    """A watcher took a consent, and recovers by it."""

    plan: str
    given: datetime
    """When the consent was given. A later consent to the same plan is another one."""
    when: datetime
    by: str
    ended: str = ""
    """How it ended. Empty while it runs, and for ever if its process was killed."""


def why_not(plan: str, consent: Consent | None, attempt: Attempt | None, now: datetime) -> str:
    """Why a watcher may not recover by this consent; empty if it may. What was killed may go on."""
    if consent is None:
        return f"plan {plan} needs the consent of a person"
    if consent.unsigned:
        return f"a consent to plan {plan} does not count: {consent.unsigned}"
    if consent.plan != plan:
        return f"the consent of {consent.by} is to plan {consent.plan}, and the plan is {plan} now"
    if consent.withdrawn:
        return f"{consent.by} withdrew the consent to plan {plan}"
    if not -SKEW <= now - consent.when < VALID:
        return f"the consent of {consent.by} to plan {plan} is of {consent.when:%Y-%m-%d %H:%M} UTC, and is valid for a day"
    if attempt and attempt.given == consent.when and attempt.ended:
        return f"the consent of {consent.by} to plan {plan} is used up: {attempt.ended}"
    return ""


def goes_on(attempts: Iterable[Attempt], newest_report: datetime | None, now: datetime) -> bool:
    """Whether a recovery that an operator consented to was begun and is not proven yet. Its rest needs no other consent."""
    return any(
        one.ended != DONE and now - one.when < VALID and not (newest_report and newest_report > one.when)
        for one in attempts
    )
