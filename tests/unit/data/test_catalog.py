"""Copies of data in S3: what is one, which is the newest, and where it is whole."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from recovery.cli import metrics
from recovery.cli.show import cluster as show
from recovery.cli.show import data as show_data
from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog
from recovery.data.catalog import DataCatalog, DataCopy
from recovery.data.restore import choose
from recovery.errors import DamagedCopy, Refused, StoreError, UnreadCopy
from recovery.planning.diagnosis import diagnose
from recovery.s3.site import Site
from recovery.settings import Settings
from recovery.spans import span as in_words
from tests.unit import factories as make
from tests.unit.copies.stored import put as put_manager
from tests.unit.data.stored import DATA, DAY, Node, listed, put


def test_copies_are_listed_newest_first_each_with_its_name(of: Settings, bucket: Any, tmp_path: Path) -> None:
    old, new, files = (put(of, tmp_path, ago * DAY, **how) for ago, how in ((3, {}), (1, {}), (2, {"name": "files"})))
    catalog = DataCatalog(Cluster(of))
    assert catalog.copies == (new, files, old)
    assert catalog.of("rows") == (new, old)
    assert catalog.newest_of_each() == (files, new)
    assert new.key == "requorum/lab/data/rows/data-rows-20260101T030405000000Z.zst.age"
    assert catalog.manifest(new).taken == new.taken
    assert catalog.copies[0].sites == ("main",)


def test_copies_of_data_and_of_managers_are_not_taken_for_each_other(of: Settings, bucket: Any, tmp_path: Path) -> None:
    data = put(of, tmp_path)
    manager = put_manager(of, tmp_path, "manager-a", 5)
    elsewhere = {"cluster": "data", "backup": of.backup.model_copy(update={"prefix": "requorum/lab"})}
    other = of.model_copy(update=elsewhere)
    put_manager(other, tmp_path, "manager-a", 3)
    assert DataCatalog(Cluster(of)).copies == (data,)
    assert DataCatalog(Cluster(of)).halves == ()
    catalog = Catalog(of)
    assert (catalog.copies, catalog.halves, catalog.marked) == ((manager,), (), ())
    assert [copy.manager for copy in Catalog(other).copies] == ["manager-a"]
    assert Catalog(other).halves == ()


def test_without_its_manifest_it_is_no_copy(of: Settings, bucket: Any, tmp_path: Path, monkeypatch: Any) -> None:
    def broken(*_: object) -> None:
        raise StoreError("writing", "the connection broke", remedy="")

    monkeypatch.setattr(Site, "keep", broken)
    with pytest.raises(StoreError):
        put(of, tmp_path)
    catalog = DataCatalog(Cluster(of))
    assert catalog.copies == ()
    assert len(catalog.halves) == 1


def test_a_copy_under_another_name_is_told(of: Settings, bucket: Any, tmp_path: Path) -> None:
    copy = put(of, tmp_path)
    for key in (copy.key, copy.manifest_key):
        bucket.Object(key.replace("rows", "files")).copy_from(CopySource={"Bucket": "copies", "Key": key})
    ((_, first), (_, second)) = DataCatalog(Cluster(of)).manifests()
    assert {found.code for found in (first, second) if isinstance(found, DamagedCopy)} == {"copy-damaged"}


@pytest.mark.usefixtures("s3_time")
def test_a_copy_is_no_younger_than_its_place_in_s3(
    run: Callable[..., Any], node: Node, of: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = put(of, tmp_path, -9999 * DAY)
    (shown,) = listed(run)
    assert shown["clock"] == DataCatalog(Cluster(of)).copies[0].clock != ""
    span = in_words(int((datetime.now(UTC) - make.NOW).total_seconds()))
    assert "its node's clock was ahead" in run("list").stdout
    assert f"{span} " in run("list").stdout
    assert f"The copy is {span} old" in run("restore", "rows", answer="n\n").stdout
    assert [span in line for line in run("prune", "--dry-run", "--wide").stdout.splitlines() if early.name in line] == [
        True
    ]
    healthy = make.healthy(of)
    found = diagnose(healthy, make.CLUSTER, cluster="lab", copies=True)
    monkeypatch.setattr(metrics, "look", lambda _: SimpleNamespace(survey=healthy))
    monkeypatch.setattr(metrics, "shown", lambda *_: show.status(of, healthy, found, {}, None))
    families = {family.name: family for family in metrics._watched(Cluster(of)).collect()}
    (sample,) = families["requorum_last_data_copy_timestamp_seconds"].samples
    assert sample.value == make.NOW.timestamp()


def test_other_people_s_names_are_no_copies(of: Settings, bucket: Any, tmp_path: Path) -> None:
    copy = put(of, tmp_path)
    for name in ("rows/data-rows-20261399T030405000000Z", "rows/data-files-20260101T030405000000Z", "rows/photo"):
        bucket.put_object(Key=f"requorum/lab/data/{name}.zst.age", Body=b"x")
    catalog = DataCatalog(Cluster(of))
    assert (catalog.copies, catalog.halves) == ((copy,), ())


def test_data_lie_where_they_are_as_long_as_their_manifest_says(bucket: Any, tmp_path: Path) -> None:
    bucket.meta.client.create_bucket(Bucket="other")
    of = make.settings(data=DATA, backup={**make.RAW["backup"], "second": {"bucket": "other"}})
    copy = put(of, tmp_path)
    for where, left in (("", ("main", "second")), ("other", ("main",)), ("copies", ())):
        if where:
            bucket.meta.client.put_object(Bucket=where, Key=copy.key, Body=b"half")
        [(found, _)] = DataCatalog(Cluster(of)).manifests()
        assert found.sites == left


@pytest.mark.parametrize(
    "read",
    [lambda catalog, copy, _: catalog.manifest(copy), lambda catalog, copy, to: catalog.download(copy, to, print)],
    ids=["manifest", "archive"],
)
def test_data_whose_only_site_falls_silent_are_not_damaged_and_no_older_ones_are_restored(
    bucket: Any, out: set[str], tmp_path: Path, read: Callable[[DataCatalog, DataCopy, Path], object]
) -> None:
    bucket.meta.client.create_bucket(Bucket="other")
    of = make.settings(data=DATA, backup={**make.RAW["backup"], "second": {"bucket": "other"}})
    put(of, tmp_path, 3 * DAY)
    out.add("main")
    new = put(of, tmp_path)
    out.clear()
    catalog = DataCatalog(Cluster(of))
    out.add("second")
    assert choose(catalog, "rows", None) == new
    with pytest.raises(UnreadCopy, match=r"the second site is skipped: it cannot be reached(?s:.*)code: s3-silent$"):
        read(catalog, new, tmp_path / "sealed")
    console = Console(width=200)
    with console.capture() as shown:
        console.print(show_data.table(catalog.manifests(), make.NOW))
    assert "unread" in shown.get()
    assert "damaged" not in shown.get()
    with pytest.raises(Refused, match=r"code: site-skipped$"):
        catalog.store.require_whole("pruning data copies")
