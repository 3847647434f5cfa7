"""The copies in S3, on a simulated server: what counts as a copy, and what is known of it."""

from pathlib import Path
from typing import Any

import pyrage
import pytest

from recovery.copies.catalog import Catalog
from recovery.copies.latest import since_proven
from recovery.copies.manifest import Proof, Verdict
from recovery.copies.swarm_id import known_id
from recovery.errors import Refused, StoreError
from recovery.planning import address_changes
from recovery.s3.site import Site
from recovery.settings import Settings
from tests.unit import factories as make
from tests.unit.copies.stored import NAMES, put


@pytest.fixture
def of() -> Settings:
    return make.settings()


def test_an_empty_bucket_holds_no_copy(of: Settings, bucket: Any) -> None:
    assert Catalog(of).copies == ()


def test_copies_are_listed_newest_first_over_all_managers(of: Settings, bucket: Any, tmp_path: Path) -> None:
    old, newest, middle = (put(of, tmp_path, name, minutes) for name, minutes in zip(NAMES, (9, 1, 5), strict=True))
    assert Catalog(of).copies == (newest, middle, old)
    assert newest.key == "requorum/lab/manager-b/swarm-20.10.24-manager-b-20260102T030305000000Z.tar.zst.age"


def test_an_archive_without_a_manifest_is_not_a_copy(of: Settings, bucket: Any, tmp_path: Path) -> None:
    copy = put(of, tmp_path, "manager-a", 1)
    bucket.Object(copy.manifest_key).delete()
    assert Catalog(of).copies == ()


def test_the_manifest_is_written_last(
    of: Settings, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise StoreError("writing", "the connection broke", remedy="")

    monkeypatch.setattr(Site, "keep", broken)
    with pytest.raises(StoreError):
        put(of, tmp_path, "manager-a", 1)
    assert [entry.key for entry in bucket.objects.all()], "the archive is there"
    assert Catalog(of).copies == ()


def test_other_clusters_and_other_peoples_objects_are_not_ours(of: Settings, bucket: Any, tmp_path: Path) -> None:
    mine = put(of, tmp_path, "manager-a", 1)
    put(of.model_copy(update={"cluster": "lab2"}), tmp_path, "manager-a", 0)
    below = {"cluster": "x", "backup": of.backup.model_copy(update={"prefix": "requorum/lab"})}
    put(of.model_copy(update=below), tmp_path, "manager-a", 0)
    for key in (
        "requorum/lab/notes.txt",
        "requorum/lab/manager-a/photo.manifest.json",
        "requorum/lab/manager-a/photo.tar.zst.age",
    ):
        bucket.put_object(Key=key, Body=b"x")
    assert Catalog(of).copies == (mine,)


def test_the_cluster_is_known_by_its_copies(of: Settings, bucket: Any, tmp_path: Path) -> None:
    assert known_id(of, Catalog(of)) is None
    put(of, tmp_path, "manager-a", 1)
    assert known_id(of, Catalog(of)) == make.CLUSTER
    put(of, tmp_path, "manager-b", 1, cluster="other")
    with pytest.raises(Refused, match=r"code: several-swarms$"):
        known_id(of, Catalog(of))
    assert known_id(of.model_copy(update={"cluster_id": "other"}), Catalog(of)) == "other"


def test_a_missing_bucket_says_what_to_do(of: Settings, bucket: Any) -> None:
    gone = of.model_copy(update={"backup": of.backup.model_copy(update={"bucket": "nowhere"})})
    with pytest.raises(StoreError, match=r"requorum:backup\.bucket"):
        Catalog(gone)


def test_a_copy_of_another_swarm_does_not_say_where_our_managers_are(of: Settings, bucket: Any, tmp_path: Path) -> None:
    put(of, tmp_path, "manager-a", 2)
    put(of, tmp_path, "manager-a", 1, cluster="other", address="10.77.9.9")
    assert not address_changes.since_copied(of.nodes, Catalog(of).newest_of_machines, make.CLUSTER, None)
    assert [
        move.text for move in address_changes.since_copied(of.nodes, Catalog(of).newest_of_machines, "other", None)
    ] == ["manager-a from 10.77.9.9 to 10.77.1.11"]
    chosen = make.manifest("manager-b", address="10.77.8.8")
    assert [
        move.manager
        for move in address_changes.since_copied(of.nodes, Catalog(of).newest_of_machines, make.CLUSTER, chosen)
    ] == ["manager-b"]


@pytest.mark.usefixtures("s3_time")
def test_a_clock_that_is_right_again_is_not_told_of_any_more(of: Settings, bucket: Any, tmp_path: Path) -> None:
    put(of, tmp_path, "manager-a", -60)
    assert len(Catalog(of).notes) == 1
    put(of, tmp_path, "manager-a", -1)
    assert not Catalog(of).notes


def test_a_copy_that_nobody_here_could_open_is_told_before_it_is_needed(
    of: Settings, bucket: Any, tmp_path: Path
) -> None:
    mine, other = str(make.IDENTITY.to_public()), str(pyrage.x25519.Identity.generate().to_public())
    put(of, tmp_path, "manager-a", 1, recipients=(other, mine))
    strange = put(of, tmp_path, "manager-b", 1, recipients=(other,))
    (note,) = Catalog(of).unopened
    assert f"opens the newest copy of manager-b. It is sealed to {other}." in note
    assert note.endswith("correct requorum:backup.recipients, then: requorum copies take")
    put(of, tmp_path, "manager-b", 0, recipients=(mine,))
    assert not Catalog(of).unopened, "the newest of each is what a recovery would take"
    for file in (None, tmp_path / "elsewhere"):
        blind = of.model_copy(update={"backup": of.backup.model_copy(update={"identity_file": file})})
        assert not Catalog(blind).unopened
        assert Catalog(blind).opens(Catalog(of).manifest(strange)) is None


@pytest.mark.usefixtures("s3_time")
def test_a_manager_that_is_in_the_settings_no_more_is_listed_and_no_concern(
    of: Settings, bucket: Any, tmp_path: Path
) -> None:
    mine, other = str(make.IDENTITY.to_public()), str(pyrage.x25519.Identity.generate().to_public())
    put(of, tmp_path, "manager-b", -60, recipients=(other,))
    stays = put(of, tmp_path, "manager-a", 1, recipients=(mine,))
    assert (len(Catalog(of).notes), len(Catalog(of).unopened)) == (1, 1)
    smaller = of.model_copy(update={"managers": of.managers[:1]})
    catalog = Catalog(smaller)
    assert not catalog.notes
    assert not catalog.unopened
    assert catalog.newest_of_each() == (stays,)
    assert {copy.manager for copy, _ in catalog.manifests()} == {"manager-a", "manager-b"}
    assert {copy.manager for copy in catalog.newest_manifests()} == {"manager-a", "manager-b"}, "of the swarm's ID"


def test_a_safety_copy_that_came_up_in_a_drill_does_not_end_the_search_for_a_proven_one(
    of: Settings, bucket: Any, tmp_path: Path
) -> None:
    proof = Proof(Verdict.PROVEN, make.NOW)
    hot = put(of, tmp_path, "manager-a", 9, proof=proof)
    safety = put(of, tmp_path, "manager-a", 1, proof=proof, kind="safety")
    assert [copy for copy, _ in since_proven(Catalog(of))] == [safety, hot]
