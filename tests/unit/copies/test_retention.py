"""Which copies are kept: the rules by tables and properties, the removal on a simulated S3 server."""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from recovery import cli
from recovery.copies import keeps, retention
from recovery.copies.catalog import Catalog
from recovery.copies.copy import TIME, Copy
from recovery.copies.keeps import Keep
from recovery.copies.manifest import Proof, Verdict
from recovery.copies.retention import Candidate, Decision, candidate, decide
from recovery.errors import DamagedCopy, NoUsableCopy, Refused, StoreError, StoreSilent
from recovery.operations import broken_uploads, drill
from recovery.operations import prune as pruning
from recovery.operations.keep import keep, release
from recovery.s3 import client, lease
from recovery.s3.keys import Keys
from recovery.s3.site import Listed, Site
from recovery.s3.store import Store
from recovery.settings import Retention, RetentionRules, Settings
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


def kept(rules: Retention | None, candidates: Sequence[Candidate]) -> list[int]:
    """Places of those that are kept, in the order given."""
    decided = {decision.copy: decision for decision in decide(rules, candidates, NOW)}
    return [place for place, found in enumerate(candidates) if decided[found.copy].keep]


def reasons(rules: Retention | None, *candidates: Candidate) -> tuple[str, ...]:
    """Of the first candidate."""
    return next(found.reasons for found in decide(rules, candidates, NOW) if found.copy == candidates[0].copy)


UNPROVEN = {"proven": False}
MAIN, SECOND, BOTH = ("main",), ("second",), ("main", "second")
OLD = 400 * DAY
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
    assert candidate(copy, manifest, None) == Candidate(copy, make.CLUSTER, proven=True)
    torn = DamagedCopy("looking at it", "99 of 100 bytes are there (main)", remedy="")
    assert candidate(copy, torn, None) == Candidate(copy, fault="99 of 100 bytes are there (main)")
    there = replace(copy, sites=("second",))
    assert candidate(there, manifest, None) == Candidate(there, make.CLUSTER, proven=True, sites=("second",))
    early = replace(copy, written=copy.taken - timedelta(minutes=6))
    assert candidate(early, manifest, None).fault.startswith("its node's clock was ahead")
    assert not candidate(copy, replace(manifest, kind="safety"), None).proven
    assert not candidate(copy, replace(manifest, proof=None), MARK).proven


COUNTS = st.integers(0, 4)
POLICIES = st.builds(
    Retention,
    last=COUNTS,
    hourly=COUNTS,
    daily=COUNTS,
    weekly=COUNTS,
    monthly=COUNTS,
    yearly=COUNTS,
    minimum=st.integers(1, 5),
    grace_hours=st.integers(1, 48),
    cluster=st.builds(
        RetentionRules, last=COUNTS, hourly=COUNTS, daily=COUNTS, weekly=COUNTS, monthly=COUNTS, yearly=COUNTS
    ),
)
AGES = st.one_of(st.integers(-5, 72), st.integers(0, 60).map(lambda days: days * 24), st.integers(0, 30_000))
CANDIDATES = st.lists(
    st.builds(
        lambda hours, minutes, manager, **values: one(hours * HOUR + minutes * HOUR / 60, manager=manager, **values),
        AGES,
        st.integers(0, 59),
        st.sampled_from(["manager-a", "manager-b"]),
        swarm=st.sampled_from(["s1", "s1", "s2"]),
        proven=st.booleans(),
        half=st.sampled_from([False] * 5 + [True]),
        fault=st.sampled_from([""] * 5 + ["torn"]),
        mark=st.sampled_from([None] * 5 + [MARK]),
        sites=st.sampled_from([BOTH, BOTH, MAIN, SECOND, ()]),
    ),
    max_size=40,
    unique_by=lambda found: found.copy,
)


def stay(rules: Retention, candidates: Sequence[Candidate]) -> list[Candidate]:
    left = {decision.copy for decision in decide(rules, candidates, NOW) if decision.keep}
    return [found for found in candidates if found.copy in left]


def own(found: Candidate) -> tuple[str, str]:
    return found.copy.manager, found.swarm


def grouped(candidates: Sequence[Candidate], key: Callable[[Candidate], Any] = own) -> dict[Any, list[Candidate]]:
    """The copies that are neither halves nor faulty, newest first."""
    groups = defaultdict(list)
    for found in sorted(candidates, key=lambda found: found.copy.taken, reverse=True):
        if not (found.half or found.fault):
            groups[key(found)].append(found)
    return groups


@given(POLICIES, CANDIDATES)
def test_every_candidate_is_decided_once_and_with_a_reason(rules: Retention, candidates: list[Candidate]) -> None:
    decisions = decide(rules, candidates, NOW)
    assert sorted(decision.copy.key for decision in decisions) == sorted(found.copy.key for found in candidates)
    assert all(decision.reasons and all(decision.reasons) for decision in decisions)


@given(POLICIES, CANDIDATES)
def test_the_last_proven_copy_never_goes(rules: Retention, candidates: list[Candidate]) -> None:
    left = stay(rules, candidates)
    for key in (own, lambda found: found.swarm):
        for copies in grouped(candidates, key).values():
            proven = [found for found in copies if found.proven]
            assert not proven or any(found.copy.taken == proven[0].copy.taken for found in left if found.proven)


