"""Marks that keep a copy: written, read and released, and what is shown of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recovery.cluster import Cluster
from recovery.copies import keeps
from recovery.copies.catalog import Catalog
from recovery.copies.keeps import Keep
from recovery.errors import NoUsableCopy, Refused
from recovery.operations.keep import keep, release
from recovery.settings import Settings
from tests.unit.copies.candidates import DAY, NOW
from tests.unit.operations.pruning.stored import held, keys, objects, prune, put


def test_marks_are_written_read_and_released(of: Settings, bucket: Any, tmp_path: Path) -> None:
    copy = put(of, tmp_path, DAY)
    _, written = keep(Cluster(of), copy.name, "evidence", now=NOW, say=print)
    assert keeps.read(Catalog(of)) == {copy: written}
    assert (written.reason, written.when) == ("evidence", NOW)
    assert "@" in written.who
    listed = Catalog(of)
    for text in (b"{", b""):
        bucket.put_object(Key=copy.keep_key, Body=text)
        assert keeps.read(Catalog(of)) == {copy: Keep("Requorum cannot read the mark", "", None, "it cannot be read")}
    bucket.Object(copy.keep_key).delete()
    assert list(keeps.read(listed)) == [copy], "what was listed holds"
    bucket.put_object(Key=copy.keep_key, Body=b"{")
    for key in objects(copy):
        bucket.Object(key).delete()
    release(Cluster(of), copy.name)
    assert keys(bucket) == set()


def test_a_mark_that_was_given_again_while_a_site_was_silent_is_read(
    two: Settings, bucket: Any, out: set[str], tmp_path: Path
) -> None:
    copy = put(two, tmp_path, DAY)
    keep(Cluster(two), copy.name, "evidence", now=NOW - DAY, say=print)
    out.add("main")
    keep(Cluster(two), copy.name, "for the court", now=NOW, say=print)
    out.clear()
    assert [mark.reason for mark in keeps.read(Catalog(two)).values()] == ["for the court"]


def test_only_a_copy_is_marked_and_only_a_mark_is_released(of: Settings, bucket: Any, tmp_path: Path) -> None:
    copy = put(of, tmp_path, DAY)
    with pytest.raises(NoUsableCopy, match="code: no-such-name"):
        release(Cluster(of), copy.name)
    bucket.Object(copy.manifest_key).delete()
    with pytest.raises(NoUsableCopy, match=r"code: no-such-copy$"):
        keep(Cluster(of), copy.name, "evidence", now=NOW, say=print)
    assert keys(bucket) == {copy.key}


@pytest.mark.parametrize("site", ["main", "second"])
def test_a_mark_lies_at_both_sites_and_is_taken_back_at_both(
    two: Settings, bucket: Any, out: set[str], tmp_path: Path, site: str
) -> None:
    new, old, older = (put(two, tmp_path, days * DAY) for days in (1, 2, 3))
    keep(Cluster(two), old.name, "evidence", now=NOW, say=print)
    assert old.keep_key in held(bucket, "copies") & held(bucket, "other")
    out.add(site)
    said: list[str] = []
    keep(Cluster(two), older.name, "evidence", now=NOW, say=said.append)
    assert [line for line in said if line.startswith(f"the {site} site is skipped")]
    with pytest.raises(Refused, match=f"releasing {old.name}: the {site} site is skipped(?s:.*)code: site-skipped"):
        release(Cluster(two), old.name)
    out.clear()
    assert set(keeps.read(Catalog(two))) == {old, older}
    assert prune(two) == []
    for copy in (old, older):
        release(Cluster(two), copy.name)
    assert not [key for name in ("copies", "other") for key in held(bucket, name) if key.endswith(".keep.json")]
    assert set(Catalog(two).copies) == {new, old, older}


def test_keep_shows_in_backups_and_holds(run: Callable[..., Any], of: Settings, bucket: Any, tmp_path: Path) -> None:
    _, old = (put(of, tmp_path, days * DAY) for days in (1, 2))
    for words in ((), ("--reason", " "), ("--reason", "evidence", "--release")):
        assert run("keep", old.name, *words).exit_code == 2
    assert run("keep", old.name, "--reason", "evidence").exit_code == 0
    shown = json.loads(run("backups", "--json").stdout)["copies"]
    assert shown[0]["keep"] is None
    assert shown[1]["keep"]["reason"] == "evidence"
    assert shown[1]["keep"].keys() == {"reason", "who", "when"}
    assert "evidence (" in run("backups", "--wide").stdout
    assert "nothing to remove" in run("prune", "--yes").stdout
    assert run("keep", old.name, "--release").exit_code == 0
    assert run("keep", old.name, "--release").exit_code == 1
    assert "1 removed" in run("prune", "--yes").stdout


def test_keep_in_json(run: Callable[..., Any], of: Settings, bucket: Any, tmp_path: Path) -> None:
    copy = put(of, tmp_path, DAY)
    kept = json.loads(run("keep", copy.name, "--reason", "evidence [1]", "--json").stdout)
    mark = keeps.read(Catalog(of))[copy]
    assert mark.when
    assert kept == {
        "version": 1,
        "cluster": "lab",
        "name": copy.name,
        "keep": {"reason": "evidence [1]", "who": mark.who, "when": mark.when.isoformat()},
    }
    for key in objects(copy):
        bucket.Object(key).delete()
    released = json.loads(run("keep", copy.name, "--release", "--json").stdout)
    assert released == {**kept, "keep": None}
    again = run("keep", copy.name, "--release", "--json")
    assert (again.exit_code, *json.loads(again.stdout)) == (1, "version", "error")
