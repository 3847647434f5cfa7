"""Retention rules, and copies that they judge."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from recovery.copies.keeps import Keep
from recovery.copies.retention import Candidate
from recovery.settings import Retention, RetentionRules
from tests.unit import factories as make

NOW = datetime(2026, 3, 18, 12, 30, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MARK = Keep("before the upgrade", "ops@desk", NOW)
NO_RULES = RetentionRules()
NOTHING = {"last": 0, "hourly": 0, "daily": 0, "weekly": 0, "monthly": 0, "yearly": 0, "minimum": 1, "grace_hours": 1}


def policy(cluster: RetentionRules = NO_RULES, **counts: int) -> Retention:
    return Retention(**{**NOTHING, **counts}, cluster=cluster)


def one(ago: timedelta, *, manager: str = "manager-a", **values: Any) -> Candidate:
    copy = make.copy_of(replace(make.manifest(manager), taken=NOW - ago))
    return Candidate(copy, **{"swarm": "s1", "proven": True, **values})


UNPROVEN = {"proven": False}
MAIN, SECOND, BOTH = ("main",), ("second",), ("main", "second")
OLD = 400 * DAY