@given(POLICIES, CANDIDATES)
def test_the_last_proven_copy_at_a_site_never_goes(rules: Retention, candidates: list[Candidate]) -> None:
    left = stay(rules, candidates)
    for site in BOTH:
        for copies in grouped([found for found in candidates if site in found.sites]).values():
            proven = [found for found in copies if found.proven]
            assert not proven or any(
                found.copy.taken == proven[0].copy.taken for found in left if found.proven and site in found.sites
            )


@given(POLICIES, CANDIDATES)
def test_the_minimum_holds(rules: Retention, candidates: list[Candidate]) -> None:
    left = grouped(stay(rules, candidates))
    for group, copies in grouped(candidates).items():
        assert len(left[group]) >= min(rules.minimum, len(copies))


@given(POLICIES, CANDIDATES)
def test_pruning_twice_removes_nothing_the_second_time(rules: Retention, candidates: list[Candidate]) -> None:
    left = stay(rules, candidates)
    assert stay(rules, left) == left


@given(POLICIES, CANDIDATES)
def test_marks_faults_and_grace_hold(rules: Retention, candidates: list[Candidate]) -> None:
    left = stay(rules, candidates)
    for found in candidates:
        if found.mark or found.fault or NOW - found.copy.taken < rules.grace_hours * HOUR:
            assert found in left


@given(POLICIES, CANDIDATES)
def test_the_last_ones_and_each_of_the_last_days_stay(rules: Retention, candidates: list[Candidate]) -> None:
    left = stay(rules, candidates)
    for copies in grouped(candidates).values():
        assert all(any(f.copy.taken == found.copy.taken for f in left) for found in copies[: rules.last])
        by_day: defaultdict[Any, list[Candidate]] = defaultdict(list)
        for found in copies:
            by_day[found.copy.taken.date()].append(found)
        for day in sorted(by_day, reverse=True)[: rules.daily]:
            there = [found for found in by_day[day] if found in left]
            assert there
            assert any(found.proven for found in there) == any(found.proven for found in by_day[day])


@given(POLICIES, CANDIDATES)
def test_only_old_broken_uploads_and_copies_that_others_outlive_go(
    rules: Retention, candidates: list[Candidate]
) -> None:
    left = stay(rules, candidates)
    for gone in (found for found in candidates if found not in left):
        peers = [found for found in left if own(found) == own(gone) and not (found.half or found.fault)]
        assert gone.half or any(found.proven or not gone.proven for found in peers)


@given(POLICIES, CANDIDATES, st.integers(0, 40))
def test_what_the_rules_say_again_before_deleting_is_as_safe(
    rules: Retention, candidates: list[Candidate], seen: int
) -> None:
    """A plan is made of some copies, others come, and what goes is what goes by both."""
    planned = {decision.copy for decision in decide(rules, candidates[:seen], NOW) if not decision.keep}
    now = {decision.copy for decision in decide(rules, candidates, NOW) if not decision.keep}
    left = [found for found in candidates if found.copy not in planned & now]
    assert set(candidates[seen:]) <= set(left)
    assert stay(rules, left) == stay(rules, candidates)


# On a simulated server


@pytest.fixture(autouse=True)
def took(monkeypatch: pytest.MonkeyPatch) -> dict[str, datetime]:
    """When S3 took an object, by key: at the time in its name where nothing is said here."""
    said, real = dict[str, datetime](), Site.listed

    def written(key: str, found: Listed) -> Listed:
        named = re.search(r"\d{8}T\d{12}Z", key)
        at = datetime.strptime(named[0], TIME).replace(tzinfo=UTC) if named else found.written
        return replace(found, written=said.get(key, at))

    def listed(site: Site, prefix: str) -> dict[str, Listed]:
        return {key: written(key, found) for key, found in real(site, prefix).items()}

    monkeypatch.setattr(Site, "listed", listed)
    return said


@pytest.fixture
def of() -> Settings:
    return ruled(last=1)


def ruled(**counts: int) -> Settings:
    made = make.settings()
    return made.model_copy(update={"backup": made.backup.model_copy(update={"retention": policy(**counts)})})


def put(of: Settings, folder: Path, ago: timedelta, *, manager: str = "manager-a", proven: bool = True) -> Copy:
    sealed = folder / "sealed"
    sealed.write_bytes(bytes(100))
    proof = Proof(Verdict.PROVEN if proven else Verdict.FAILED, NOW)
    return Catalog(of).add(make.manifest(manager, proof=proof, taken=NOW - ago, size=100), sealed)


LEASE = "requorum/lab/lease.json"


def keys(bucket: Any) -> set[str]:
    """All that lies there but the lease, which stays when it is given back."""
    return {found.key for found in bucket.objects.all()} - {LEASE}


def objects(*copies: Copy) -> set[str]:
    return {key for copy in copies for key in (copy.key, copy.manifest_key)}


def go(of: Settings) -> list[Decision]:
    return [decision for decision in pruning.look(of, NOW) if not decision.keep]


