"""Which copies are kept, by properties: whatever the rules and the copies are, some things never go."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from recovery.copies.retention import Candidate, decide
from recovery.settings import Retention, RetentionRules
from tests.unit.copies.candidates import BOTH, HOUR, MAIN, MARK, NOW, SECOND, one

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
