"""Parts of uploads that broke off: whose they are, and who removes them."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from recovery.cluster import Cluster
from recovery.errors import StoreError
from recovery.operations import broken_uploads
from recovery.s3 import client
from recovery.s3.keys import Keys
from recovery.s3.site import Site
from recovery.settings import Settings
from tests.unit.copies.candidates import DAY
from tests.unit.operations.pruning.stored import keys, objects, put

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
    (found,) = broken_uploads.list_broken(Cluster(two), datetime.now(UTC) + DAY, say=said.append)
    assert (found.site.name, found.upload.key) == ({"main": "second", "second": "main"}[site], OURS[0])
    (line,) = said
    assert line.startswith(f"Requorum cannot list interrupted uploads: listing the uploads to the {site} site: Acc")