def prune(of: Settings, agreed: list[Decision] | None = None) -> list[retention.Removal]:
    return list(pruning.prune(of, go(of) if agreed is None else agreed, NOW, say=print))


def refuse(
    of: Settings, monkeypatch: pytest.MonkeyPatch, *refused: str, error: Exception | None = None, site: int = 0
) -> list[str]:
    """Let S3 refuse to delete these keys at a site; every deletion there that was asked for, in order."""
    s3, asked = client.client(of.backup.sites[site], client.PATIENT), list[str]()
    real = s3.delete_object

    def delete_object(**given: Any) -> Any:
        asked.append(given["Key"])
        if given["Key"] in refused:
            raise error or ClientError(
                {"Error": {"Code": "AccessDenied", "Message": "object is locked"}}, "DeleteObject"
            )
        return real(**given)

    monkeypatch.setattr(s3, "delete_object", delete_object)
    return asked


def test_the_rest_goes_and_nothing_else_is_touched(of: Settings, bucket: Any, tmp_path: Path) -> None:
    old, older = put(of, tmp_path, 2 * DAY), put(of, tmp_path, 3 * DAY)
    new, other = put(of, tmp_path, DAY), put(of, tmp_path, OLD, manager="manager-b")
    for update in ({"cluster": "lab2"}, {"backup": of.backup.model_copy(update={"prefix": "requorum2"})}):
        for days in (1, 2, 3):
            put(of.model_copy(update=update), tmp_path, days * DAY)
    foreign = [
        old.key.replace("/lab/", "/lab/nested/"),
        old.manifest_key.replace("/lab/", "/lab/nested/"),
        older.key.replace("/lab/manager-a/", "/lab/manager-b/"),
        old.key.replace("swarm-", "photo-").replace("20260316", "20250316"),
        "requorum/lab/manager-a/photo.tar.zst.age",
        "requorum/lab/manager-a/photo.manifest.json",
        "requorum/lab/manager-a/20200101T000000000000Z.keep.json",
        old.manifest_key.replace("20260316", "20240316"),
        *(f"requorum/lab/{name}" for name in ("keys/1.age", "journal/1.json", "reports/1.json", "lost/a.json")),
        "requorum/lab.tar.zst.age",
    ]
    for key in foreign:
        bucket.put_object(Key=key, Body=b"x")
    before = keys(bucket)
    assert {decision.copy for decision in go(of)} == {old, older}
    assert [removal.error for removal in prune(of)] == [None, None]
    assert before - keys(bucket) == objects(old, older)
    assert keys(bucket) < before, "nothing is added either"
    assert set(Catalog(of).copies) == {new, other}
    assert prune(of) == []


