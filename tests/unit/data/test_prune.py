"""Copies of data are pruned."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog
from recovery.data import restore as restoring
from recovery.data.catalog import DataCatalog
from recovery.operations import prune as pruning
from recovery.settings import Settings
from tests.unit import factories as make
from tests.unit.copies.stored import put as put_manager
from tests.unit.data.stored import DAY, keys, prune, put, ruled


def test_what_no_rule_keeps_goes_and_the_last_of_each_never(bucket: Any, tmp_path: Path) -> None:
    of = ruled(last=0)
    old, new, other = put(of, tmp_path, 3 * DAY), put(of, tmp_path, 2 * DAY), put(of, tmp_path, 9 * DAY, name="files")
    assert prune(of) == [old]
    assert keys(bucket) == {key for copy in (new, other) for key in (copy.key, copy.manifest_key)}
    assert prune(of) == []


def test_the_cluster_s_rules_say_nothing_of_data(bucket: Any, tmp_path: Path) -> None:
    of = ruled(cluster={"last": 9})
    old, _ = put(of, tmp_path, 3 * DAY), put(of, tmp_path, 2 * DAY)
    assert prune(of) == [old]


def test_a_torn_copy_stands_in_for_none(bucket: Any, tmp_path: Path) -> None:
    of = ruled()
    _, good, torn = put(of, tmp_path, 5 * DAY), put(of, tmp_path, 3 * DAY), put(of, tmp_path, 1 * DAY)
    bucket.put_object(Key=torn.key, Body=b"half")
    prune(of)
    assert DataCatalog(Cluster(of)).copies == (torn, good)


@pytest.mark.usefixtures("took")
def test_broken_uploads_go_when_they_are_old(bucket: Any, tmp_path: Path) -> None:
    of = ruled(graceHours=36)
    young, old, kept = put(of, tmp_path, DAY), put(of, tmp_path, 2 * DAY), put(of, tmp_path, 3 * DAY)
    for copy in (young, old):
        bucket.Object(copy.manifest_key).delete()
    assert prune(of) == [old]
    assert keys(bucket) == {young.key, kept.key, kept.manifest_key}


def test_an_upload_that_took_days_is_young(bucket: Any, tmp_path: Path, took: dict[str, datetime]) -> None:
    of = ruled(graceHours=36)
    young, old, kept = (put(of, tmp_path, days * DAY) for days in (5, 6, 9))
    for copy, ago in ((young, DAY), (old, 2 * DAY)):
        bucket.Object(copy.manifest_key).delete()
        took[copy.key] = make.NOW - ago
    assert prune(of) == [old]
    assert keys(bucket) == {young.key, kept.key, kept.manifest_key}


@pytest.mark.usefixtures("took")
def test_an_upload_that_becomes_a_copy_as_it_is_to_go_stays(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = ruled(last=9)
    old, broken = put(of, tmp_path, 2 * DAY), put(of, tmp_path, 3 * DAY)
    manifest = bucket.Object(old.manifest_key).get()["Body"].read()
    for copy in (old, broken):
        bucket.Object(copy.manifest_key).delete()
    agreed = pruning.DATA.look(Cluster(of), make.NOW)
    assert [(decision.copy, decision.half, decision.keep) for decision in agreed] == [
        (old, True, False),
        (broken, True, False),
    ]

    def late(*given: Any) -> Any:
        found = pruning.DATA.decided(*given)
        bucket.put_object(Key=old.manifest_key, Body=manifest)
        return found

    slow = replace(pruning.DATA, decided=late)
    done = slow.prune(Cluster(of), agreed, make.NOW, say=print)
    assert [removal.decision.copy for removal in done] == [broken]
    assert keys(bucket) == {old.key, old.manifest_key}


def test_pruning_managers_leaves_data_alone_and_the_other_way_round(bucket: Any, tmp_path: Path) -> None:
    of = ruled()
    for days in (1, 2, 3):
        put(of, tmp_path, days * DAY)
        put_manager(of, tmp_path, "manager-a", days * 24 * 60)
    agreed = pruning.MANAGERS.look(Cluster(of), make.NOW)
    pruning.MANAGERS.prune(Cluster(of), agreed, make.NOW, say=print)
    assert (len(Catalog(of).copies), len(DataCatalog(Cluster(of)).copies)) == (1, 3)
    prune(of)
    assert (len(Catalog(of).copies), len(DataCatalog(Cluster(of)).copies)) == (1, 1)


def test_without_rules_nothing_goes(of: Settings, bucket: Any, tmp_path: Path) -> None:
    put(of, tmp_path, 999 * DAY)
    assert prune(of) == []


@pytest.mark.usefixtures("s3_time")
def test_a_copy_of_a_clock_that_was_ahead_is_not_the_newest_for_ever(bucket: Any, tmp_path: Path) -> None:
    of = ruled()
    early, right, old = put(of, tmp_path, -9 * DAY), put(of, tmp_path, DAY), put(of, tmp_path, 2 * DAY)
    catalog = DataCatalog(Cluster(of))
    assert catalog.copies == (right, old, early)
    assert catalog.newest_of_each() == (right,)
    assert [copy.dated for copy in catalog.copies] == [right.taken, old.taken, make.NOW]
    for choice in (None, make.NOW):
        assert restoring.choose(catalog, "rows", choice) == right
    first, *_ = pruning.DATA.look(Cluster(of), make.NOW)
    assert (
        first.copy,
        first.reasons[0].startswith("no rule removes a copy that cannot be judged: its node's clock was ahead"),
    ) == (early, True)
    assert prune(of) == [old], "it stands in for none"
    for key in (right.key, right.manifest_key):
        bucket.Object(key).delete()
    assert restoring.choose(DataCatalog(Cluster(of)), "rows", make.NOW) == early, (
        "it is better than none, and is dated by S3"
    )
