"""Copies are pruned at two sites, one of which may not answer, or refuse."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from recovery import cli
from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog
from recovery.errors import Refused, StoreSilent
from recovery.operations.prune import MANAGERS
from recovery.settings import Settings
from tests.unit import factories as make
from tests.unit.copies.candidates import DAY, NOW
from tests.unit.operations.pruning.stored import go, held, keys, objects, prune, put, refuse


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


@pytest.mark.parametrize("site", ["main", "second"])
def test_with_a_site_left_out_nothing_is_pruned(two: Settings, out: set[str], tmp_path: Path, site: str) -> None:
    copies = [put(two, tmp_path, days * DAY) for days in (1, 2)]
    agreed = go(two)
    out.add(site)
    for prune_ in (lambda: MANAGERS.look(Cluster(two), NOW), lambda: prune(two, agreed)):
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
        MANAGERS.look(Cluster(two), NOW)


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
