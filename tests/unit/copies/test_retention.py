"""Which copies are kept, by tables."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from recovery.copies.manifest import Proof, Verdict
from recovery.copies.retention import Candidate, candidate, decide, furthest_proven
from recovery.errors import DamagedCopy
from recovery.settings import Retention, RetentionRules
from recovery.swarm.wal import Position
from tests.unit import factories as make
from tests.unit.copies.candidates import BOTH, DAY, HOUR, MAIN, MARK, NOW, OLD, SECOND, UNPROVEN, one, policy


def kept(rules: Retention | None, candidates: Sequence[Candidate]) -> list[int]:
    """Places of those that are kept, in the order given."""
    decided = {decision.copy: decision for decision in decide(rules, candidates, NOW)}
    return [place for place, found in enumerate(candidates) if decided[found.copy].keep]


def reasons(rules: Retention | None, *candidates: Candidate) -> tuple[str, ...]:
    """Of the first candidate."""
    return next(found.reasons for found in decide(rules, candidates, NOW) if found.copy == candidates[0].copy)


TABLE: list[tuple[str, Retention | None, list[Candidate], list[int]]] = [
    ("no policy keeps all", None, [one(OLD), one(2 * OLD), one(OLD, half=True, manager="x")], [0, 1, 2]),
    ("the last two", policy(last=2), [one(n * DAY) for n in (1, 2, 3, 4)], [0, 1]),
    ("the last two of each manager", policy(last=2), [one(n * DAY, manager=m) for n in (1, 2, 3) for m in ("a", "b")], [0, 1, 2, 3]),
    ("the last two of each swarm", policy(last=2), [one(n * DAY, swarm=s) for n in (1, 2, 3) for s in ("s1", "s2")], [0, 1, 2, 3]),
    ("the newest of each hour", policy(hourly=2), [one(n * HOUR / 4) for n in (4, 5, 6, 7, 8, 9)], [0, 3]),
    ("the newest of each day", policy(daily=2), [one(n * HOUR) for n in (1, 12, 13, 14, 36, 37)], [0, 2]),
    ("days without a copy do not count", policy(daily=3), [one(n * DAY) for n in (1, 100, 101, 300, 301)], [0, 1, 2]),
    ("weeks begin on Monday", policy(weekly=2), [one(n * DAY) for n in (1, 2, 3, 4)], [0, 2]),
    ("months", policy(monthly=2), [one(n * DAY) for n in (1, 17, 18, 19, 46)], [0, 2]),
    ("years", policy(yearly=2), [one(n * DAY) for n in (1, 2, 77, 78, 443)], [0, 2]),
    ("the proven one of its day", policy(daily=2), [one(HOUR, **UNPROVEN), one(2 * HOUR), one(2 * DAY, **UNPROVEN), one(2 * DAY + HOUR, **UNPROVEN)], [1, 2]),
    ("rules add up", policy(last=1, daily=2), [one(n * HOUR) for n in (1, 2, 24, 25)], [0, 2]),
    ("the last proven one, however old", policy(last=2), [one(DAY, **UNPROVEN), one(2 * DAY, **UNPROVEN), one(OLD), one(2 * OLD)], [0, 1, 2]),
    ("the proven one that is committed furthest", policy(), [one(DAY), one(2 * DAY, furthest=True), one(3 * DAY)], [0, 1]),
    ("the last proven one of each manager", policy(), [one(DAY), one(OLD, manager="manager-b"), one(2 * OLD, manager="manager-b")], [0, 1]),
    ("the last proven one at each site", policy(), [one(1 * DAY, sites=MAIN), one(2 * DAY, sites=BOTH), one(3 * DAY, sites=BOTH), one(4 * DAY, sites=SECOND)], [0, 1]),
    ("the last proven one of each manager at each site", policy(), [one(n * DAY, manager=m, sites=s) for n, m, s in ((1, "a", MAIN), (2, "b", BOTH), (3, "a", BOTH), (4, "b", SECOND))], [0, 1, 2]),
    ("what cannot be judged is the last at no site", policy(), [one(1 * DAY, sites=MAIN), one(2 * DAY, sites=BOTH, fault="torn"), one(3 * DAY, sites=BOTH), one(4 * DAY, sites=SECOND)], [0, 1, 2]),
    ("the minimum, proven ones first", policy(minimum=3), [one(1 * DAY), one(2 * DAY, **UNPROVEN), one(3 * DAY), one(4 * DAY), one(5 * DAY)], [0, 2, 3]),
    ("the minimum counts what is kept anyhow", policy(minimum=2, last=2), [one(n * DAY) for n in (1, 2, 3)], [0, 1]),
    ("the minimum where none is proven", policy(minimum=2), [one(n * DAY, **UNPROVEN) for n in (1, 2, 3)], [0, 1]),
    ("the last two of the cluster", policy(cluster=RetentionRules(last=2)), [one(n * DAY, manager=m, **UNPROVEN) for n, m in ((1, "a"), (2, "b"), (3, "b"), (4, "a"))], [0, 1]),
    ("the newest of each day of the cluster", policy(cluster=RetentionRules(daily=3)), [one(n * HOUR, manager=m) for n, m in ((1, "a"), (2, "b"), (30, "b"), (31, "a"), (50, "a"), (74, "b"))], [0, 1, 2, 4]),
    ("the proven one of the cluster's day", policy(cluster=RetentionRules(daily=2)), [one(HOUR, manager="a", **UNPROVEN), one(2 * HOUR, manager="b"), one(30 * HOUR, manager="a"), one(31 * HOUR, manager="b")], [1, 2]),
    ("the cluster's rules are for each swarm", policy(cluster=RetentionRules(last=1)), [one(n * DAY, manager=m, swarm=s, **UNPROVEN) for n, m, s in ((1, "a", "s1"), (2, "b", "s2"), (3, "a", "s1"), (4, "b", "s2"))], [0, 1]),
    ("of each manager and of the cluster", policy(last=1, cluster=RetentionRules(daily=3)), [one(n * DAY, manager=m, **UNPROVEN) for n, m in ((1, "a"), (2, "b"), (3, "b"), (4, "a"))], [0, 1, 2]),
    ("the grace period", policy(grace_hours=6), [one(n * HOUR) for n in (1, 5, 6, 7)], [0, 1]),
    ("a copy of the future is young", policy(), [one(-DAY), one(DAY, **UNPROVEN)], [0]),
    ("a mark", policy(), [one(DAY), one(OLD, mark=MARK), one(2 * OLD)], [0, 1]),
    ("what cannot be judged stays, and stands in for none", policy(last=1), [one(DAY, fault="torn"), one(2 * DAY), one(3 * DAY, fault="torn"), one(4 * DAY)], [0, 1, 2]),
    ("uploads under way, and those that broke off", policy(grace_hours=6, last=9), [one(5 * HOUR, half=True), one(7 * HOUR, half=True), one(8 * HOUR, half=True, mark=MARK)], [0, 2]),
    ("an upload of a copy that waited for days", policy(grace_hours=6, last=9), [one(9 * DAY, half=True, stored=NOW - 5 * HOUR), one(9 * DAY + HOUR, half=True, stored=NOW - 7 * HOUR)], [0]),
    ("a half stands in for no copy", policy(last=1), [one(2 * HOUR, half=True), one(DAY, **UNPROVEN)], [1]),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "candidates", "places"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_what_is_kept(rules: Retention | None, candidates: list[Candidate], places: list[int]) -> None:
    assert kept(rules, candidates) == places
    assert kept(rules, candidates[::-1]) == sorted(len(candidates) - 1 - place for place in places), "in any order"


def test_periods_are_those_of_utc() -> None:
    late = datetime(2026, 3, 1, 23, 0, tzinfo=UTC).astimezone(timezone(5 * HOUR))
    assert late.day == 2
    found = [Candidate(replace(one(DAY).copy, taken=taken), "s1", True) for taken in (late, late - 3 * HOUR)]
    decisions = decide(policy(daily=2), found, NOW)
    assert [decision.keep for decision in decisions] == [True, False], "of one day"
    assert decisions[0].reasons[0] == "daily: 2026-03-01"


def test_each_decision_says_why() -> None:
    default = Retention()
    newer = [one(n * HOUR) for n in range(26, 90)]
    assert reasons(None, one(OLD)) == ("requorum:backup.retention is not set",)
    assert reasons(default, one(HOUR), *newer) == (
        "younger than 24 h",
        "among the last 10",
        "hourly: 2026-03-18 11 h",
        "daily: 2026-03-18",
        "weekly: 2026-W12",
        "monthly: 2026-03",
        "the newest proven copy of swarm s1",
        "the newest proven copy of manager-a",
    )
    assert reasons(default, newer[-2], *newer) == (
        "no rule keeps it (last 10, hourly 24, daily 7, weekly 5, monthly 12)",
    )
    whole = policy(last=1, cluster=RetentionRules(daily=1, yearly=1))
    assert reasons(whole, newer[0], one(HOUR, **UNPROVEN), *newer[1:])[:2] == (
        "by the cluster's rules, yearly: 2026",
        "the newest proven copy of swarm s1",
    )
    assert reasons(whole, newer[9], *newer) == ("no rule keeps it (last 1; cluster: daily 1, yearly 1)",)
    assert reasons(policy(), one(OLD, mark=MARK), *newer) == ("marked: before the upgrade (ops@desk)",)
    assert reasons(policy(), one(OLD, fault="not a manifest"), *newer) == (
        "no rule removes a copy that cannot be judged: not a manifest",
    )
    assert reasons(policy(), one(HOUR / 2, half=True)) == ("younger than 1 h, and its upload may still run",)
    assert reasons(policy(), one(HOUR, half=True)) == (
        "an archive without a manifest, older than 1 h: its upload was interrupted",
    )
    held = [one(HOUR, sites=MAIN), one(DAY, sites=BOTH)]
    assert reasons(policy(), held[1], *held) == ("the newest proven copy of manager-a at the second site",)
    assert reasons(policy(), one(9 * DAY, half=True, stored=NOW)) == ("younger than 1 h, and its upload may still run",)
    assert reasons(policy(minimum=2), newer[1], *newer) == ("manager-a keeps at least 2 copies",)


def test_only_what_is_whole_by_its_manifest_is_judged() -> None:
    manifest = make.manifest(size=100, proof=Proof(Verdict.PROVEN, NOW))
    copy = make.copy_of(manifest)
    assert candidate(copy, manifest, None) == Candidate(copy, make.CLUSTER, proven=True, signer=make.ca_sha256())
    torn = DamagedCopy("looking at it", "99 of 100 bytes are there (main)", remedy="")
    assert candidate(copy, torn, None) == Candidate(copy, fault="99 of 100 bytes are there (main)")
    there = replace(copy, sites=("second",))
    assert candidate(there, manifest, None) == replace(candidate(copy, manifest, None), copy=there, sites=("second",))
    early = replace(copy, written=copy.taken - timedelta(minutes=6))
    assert candidate(early, manifest, None).fault.startswith("its node's clock was ahead")
    assert not candidate(copy, replace(manifest, kind="safety"), None).proven
    assert not candidate(copy, replace(manifest, proof=None), MARK).proven


def test_the_clock_of_a_manager_that_was_set_back_costs_no_changes() -> None:
    """Its last copy has an earlier time than the one before, and S3 stored it later."""
    proof = Proof(Verdict.PROVEN, NOW)
    taken = {2 * DAY: (40, 0), 2 * DAY + HOUR / 12: (50, 1), 2 * DAY + HOUR / 2: (90, -30)}
    made = [make.manifest(proof=proof, taken=NOW - ago, position=Position(3, 99, c)) for ago, (c, _) in taken.items()]
    stored = [NOW - 2 * DAY + timedelta(minutes=minute) for _, minute in taken.values()]
    copies = [replace(make.copy_of(one), written=at, sites=MAIN) for one, at in zip(made, stored, strict=True)]
    read = list(zip(copies, made, strict=True))
    assert furthest_proven([*read, (make.copy_of(make.manifest("manager-b")), make.manifest("manager-b"))]) == {
        copies[1]
    }
    found = [candidate(copy, one, None, reach={copies[1]}) for copy, one in read]
    assert kept(policy(), found) == [0, 1]
    assert reasons(policy(), *found[1:], found[0]) == (
        f"the proven copy of swarm {make.CLUSTER} that is committed furthest",
    )