def test_the_manifest_goes_first(of: Settings, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(of, tmp_path, DAY)
    old = put(of, tmp_path, 2 * DAY)
    asked = refuse(of, monkeypatch)
    prune(of)
    assert asked[:2] == [old.manifest_key, old.key]


def test_a_refused_deletion_is_told_and_stops_no_other(
    of: Settings, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, *old = (put(of, tmp_path, days * DAY) for days in (1, 2, 3, 4))
    refuse(of, monkeypatch, old[0].manifest_key, old[1].key)
    removals = prune(of)
    assert [bool(removal.error) for removal in removals] == [True, True, False]
    assert "object is locked" in str(removals[0].error)
    assert keys(bucket) == objects(new, old[0]) | {old[1].key}, "a copy whose manifest stays keeps its archive"
    assert [(decision.copy, decision.half) for decision in go(of)] == [(old[0], False), (old[1], True)]


def test_s3_that_stops_answering_ends_it(
    of: Settings, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = [put(of, tmp_path, days * DAY) for days in range(1, 40)]
    silent = EndpointConnectionError(endpoint_url="s3")
    asked = refuse(of, monkeypatch, *(copy.manifest_key for copy in copies), error=silent)
    with pytest.raises(StoreSilent):
        prune(of)
    assert len(asked) < len(copies) - 1
    assert set(Catalog(of).copies) == set(copies)


def test_a_copy_made_meanwhile_stays_and_the_rules_are_asked_again(of: Settings, bucket: Any, tmp_path: Path) -> None:
    new, old, older = (put(of, tmp_path, days * DAY) for days in (1, 2, 3))
    agreed = go(of)
    meanwhile = put(of, tmp_path, 4 * DAY)
    bucket.Object(new.manifest_key).delete()
    assert [removal.decision.copy for removal in prune(of, agreed)] == [older]
    assert set(Catalog(of).copies) == {old, meanwhile}, "what has become the newest proven copy stays too"


def test_a_copy_marked_meanwhile_stays(of: Settings, bucket: Any, tmp_path: Path) -> None:
    _, old, older = (put(of, tmp_path, days * DAY) for days in (1, 2, 3))
    agreed = go(of)
    keep(of, older.name, "evidence", now=NOW, say=print)
    assert [removal.decision.copy for removal in prune(of, agreed)] == [old]


def test_what_was_not_agreed_on_stays(of: Settings, bucket: Any, tmp_path: Path) -> None:
    _, old, older = (put(of, tmp_path, days * DAY) for days in (1, 2, 3))
    agreed = [decision for decision in go(of) if decision.copy == old]
    bucket.Object(older.manifest_key).delete()
    assert [removal.decision.copy for removal in prune(of, agreed)] == [old]
    assert older.key in keys(bucket)


def test_an_upload_that_became_a_copy_is_no_broken_one(of: Settings, bucket: Any, tmp_path: Path) -> None:
    put(of, tmp_path, DAY)
    old = put(of, tmp_path, 2 * DAY)
    manifest = bucket.Object(old.manifest_key).get()["Body"].read()
    bucket.Object(old.manifest_key).delete()
    agreed = go(of)
    assert [decision.half for decision in agreed] == [True]
    bucket.put_object(Key=old.manifest_key, Body=manifest)
    assert prune(of, agreed) == []
    assert objects(old) <= keys(bucket)


def test_broken_uploads_go_when_they_are_old(bucket: Any, tmp_path: Path) -> None:
    of = ruled(last=9, grace_hours=24)
    young, old = put(of, tmp_path, HOUR), put(of, tmp_path, 2 * DAY)
    for copy in (young, old):
        bucket.Object(copy.manifest_key).delete()
    assert [removal.decision.copy for removal in prune(of)] == [old]
    assert keys(bucket) == {young.key}


def test_an_upload_of_a_copy_that_waited_for_days_is_young(
    bucket: Any, tmp_path: Path, took: dict[str, datetime]
) -> None:
    of = ruled(last=9, grace_hours=24)
    new, old = put(of, tmp_path, 5 * DAY), put(of, tmp_path, 6 * DAY)
    for copy, ago in ((new, HOUR), (old, 2 * DAY)):
        bucket.Object(copy.manifest_key).delete()
        took[copy.key] = NOW - ago
    assert [removal.decision.copy for removal in prune(of)] == [old]
    assert keys(bucket) == {new.key}


def test_an_upload_that_becomes_a_copy_as_it_is_to_go_stays(
    of: Settings, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, broken = put(of, tmp_path, 2 * DAY), put(of, tmp_path, 3 * DAY)
    manifest = bucket.Object(old.manifest_key).get()["Body"].read()
    for copy in (old, broken):
        bucket.Object(copy.manifest_key).delete()
    agreed, decided = go(of), pruning._decided

    def late(*given: Any) -> Any:
        found = decided(*given)
        bucket.put_object(Key=old.manifest_key, Body=manifest)
        return found

    monkeypatch.setattr(pruning, "_decided", late)
    assert [removal.decision.copy for removal in prune(of, agreed)] == [broken]
    assert keys(bucket) == objects(old)


def test_the_second_site_keeps_a_proven_copy_that_it_has_whole(of: Settings, bucket: Any, tmp_path: Path) -> None:
    beside = boto3.resource("s3", region_name="us-east-1").create_bucket(Bucket="other")
    second = make.settings(backup={**make.RAW["backup"], "second": {"bucket": "other"}}).backup.second
    two = of.model_copy(update={"backup": of.backup.model_copy(update={"second": second})})
    missing, torn, whole, oldest = (put(two, tmp_path, days * DAY) for days in (1, 2, 3, 4))
    for key in objects(missing):
        beside.Object(key).delete()
    beside.put_object(Key=torn.key, Body=b"")
    assert [removal.decision.copy for removal in prune(two)] == [torn, oldest]
    assert keys(bucket) == objects(missing, whole)
    assert keys(beside) == objects(whole)


def test_copies_that_cannot_be_judged_stay(of: Settings, bucket: Any, tmp_path: Path) -> None:
    _, torn, unread, good = (put(of, tmp_path, days * DAY) for days in (1, 2, 3, 4))
    bucket.put_object(Key=torn.key, Body=b"half")
    bucket.put_object(Key=unread.manifest_key, Body=b"{")
    assert [removal.decision.copy for removal in prune(of)] == [good]


def test_a_torn_newest_copy_is_not_the_last_proven_one(of: Settings, bucket: Any, tmp_path: Path) -> None:
    torn, good, _ = (put(of, tmp_path, days * DAY) for days in (1, 2, 3))
    bucket.put_object(Key=torn.key, Body=b"half")
    prune(of)
    assert set(Catalog(of).copies) == {torn, good}


def test_two_prunes_of_one_plan_are_as_one(of: Settings, bucket: Any, tmp_path: Path) -> None:
    new, *_ = (put(of, tmp_path, days * DAY) for days in (1, 2, 3))
    agreed = go(of)
    assert len(prune(of, agreed)) == 2
    assert prune(of, agreed) == []
    assert keys(bucket) == objects(new)


def test_nothing_is_removed_while_another_holds_the_lease(
    of: Settings, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("WAIT_SECONDS", 0.1), ("PAUSE", 0.02)):
        monkeypatch.setattr(lease, name, seconds)
    copies = [put(of, tmp_path, days * DAY) for days in (1, 2)]
    holder = lease._Holder(Site(of.backup.sites[0]), LEASE, "a stranger")
    holder.acquire("recovery", print)
    try:
        with pytest.raises(Refused, match="code: lease-held"):
            prune(of)
    finally:
        holder.release()
    assert set(Catalog(of).copies) == set(copies)


def test_a_manifest_that_goes_while_copies_are_listed_is_no_error(of: Settings, bucket: Any, tmp_path: Path) -> None:
    new, old = (put(of, tmp_path, days * DAY) for days in (1, 2))
    catalog = Catalog(of)
    bucket.Object(old.manifest_key).delete()
    found = dict(catalog.manifests())
    assert "removed a moment ago" in str(found[old])
    assert next(catalog.by_trust(catalog.copies)) == new


def test_in_a_versioned_bucket_versions_stay(of: Settings, bucket: Any, tmp_path: Path) -> None:
    bucket.Versioning().enable()
    new, old = (put(of, tmp_path, days * DAY) for days in (1, 2))
    before = {(found.object_key, found.id) for found in bucket.object_versions.all()}
    assert [removal.error for removal in prune(of)] == [None]
    assert Catalog(of).copies == (new,)
    versions = {(found.object_key, found.id) for found in bucket.object_versions.all()}
    assert before < versions
    assert {key for key, _ in versions - before} >= objects(old), "delete markers"


def test_marks_are_written_read_and_released(of: Settings, bucket: Any, tmp_path: Path) -> None:
    copy = put(of, tmp_path, DAY)
    written = keep(of, copy.name, "evidence", now=NOW, say=print)
    assert keeps.read(Catalog(of)) == {copy: written}
    assert (written.reason, written.when) == ("evidence", NOW)
    assert "@" in written.who
    listed = Catalog(of)
    for text in (b"{", b""):
        bucket.put_object(Key=copy.keep_key, Body=text)
        assert keeps.read(Catalog(of)) == {copy: Keep("Requorum cannot read the mark", "", None)}
    bucket.Object(copy.keep_key).delete()
    assert list(keeps.read(listed)) == [copy], "what was listed holds"
    bucket.put_object(Key=copy.keep_key, Body=b"{")
    for key in objects(copy):
        bucket.Object(key).delete()
    release(of, copy.name)
    assert keys(bucket) == set()


def test_only_a_copy_is_marked_and_only_a_mark_is_released(of: Settings, bucket: Any, tmp_path: Path) -> None:
    copy = put(of, tmp_path, DAY)
    with pytest.raises(NoUsableCopy, match="code: no-such-name"):
        release(of, copy.name)
    bucket.Object(copy.manifest_key).delete()
    with pytest.raises(NoUsableCopy, match=r"code: no-such-copy$"):
        keep(of, copy.name, "evidence", now=NOW, say=print)
    assert keys(bucket) == {copy.key}


# At two sites


@pytest.fixture
def two(bucket: Any) -> Settings:
    bucket.meta.client.create_bucket(Bucket="other")
    raw = {"last": 1, "hourly": 0, "daily": 0, "weekly": 0, "monthly": 0, "minimum": 1, "graceHours": 1}
    return make.settings(backup={**make.RAW["backup"], "second": {"bucket": "other"}, "retention": raw})


def held(bucket: Any, name: str) -> set[str]:
    """What lies at a site, by its bucket."""
    found = bucket.meta.client.list_objects_v2(Bucket=name).get("Contents", ())
    return {entry["Key"] for entry in found} - {LEASE}


def drilled(of: Settings, copy: Copy, verdict: Verdict, at: datetime) -> list[str]:
    """A drill that finds that of the copy, and what it says."""
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drill, "survey", lambda _: None)
        patch.setattr(drill, "_where", lambda *_: make.manager(of.managers[0], of.nodes))
        patch.setattr(drill, "_restored", lambda *_: Proof(verdict, at))
        list(drill.drill(of, Catalog(of), [copy], on=None, say=said.append))
    return said


def proof_of(of: Settings, copy: Copy) -> Proof | None:
    return Catalog(of).manifest(copy).proof


@pytest.mark.parametrize("site", ["main", "second"])
def test_with_a_site_left_out_nothing_is_pruned(two: Settings, out: set[str], tmp_path: Path, site: str) -> None:
    copies = [put(two, tmp_path, days * DAY) for days in (1, 2)]
    agreed = go(two)
    out.add(site)
    for prune_ in (lambda: pruning.look(two, NOW), lambda: prune(two, agreed)):
        with pytest.raises(
            Refused, match=f"pruning: the {site} site is skipped.*\n.*start {site}, then .*\n.*code: site-skipped"
        ):
            prune_()
    out.clear()
    assert set(Catalog(two).copies) == set(copies)
    assert len(prune(two, agreed)) == 1


def test_a_site_that_is_left_out_as_marks_and_manifests_are_read_counts_too(
    two: Settings, out: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(two, tmp_path, DAY)
    real = Catalog.manifests

    def manifests(catalog: Catalog) -> Any:
        out.add("main")
        return real(catalog)

    monkeypatch.setattr(Catalog, "manifests", manifests)
    with pytest.raises(Refused, match=r"the main site is skipped(?s:.*)code: site-skipped"):
        pruning.look(two, NOW)


@pytest.mark.parametrize(("site", "other"), [(0, "other"), (1, "copies")])
def test_a_deletion_that_one_site_refuses_is_told_and_the_other_site_s_is_done(
    run: Callable[..., Any],
    two: Settings,
    bucket: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    site: int,
    other: str,
) -> None:
    monkeypatch.setattr(cli.console, "_settings", lambda *_: two)
    new, old, older = (put(two, tmp_path, days * DAY) for days in (1, 2, 3))
    refuse(two, monkeypatch, old.manifest_key, older.manifest_key, site=site)
    result = run("prune", "--json", "--yes")
    assert result.exit_code == 3
    assert [(copy["removed"], copy["error"]) for copy in json.loads(result.stdout)["copies"][1:]] == [
        (False, "AccessDenied: object is locked")
    ] * 2
    assert f"s3://{two.backup.sites[site].name}" in result.stderr
    assert held(bucket, other) == objects(new)
    assert held(bucket, two.backup.sites[site].name) == objects(new, old, older)
    result = run("prune", "--yes")
    assert (result.exit_code, "0 removed, 2 refused by S3" in result.stdout) == (3, True)


def test_a_site_that_stops_answering_ends_it(
    two: Settings, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, old = (put(two, tmp_path, days * DAY) for days in (1, 2))
    refuse(two, monkeypatch, old.manifest_key, error=EndpointConnectionError(endpoint_url="s3"), site=1)
    with pytest.raises(StoreSilent, match="the second site"):
        prune(two)
    assert objects(old) <= held(bucket, "other"), "it is whole there, and goes with the next prune"


@pytest.mark.parametrize("site", ["main", "second"])
def test_a_mark_lies_at_both_sites_and_is_taken_back_at_both(
    two: Settings, bucket: Any, out: set[str], tmp_path: Path, site: str
) -> None:
    new, old, older = (put(two, tmp_path, days * DAY) for days in (1, 2, 3))
    keep(two, old.name, "evidence", now=NOW, say=print)
    assert old.keep_key in held(bucket, "copies") & held(bucket, "other")
    out.add(site)
    said: list[str] = []
    keep(two, older.name, "evidence", now=NOW, say=said.append)
    assert [line for line in said if line.startswith(f"the {site} site is skipped")]
    with pytest.raises(Refused, match=f"releasing {old.name}: the {site} site is skipped(?s:.*)code: site-skipped"):
        release(two, old.name)
    out.clear()
    assert set(keeps.read(Catalog(two))) == {old, older}
    assert prune(two) == []
    for copy in (old, older):
        release(two, copy.name)
    assert not [key for name in ("copies", "other") for key in held(bucket, name) if key.endswith(".keep.json")]
    assert set(Catalog(two).copies) == {new, old, older}


def test_the_newest_drill_over_the_sites_counts(two: Settings, bucket: Any, out: set[str], tmp_path: Path) -> None:
    copy = put(two, tmp_path, DAY)
    drilled(two, copy, Verdict.FAILED, NOW)
    for site in ("main", "second"):
        out.add(site)
        assert Catalog(two).manifest(copy).verdict is Verdict.FAILED, "either site tells"
        out.clear()
    out.add("main")
    assert "the main site is skipped: it cannot be reached" in drilled(two, copy, Verdict.PROVEN, NOW + DAY)
    out.clear()
    assert proof_of(two, copy) == Proof(Verdict.PROVEN, NOW + DAY), "of the second site alone"
    out.add("second")
    drilled(two, copy, Verdict.FAILED, NOW + 2 * DAY)
    out.clear()
    assert proof_of(two, copy) == Proof(Verdict.FAILED, NOW + 2 * DAY), "of the main site alone"


def test_a_drill_that_is_listed_and_cannot_be_read_proves_nothing(of: Settings, bucket: Any, tmp_path: Path) -> None:
    copy, bad = put(of, tmp_path, DAY), put(of, tmp_path, 2 * DAY, proven=False)
    for text in (b"{", b"", b'{"proof": null}'):
        for one_ in (copy, bad):
            bucket.put_object(Key=one_.drill_key, Body=text)
        proof = proof_of(of, copy)
        assert proof
        assert (proof.verdict, proof.detail) == (Verdict.UNPROVEN, "the result of its last drill cannot be read")
        assert Catalog(of).manifest(bad).verdict is Verdict.FAILED
    listed = Catalog(of)
    bucket.Object(copy.drill_key).delete()
    assert listed.manifest(copy).verdict is Verdict.UNPROVEN
    unsaid = drill.Drill(copy, "manager-b", Proof(Verdict.UNPROVEN, NOW), 1.0, 2.0)
    bucket.put_object(Key=copy.drill_key, Body=drill.as_json(unsaid))
    assert Catalog(of).manifest(copy).verdict is Verdict.PROVEN, "what says nothing changes nothing"


def test_monitors_are_told_of_the_newest_drill_also_with_a_site_out(
    two: Settings, out: set[str], tmp_path: Path
) -> None:
    copy = put(two, tmp_path, DAY)
    drilled(two, copy, Verdict.PROVEN, NOW)
    out.add("main")
    assert drill.last(two, Store(two.backup.sites)) == {"manager-a": Proof(Verdict.PROVEN, NOW)}
    drilled(two, copy, Verdict.FAILED, NOW + DAY)
    out.clear()
    assert drill.last(two, Store(two.backup.sites)) == {"manager-a": Proof(Verdict.FAILED, NOW + DAY)}


def test_a_site_that_was_left_out_of_the_listing_is_not_waited_for_with_each_drill(
    two: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = put(two, tmp_path, DAY)
    drilled(two, copy, Verdict.PROVEN, NOW)
    asked: list[str] = []

    def silent(real: Callable[[Site, str], Any]) -> Callable[[Site, str], Any]:
        def ask(site: Site, key: str) -> Any:
            asked.append(site.name)
            if site.name == "second":
                raise StoreSilent("asking", "it cannot be reached", remedy="start it")
            return real(site, key)

        return ask

    for name in ("look", "listed"):
        monkeypatch.setattr(Site, name, silent(getattr(Site, name)))
    store = Store(two.backup.sites, hasty=True)
    assert Catalog(two, store).manifest(copy).proof == Proof(Verdict.PROVEN, NOW)
    assert asked == ["main", "second", "main", "main"]
    asked.clear()
    assert list(drill.last(two, store)) == ["manager-a"]
    assert asked == ["main", "second", "main"]


# By command


@pytest.fixture
def run(of: Settings, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setattr(cli.console, "_settings", lambda *_: of)
    return lambda *words, answer=None: CliRunner().invoke(cli.app, list(words), input=answer)


def test_prune_asks_before_it_removes(run: Callable[..., Any], of: Settings, bucket: Any, tmp_path: Path) -> None:
    new, old = (put(of, tmp_path, days * DAY) for days in (1, 2))
    for words, answer, code in ((["--dry-run"], None, 0), ([], "n\n", 1), ([], None, 1)):
        result = run("prune", *words, answer=answer)
        assert (result.exit_code, keys(bucket)) == (code, objects(new, old))
        assert "1 of 2 copies to remove" in result.stdout
        assert f"{old.name}" in result.stdout
    assert run("prune", "--json").exit_code == 2
    result = run("prune", answer="y\n")
    assert (result.exit_code, keys(bucket)) == (0, objects(new))
    assert "1 removed, 0 refused by S3" in result.stdout
    assert "nothing to remove" in run("prune", "--yes").stdout


def test_prune_in_json_and_its_exit_status(
    run: Callable[..., Any], of: Settings, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, old, older = (put(of, tmp_path, days * DAY) for days in (1, 2, 3))
    planned = json.loads(run("prune", "--json", "--dry-run").stdout)
    assert (planned["version"], planned["cluster"], planned["dryRun"]) == (1, "lab", True)
    assert [(copy["name"], copy["keep"], copy["removed"]) for copy in planned["copies"]] == [
        (new.name, True, False),
        (old.name, False, False),
        (older.name, False, False),
    ]
    assert planned["copies"][1]["reasons"] == ["no rule keeps it (last 1)"]
    refuse(of, monkeypatch, old.manifest_key)
    result = run("prune", "--json", "--yes")
    assert result.exit_code == 3
    assert [(copy["removed"], copy["error"]) for copy in json.loads(result.stdout)["copies"]] == [
        (False, None),
        (False, "AccessDenied: object is locked"),
        (True, None),
    ]
    assert f"{old.name} was not removed" in result.stderr
    assert run("prune", "--yes").exit_code == 3


@pytest.mark.parametrize("versioned", [False, True])
def test_prune_says_that_versions_stay(
    run: Callable[..., Any], of: Settings, bucket: Any, tmp_path: Path, versioned: bool
) -> None:
    if versioned:
        bucket.Versioning().enable()
    for days in (1, 2):
        put(of, tmp_path, days * DAY)
    for words in (["--yes", "--json"], ["--yes"]):
        shown = run("prune", *words).stdout
        if "--json" in words:
            assert [copy["versionsStay"] for copy in json.loads(shown)["copies"]] == [False, versioned]
            put(of, tmp_path, 2 * DAY)
        else:
            assert ("the bucket has versioning" in shown) == versioned


OURS = [
    "requorum/lab/manager-a/swarm-20.10.24-manager-a-20260102T030405000000Z.tar.zst.age",
    "requorum/lab/data/rows/data-rows-20260102T030405000000Z.zst.age",
]
THEIRS = [
    *(key.replace("/lab/", "/lab2/") for key in OURS),
    *(key.replace("/lab/", "/lab/nested/") for key in OURS),
    *(key.replace("20260102", "20261302") for key in OURS),
    *(key.removesuffix(".age") for key in OURS),
    OURS[0].replace("/manager-a/", "/manager-b/"),
    OURS[0].replace("swarm-", "photo-"),
    OURS[1].replace("/data/", "/database/"),
    OURS[1].replace("/rows/", "/files/"),
    "requorum/lab/manager-a/film.mp4",
    "requorum/lab/film.tar.zst.age",
]


def test_uploads_under_other_names_are_other_people_s() -> None:
    assert [key for key in [*OURS, *THEIRS] if broken_uploads.is_ours(key, Keys("requorum", "lab"))] == OURS


def test_prune_removes_the_parts_of_uploads_that_broke_off(
    run: Callable[..., Any], of: Settings, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = put(of, tmp_path, DAY)
    keys_ = [*OURS, *THEIRS]
    for key in keys_:
        bucket.Object(key).initiate_multipart_upload()

    def left() -> list[str]:
        return sorted(upload.object_key for upload in bucket.multipart_uploads.all())

    document = json.loads(run("prune", "--json", "--dry-run").stdout)
    assert sorted((one["site"], one["key"], one["removed"]) for one in document["uploads"]) == sorted(
        ("main", key, False) for key in OURS
    )
    assert run("prune", answer="n\n").exit_code == 1
    assert left() == sorted(keys_)
    s3 = client.client(of.backup.sites[0], client.PATIENT)
    real = s3.abort_multipart_upload

    def denied(**given: Any) -> Any:
        if given["Key"] == OURS[0]:
            raise ClientError({"Error": {"Code": "AccessDenied"}}, "AbortMultipartUpload")
        return real(**given)

    with monkeypatch.context() as patch:
        patch.setattr(s3, "abort_multipart_upload", denied)
        result = run("prune", "--yes")
    assert result.exit_code == 3
    assert f"the parts of {OURS[0]} were not removed" in result.stderr.replace("\n", "")
    assert left() == sorted([OURS[0], *THEIRS])
    assert run("prune", "--yes").exit_code == 0
    assert left() == sorted(THEIRS)
    assert keys(bucket) == objects(new)


def test_without_a_right_to_see_uploads_copies_are_pruned_all_the_same(
    run: Callable[..., Any], of: Settings, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, _ = (put(of, tmp_path, days * DAY) for days in (1, 2))

    def denied(*_: Any) -> Any:
        raise StoreError("listing the uploads to s3://copies", "AccessDenied", remedy="allow it")

    monkeypatch.setattr(Site, "uploads", denied)
    result = run("prune", "--yes")
    assert (result.exit_code, keys(bucket)) == (0, objects(new))
    assert "Requorum cannot list interrupted uploads: listing the uploads" in result.stderr


@pytest.mark.parametrize("site", ["main", "second"])
def test_a_site_that_does_not_tell_its_uploads_keeps_the_other_s_from_no_look(
    two: Settings, bucket: Any, monkeypatch: pytest.MonkeyPatch, site: str
) -> None:
    for name in ("copies", "other"):
        bucket.meta.client.create_multipart_upload(Bucket=name, Key=OURS[0])
    real, said = Site.uploads, list[str]()

    def denied(at: Site, prefix: str) -> Any:
        if at.name == site:
            raise StoreError(f"listing the uploads to the {site} site", "AccessDenied", remedy="allow it")
        return real(at, prefix)

    monkeypatch.setattr(Site, "uploads", denied)
    (found,) = broken_uploads.list_broken(two, datetime.now(UTC) + DAY, say=said.append)
    assert (found.site.name, found.upload.key) == ({"main": "second", "second": "main"}[site], OURS[0])
    (line,) = said
    assert line.startswith(f"Requorum cannot list interrupted uploads: listing the uploads to the {site} site: Acc")


def test_keep_shows_in_backups_and_holds(run: Callable[..., Any], of: Settings, bucket: Any, tmp_path: Path) -> None:
    _, old = (put(of, tmp_path, days * DAY) for days in (1, 2))
    for words in ((), ("--reason", " "), ("--reason", "evidence", "--release")):
        assert run("keep", old.name, *words).exit_code == 2
    assert run("keep", old.name, "--reason", "evidence").exit_code == 0
    shown = json.loads(run("backups", "--json").stdout)["copies"]
    assert shown[0]["keep"] is None
    assert shown[1]["keep"]["reason"] == "evidence"
    assert shown[1]["keep"].keys() == {"reason", "who", "when"}
    assert "evidence (" in run("backups").stdout
    assert "nothing to remove" in run("prune", "--yes").stdout
    assert run("keep", old.name, "--release").exit_code == 0
    assert run("keep", old.name, "--release").exit_code == 1
    assert "1 removed" in run("prune", "--yes").stdout


def test_keep_in_json(run: Callable[..., Any], of: Settings, bucket: Any, tmp_path: Path) -> None:
    copy = put(of, tmp_path, DAY)
    kept = json.loads(run("keep", copy.name, "--reason", "evidence [1]", "--json").stdout)
    mark = keeps.read(Catalog(of))[copy]
    assert mark.when
    assert kept == {
        "version": 1,
        "cluster": "lab",
        "name": copy.name,
        "keep": {"reason": "evidence [1]", "who": mark.who, "when": mark.when.isoformat()},
    }
    for key in objects(copy):
        bucket.Object(key).delete()
    released = json.loads(run("keep", copy.name, "--release", "--json").stdout)
    assert released == {**kept, "keep": None}
    again = run("keep", copy.name, "--release", "--json")
    assert (again.exit_code, *json.loads(again.stdout)) == (1, "version", "error")


def test_without_a_policy_nothing_goes(bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of = make.settings()
    copies = [put(of, tmp_path, days * DAY) for days in (1, 400, 800)]
    monkeypatch.setattr(cli.console, "_settings", lambda *_: of)
    result = CliRunner().invoke(cli.app, ["prune", "--yes"])
    assert result.exit_code == 0
    assert "requorum:backup.retention is not set" in result.stdout
    assert set(Catalog(of).copies) == set(copies)
