"""Copies at two sites, one of which has damaged or lost them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from recovery.copies.catalog import Catalog
from recovery.copies.choice import newest_good
from recovery.copies.escrow import Escrow
from recovery.copies.latest import since_proven
from recovery.copies.manifest import Proof, Verdict
from recovery.errors import DamagedCopy
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
    assert (last, next(catalog.by_trust(catalog.copies))) == (older, older)
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
