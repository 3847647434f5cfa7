"""When the operator's word that a machine is lost counts: against silence only, and not for long."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given

from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog
from recovery.spans import SKEW
from recovery.survey import lost
from recovery.survey.lost import VALID, LossDeclaration, apply_declarations
from recovery.swarm.model import NodeReport, Reach
from tests.unit import factories as make
from tests.unit.planning.test_diagnosis import A, B, S, surveys

WORD = LossDeclaration("manager-a", str(A.address), make.NOW - timedelta(minutes=5), "switched off by ipmi", "ops@desk")
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("report", "word", "reach"),
    [
        (make.silent(A), WORD, Reach.NAMED),
        (make.silent(A), replace(WORD, when=make.NOW - VALID + MINUTE), Reach.NAMED),
        (make.silent(A), replace(WORD, when=make.NOW - VALID), Reach.SILENT),
        (make.silent(A), replace(WORD, when=make.NOW + SKEW - MINUTE), Reach.NAMED),
        (make.silent(A), replace(WORD, when=make.NOW + SKEW + MINUTE), Reach.SILENT),
        (make.silent(A), replace(WORD, address="10.77.9.9"), Reach.SILENT),
        (make.silent(B), WORD, Reach.SILENT),
        (make.silent(replace(A, name="m1")), WORD, Reach.NAMED),
        (make.silent(replace(B, name="manager-a")), WORD, Reach.SILENT),
        (make.gone(A), WORD, Reach.ABSENT),
        (NodeReport(A, Reach.STOPPED), WORD, Reach.STOPPED),
        (NodeReport(A, Reach.REFUSED), WORD, Reach.REFUSED),
        (NodeReport(A, Reach.NO_ENGINE), WORD, Reach.NO_ENGINE),
        (make.leaderless(A), WORD, Reach.ANSWERS),
    ],
    ids=[
        "silent",
        "nearly an hour ago",
        "an hour ago",
        "by a clock that is ahead",
        "of the future",
        "of another address",
        "of another node",
        "renamed since",
        "its name is another's now",
        "known to be gone anyway",
        "its driver knows that it is only stopped",
        "refuses",
        "engine down",
        "answers",
    ],
)
def test_a_word_counts_against_silence_only(report: NodeReport, word: LossDeclaration, reach: Reach) -> None:
    [seen] = apply_declarations([report], [word], make.NOW)
    assert seen.reach is reach
    assert seen.known_lost is (reach in (Reach.NAMED, Reach.ABSENT))
    assert bool(seen.named) is seen.known_lost


@given(surveys(S))
def test_words_about_everybody_change_nothing_of_what_answers(reports: list[NodeReport]) -> None:
    said = [replace(WORD, node=r.node.name, address=str(r.node.address)) for r in reports]
    for before, after in zip(reports, apply_declarations(reports, said, make.NOW), strict=True):
        assert after == before or before.reach in (Reach.SILENT, Reach.ABSENT)


def test_who_said_it_when_and_why_and_when_it_ends_is_shown() -> None:
    assert WORD.text(make.NOW) == "declared lost 5 min ago by ops@desk: switched off by ipmi (valid until 03:59 UTC)"


def test_a_word_is_kept_in_the_store_until_it_is_forgotten(bucket: Any) -> None:
    lost.declare_lost(Cluster(S), WORD)
    assert [entry.key for entry in bucket.objects.all()] == ["requorum/lab/lost/manager-a.json"]
    assert lost.read_declarations(Cluster(S)) == (WORD,)
    assert Catalog(S).copies == (), "a word is no copy"
    lost.withdraw(Cluster(S), B)
    assert lost.read_declarations(Cluster(S)) == (WORD,)
    lost.withdraw(Cluster(S), replace(A, name="m1"))
    assert lost.read_declarations(Cluster(S)) == ()
    lost.withdraw(Cluster(S), A)


@pytest.fixture
def two(bucket: Any) -> Cluster:
    bucket.meta.client.create_bucket(Bucket="other")
    return Cluster(make.settings(backup={**make.RAW["backup"], "second": {"bucket": "other"}}))


def test_a_word_that_was_given_again_while_a_site_was_silent_is_read(two: Cluster, out: set[str]) -> None:
    lost.declare_lost(two, replace(WORD, when=make.NOW - timedelta(hours=5)))
    out.add("main")
    lost.declare_lost(two, WORD)
    out.clear()
    assert lost.read_declarations(two) == (WORD,)


def test_a_word_about_a_machine_is_forgotten_at_whichever_site_it_is(two: Cluster, out: set[str]) -> None:
    lost.declare_lost(two, replace(WORD, address="10.77.9.9"))
    out.add("main")
    lost.declare_lost(two, WORD)
    out.clear()
    lost.withdraw(two, replace(A, name="m1"))
    assert lost.read_declarations(two) == ()


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"null", json.dumps({"node": "manager-a"}).encode()])
def test_an_unreadable_word_is_none(bucket: Any, content: bytes) -> None:
    bucket.put_object(Key="requorum/lab/lost/manager-a.json", Body=content)
    assert lost.read_declarations(Cluster(S)) == ()


def test_a_silent_machine_whose_kernel_accepts_connections_is_not_named_lost(
    bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost.declare_lost(Cluster(S), WORD)
    for silent, reach in ((True, Reach.NAMED), (False, Reach.SILENT)):
        monkeypatch.setattr(lost, "is_silent", lambda *_, silent=silent, **__: silent)
        [seen] = lost.with_declarations(Cluster(S), [make.silent(A)], make.NOW)
        assert seen.reach is reach


def test_without_the_store_no_word_counts_and_the_node_says_so(bucket: Any) -> None:
    bucket.delete()
    silent, living = lost.with_declarations(Cluster(S), [make.silent(A), make.leaderless(B)], make.NOW)
    assert silent.reach is Reach.SILENT
    assert "cannot read from S3" in silent.detail
    assert living == make.leaderless(B)
