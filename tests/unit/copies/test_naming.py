"""The short names of copies, in a table: what each means, and which are refused."""

from dataclasses import replace
from datetime import timedelta

import pytest

from recovery.copies.copy import Copy, newest_first
from recovery.copies.naming import find, short
from recovery.errors import NoUsableCopy
from tests.unit import factories as make

NOON = make.NOW.replace(hour=12, minute=0, second=0, microsecond=0)


def of(manager: str, ago: timedelta) -> Copy:
    return make.copy_of(replace(make.manifest(manager), taken=NOON - ago))


DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
NEW_A, OLD_A, OLDER_A = (of("manager-a", ago) for ago in (HOUR, DAY + HOUR, 2 * HOUR))
NEW_B, TWIN_B = of("manager-b", MINUTE - timedelta(microseconds=5)), of("manager-b", MINUTE)
ALL = newest_first((NEW_A, OLD_A, OLDER_A, NEW_B, TWIN_B))
MEANINGS = [
    ("latest", NEW_B),
    ("manager-a", NEW_A),
    ("manager-b", NEW_B),
    (OLD_A.name, OLD_A),
    (OLD_A.name[:-8], OLD_A),
    ("manager-a@10", OLDER_A),
    ("manager-a@10:00", OLDER_A),
    (f"manager-a@{OLD_A.taken:%Y-%m-%d}", OLD_A),
    (f"manager-a@{OLD_A.taken:%Y-%m-%d %H:%M}", OLD_A),
    (f"manager-a@{OLD_A.taken:%Y-%m-%dT%H:%M:%S}Z", OLD_A),
    (f"manager-b@{NEW_B.taken:%H:%M:%S.%f}", NEW_B),
]


def called(text: str, copies: tuple[Copy, ...] = ALL) -> Copy:
    return find(copies, text, NoUsableCopy("looking", "nothing", remedy="look", code="no-such-copy"))


@pytest.mark.parametrize(("text", "meant"), MEANINGS, ids=[text for text, _ in MEANINGS])
def test_what_a_name_means(text: str, meant: Copy) -> None:
    assert called(text) == meant


@pytest.mark.parametrize("text", ["", "manager", "manager-c", "manager-a@", "manager-a@13", "@11", "latest@11", "wolf"])
def test_what_names_nothing(text: str) -> None:
    with pytest.raises(NoUsableCopy) as refused:
        called(text)
    assert refused.value.code == "no-such-copy"


SEVERAL = [("manager-a@11:00", (NEW_A, OLD_A)), ("swarm-", ALL), ("manager-b@11:59", (NEW_B, TWIN_B))]


@pytest.mark.parametrize(("text", "candidates"), SEVERAL, ids=[text for text, _ in SEVERAL])
def test_a_name_of_several_is_refused_with_the_candidates_and_each_of_them_names_one(
    text: str, candidates: tuple[Copy, ...]
) -> None:
    with pytest.raises(NoUsableCopy) as refused:
        called(text)
    assert refused.value.code == "ambiguous-copy"
    listed = refused.value.why.partition(": ")[2].split(", ")
    assert {called(name) for name in listed} == set(candidates)


def test_every_copy_is_found_by_its_short_name_unless_another_was_taken_in_the_same_second() -> None:
    assert [called(short(copy)) for copy in (NEW_A, OLD_A, OLDER_A)] == [NEW_A, OLD_A, OLDER_A]


def test_nothing_is_the_latest_where_there_is_no_copy() -> None:
    with pytest.raises(NoUsableCopy):
        called("latest", ())
