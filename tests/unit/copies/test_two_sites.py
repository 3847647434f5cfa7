"""Copies at two sites, one of which has damaged or lost them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from rich.console import Console

from recovery.cli.show.copies import copies_table
from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog
from recovery.copies.choice import newest_good
from recovery.copies.copy import Copy
from recovery.copies.escrow import Escrow
from recovery.copies.latest import since_proven
from recovery.copies.manifest import Proof, Verdict
from recovery.copies.order import by_trust
from recovery.errors import DamagedCopy, StoreError, UnreadCopy
from recovery.operations import drill
from recovery.settings import Settings
from tests.unit import factories as make
from tests.unit.copies.stored import NAMES, put


@pytest.fixture
def two(bucket: Any) -> Settings:
    """Settings with a second bucket at the same server."""
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="other")
    return make.settings(backup={**make.RAW["backup"], "second": {"bucket": "other"}})


GOOD = {"proof": Proof(Verdict.PROVEN, make.NOW)}
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "torn": lambda content: content[:-7],
    "altered": lambda content: content[:-7] + bytes(7),
}


def spoil(where: str, key: str, damage: Callable[[bytes], bytes]) -> None:
    found = boto3.resource("s3", region_name="us-east-1").Object(where, key)
    found.put(Body=damage(found.get()["Body"].read()))


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("what", ["manifest", "archive"])
@pytest.mark.parametrize(("site", "where"), [("main", "copies"), ("second", "other")])
def test_what_one_site_has_damaged_is_read_from_the_other(
    two: Settings, tmp_path: Path, site: str, where: str, what: str, damage: Callable[[bytes], bytes]
) -> None:
    put(two, tmp_path, "manager-a", 9, **GOOD)
    copy = put(two, tmp_path, "manager-a", 1, **GOOD)
    spoil(where, copy.key if what == "archive" else copy.manifest_key, damage)
    catalog = Catalog(two)
    with newest_good(catalog, Escrow(two), NAMES, make.CLUSTER) as found:
        assert found.choice is not None
        assert found.choice.copy == copy
        assert found.archive is not None
    assert found.rejected == ()
    told = [
        note for note in catalog.notes if note.startswith(f"the {what} of {copy.name} is damaged at the {site} site (")
    ]
    assert len(told) == (site == "main"), "of the second site nothing was read"


@pytest.mark.parametrize("what", ["manifest", "archive"])
@pytest.mark.parametrize("damage", [DAMAGES["empty"], DAMAGES["torn"]], ids=["empty", "torn"])
def test_a_copy_lies_where_it_is_as_long_as_its_manifest_says(
    two: Settings, tmp_path: Path, what: str, damage: Callable[[bytes], bytes]
) -> None:
    copy = put(two, tmp_path, "manager-a", 1, **GOOD)
    key = copy.key if what == "archive" else copy.manifest_key
    for where, left in (("", ("main", "second")), ("other", ("main",)), ("copies", ())):
        if where:
            spoil(where, key, damage)
        [(found, read)] = since_proven(Catalog(two))
        assert found.sites == left
        assert isinstance(read, DamagedCopy) == (not left)


def test_a_copy_whose_archive_is_short_everywhere_is_not_proven(two: Settings, tmp_path: Path) -> None:
    older, copy = (put(two, tmp_path, "manager-a", minutes, **GOOD) for minutes in (2, 1))
    size = Catalog(two).manifest(copy).size
    for where in ("copies", "other"):
        spoil(where, copy.key, DAMAGES["empty"])
    catalog = Catalog(two)
    (_, damaged), (last, _) = since_proven(catalog)
    assert isinstance(damaged, DamagedCopy)
    assert damaged.why == f"0 of {size} bytes are there (main), 0 of {size} bytes are there (second)"
    assert (last, next(by_trust(catalog.reading(catalog.copies)))) == (older, older)
    assert catalog.newest_manifests().keys() == {copy}, "what its manifest tells is true all the same"


def test_an_archive_that_is_removed_after_the_listing_ends_no_search(two: Settings, tmp_path: Path) -> None:
    older, copy = (put(two, tmp_path, "manager-a", minutes, **GOOD) for minutes in (2, 1))
    catalog = Catalog(two)
    for where in ("copies", "other"):
        boto3.client("s3", region_name="us-east-1").delete_object(Bucket=where, Key=copy.key)
    with newest_good(catalog, Escrow(two), NAMES, make.CLUSTER) as found:
        assert found.choice is not None
        assert found.choice.copy == older
    assert [(one.copy, one.why) for one in found.rejected] == [(copy, "its archive was removed a moment ago")]


def put_at(only: str, of: Settings, tmp_path: Path, out: set[str], minutes: int = 1) -> Copy:
    """A proven copy that is at one site, because the other one did not answer while it was stored."""
    out.add({"main": "second", "second": "main"}[only])
    copy = put(of, tmp_path, "manager-a", minutes, **GOOD)
    out.clear()
    assert copy.sites == (only,)
    return copy


@pytest.mark.parametrize("read_before", [False, True], ids=["manifest", "archive"])
@pytest.mark.parametrize("only", ["main", "second"])
def test_no_older_copy_is_restored_while_the_only_site_of_a_newer_one_is_silent(
    two: Settings, tmp_path: Path, out: set[str], only: str, read_before: bool
) -> None:
    older = put(two, tmp_path, "manager-a", 9, **GOOD)
    copy = put_at(only, two, tmp_path, out)
    catalog = Catalog(two)
    if read_before:
        catalog.manifests()
    out.add(only)
    with pytest.raises(StoreError) as refused, newest_good(catalog, Escrow(two), NAMES, make.CLUSTER):
        pass
    assert refused.value.code == "s3-silent"
    assert copy.name in refused.value.doing
    assert f"the {only} site is skipped" in refused.value.why
    assert refused.value.remedy.startswith(f"start {only}, then run the same command again. Or ")
    with newest_good(catalog, Escrow(two), NAMES, make.CLUSTER, choice=older.name) as named:
        assert named.choice is not None
        assert named.choice.copy == older
    out.clear()
    with newest_good(Catalog(two), Escrow(two), NAMES, make.CLUSTER) as again:
        assert again.choice is not None
        assert again.choice.copy == copy


def test_an_identity_is_taken_from_the_copy_that_can_be_read(two: Settings, tmp_path: Path, out: set[str]) -> None:
    older = put(two, tmp_path, "manager-a", 9, **GOOD)
    copy = put_at("second", two, tmp_path, out)
    catalog = Catalog(two)
    out.add("second")
    with newest_good(catalog, Escrow(two), NAMES, make.CLUSTER, whole=False) as found:
        assert found.choice is not None
        assert found.choice.copy == older
    [(passed, why)] = [(one.copy, one.why) for one in found.rejected]
    assert passed == copy
    assert why.endswith("the second site is skipped: it cannot be reached")


def test_a_copy_is_listed_as_unread_while_its_only_site_is_silent(two: Settings, tmp_path: Path, out: set[str]) -> None:
    older = put(two, tmp_path, "manager-a", 9, **GOOD)
    copy = put_at("second", two, tmp_path, out)
    catalog = Catalog(two)
    out.add("second")
    (first, unread), (last, _) = catalog.manifests()
    assert (first, last) == (copy, older)
    assert isinstance(unread, UnreadCopy)
    assert catalog.newest_manifests().keys() == {older}
    console = Console(width=200)
    with console.capture() as shown:
        console.print(copies_table(catalog.manifests(), make.NOW))
    assert "unread" in shown.get()
    assert "damaged" not in shown.get()


def test_what_the_site_that_answers_has_damaged_may_be_whole_at_the_silent_one(
    two: Settings, tmp_path: Path, out: set[str]
) -> None:
    copy = put(two, tmp_path, "manager-a", 1, **GOOD)
    spoil("copies", copy.key, DAMAGES["altered"])
    catalog = Catalog(two)
    out.add("second")
    with pytest.raises(UnreadCopy, match="the second site is skipped"), catalog.verified(copy):
        pass


def test_a_failed_drill_that_only_a_silent_site_has_is_not_passed_over(
    two: Settings, tmp_path: Path, out: set[str]
) -> None:
    copy = put(two, tmp_path, "manager-a", 1, **GOOD)
    out.add("main")
    store = Catalog(two).store
    assert store.everywhere(lambda site: site.put(copy.drill_key, b"{}")) == ("second",)
    out.clear()
    catalog = Catalog(two)
    out.add("second")
    with pytest.raises(UnreadCopy, match="drill's result"):
        catalog.manifest(copy)
    out.clear()
    assert Catalog(two).manifest(copy).verdict is Verdict.PROVEN


def test_a_drill_finds_no_fault_with_a_copy_whose_only_site_falls_silent(
    two: Settings, out: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drill, "stable_survey", lambda _: make.healthy(two))
    put(two, tmp_path, "manager-b", 9, **GOOD)
    copy = put_at("second", two, tmp_path, out)
    catalog = Catalog(two)
    catalog.manifests()
    out.add("second")
    (result,) = drill.drill(Cluster(two), catalog, [copy], on=None, say=print)
    assert result.proof.verdict is Verdict.UNPROVEN
    assert result.proof.detail == "no other site has its archive, and the second site is skipped: it cannot be reached"
    out.clear()
    assert copy.drill_key not in Catalog(two).keys
    assert Catalog(two).manifest(copy).verdict is Verdict.PROVEN
