"""Copies are pruned on a simulated S3 server: what goes, what stays, and what S3 refuses."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from recovery.cluster import Cluster
from recovery.copies import catalog
from recovery.copies.catalog import Catalog
from recovery.copies.copy import at
from recovery.copies.order import by_trust
from recovery.errors import Refused, StoreSilent
from recovery.operations.keep import keep
from recovery.operations.prune import MANAGERS
from recovery.s3 import lease
from recovery.s3.site import Site
from recovery.settings import Settings
from recovery.swarm.wal import Position
from tests.unit.copies.candidates import DAY, HOUR, NOW, OLD
from tests.unit.operations.pruning.stored import LEASE, go, keys, objects, prune, put, refuse, ruled


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


def test_what_only_a_copy_of_a_clock_that_was_set_back_holds_stays(
    of: Settings, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one manager, the copy that is committed further has the earlier time. S3 stored it later."""
    newest = put(of, tmp_path, DAY, position=Position(3, 60, 50))
    further = put(of, tmp_path, DAY + HOUR, position=Position(3, 99, 90))
    less = put(of, tmp_path, DAY + 2 * HOUR, position=Position(3, 99, 40))
    stored = {newest.key: 2 * HOUR, further.key: HOUR, less.key: 3 * HOUR}
    monkeypatch.setattr(catalog, "at", lambda key, sites, _: at(key, sites, NOW - stored[key]))
    assert {decision.copy for decision in go(of)} == {less}


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
    keep(Cluster(of), older.name, "evidence", now=NOW, say=print)
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


def test_an_upload_that_becomes_a_copy_as_it_is_to_go_stays(of: Settings, bucket: Any, tmp_path: Path) -> None:
    old, broken = put(of, tmp_path, 2 * DAY), put(of, tmp_path, 3 * DAY)
    manifest = bucket.Object(old.manifest_key).get()["Body"].read()
    for copy in (old, broken):
        bucket.Object(copy.manifest_key).delete()
    agreed = go(of)

    def late(*given: Any) -> Any:
        found = MANAGERS.decided(*given)
        bucket.put_object(Key=old.manifest_key, Body=manifest)
        return found

    removed = replace(MANAGERS, decided=late).prune(Cluster(of), agreed, NOW, say=print)
    assert [removal.decision.copy for removal in removed] == [broken]
    assert keys(bucket) == objects(old)


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
    assert next(by_trust(catalog.reading(catalog.copies))) == new


def test_in_a_versioned_bucket_versions_stay(of: Settings, bucket: Any, tmp_path: Path) -> None:
    bucket.Versioning().enable()
    new, old = (put(of, tmp_path, days * DAY) for days in (1, 2))
    before = {(found.object_key, found.id) for found in bucket.object_versions.all()}
    assert [removal.error for removal in prune(of)] == [None]
    assert Catalog(of).copies == (new,)
    versions = {(found.object_key, found.id) for found in bucket.object_versions.all()}
    assert before < versions
    assert {key for key, _ in versions - before} >= objects(old), "delete markers"
