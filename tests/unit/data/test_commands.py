"""`requorum data`: what it asks, shows and exits with."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from recovery import cli
from recovery.cluster import Cluster
from recovery.data.catalog import DataCatalog
from recovery.errors import DamagedCopy, Refused, StoreError
from recovery.node import program
from recovery.operations import prune as pruning
from recovery.s3.site import Site
from tests.unit import factories as make
from tests.unit.data.stored import CONTENT, DATA, DAY, Node, listed, put, ruled


def test_backup_list_and_verify(run: Callable[..., Any], node: Node, bucket: Any) -> None:
    assert "next: requorum data take" in run("list").stdout
    assert run("verify").exit_code == 1
    assert run("backup").exit_code == 0
    assert [(copy["data"], copy["error"], copy["plainSize"]) for copy in listed(run)] == [
        ("files", None, len(CONTENT)),
        ("rows", None, len(CONTENT)),
    ]
    assert "volume web_files" in run("list", "--wide").stdout
    assert run("verify").exit_code == 0
    newest = listed(run)[0]
    bucket.put_object(Key=newest["key"], Body=b"x")
    assert run("verify").exit_code == 3
    assert run("verify", newest["name"]).exit_code == 1


def test_the_exit_status_of_a_backup(run: Callable[..., Any], node: Node) -> None:
    node.fails = "no task"
    assert run("backup").exit_code == 1, "each fails"
    node.fails = ""
    assert run("backup", "rows").exit_code == 0
    assert run("backup", "other").exit_code == 2
    assert [copy["data"] for copy in listed(run)] == ["rows"]


def test_some_that_fail_are_told(run: Callable[..., Any], node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch = node.fetch

    def some(shell: Any, verb: str, given: str, **rest: Any) -> dict[str, Any]:
        node.fails = "exit status 3" if json.loads(given)["name"] == "files" else ""
        return fetch(shell, verb, given, **rest)

    monkeypatch.setattr(program, "fetch", some)
    result = run("backup", "--json")
    assert result.exit_code == 3
    assert [copy["data"] for copy in json.loads(result.stdout)["copies"]] == ["rows"]
    assert "files: not copied" in result.stderr


def test_restore_asks_first(run: Callable[..., Any], node: Node) -> None:
    run("backup")
    node.asked.clear()
    refused = run("restore", "rows", answer="n\n")
    assert (refused.exit_code, node.asked) == (1, [])
    assert "Later changes are lost. Continue?" in refused.stdout
    assert run("restore", "rows", answer="y\n").exit_code == 0
    assert node.given == CONTENT


def test_restore_takes_a_name_or_a_time(run: Callable[..., Any], node: Node) -> None:
    run("backup")
    name = next(copy["name"] for copy in listed(run) if copy["data"] == "rows")
    assert run("restore", "rows", "--yes", "--copy", name).exit_code == 0
    assert run("restore", "rows", "--yes", "--time", datetime.now(UTC).isoformat()).exit_code == 0
    assert run("restore", "rows", "--yes", "--time", "2020-01-01T00:00:00Z").exit_code == 1
    for words in (("--time", "2020-01-01T00:00:00"), ("--time", "now"), ("--copy", name, "--time", "2020-01-01")):
        assert run("restore", "rows", "--yes", *words).exit_code == 2
    assert run("restore", "other", "--yes").exit_code == 2
    node.fails = "the command ended with exit status 4"
    assert run("restore", "rows", "--yes").exit_code == 1


def test_prune_by_command(
    bucket: Any, run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = ruled()
    monkeypatch.setattr(cli.console, "_settings", lambda *_: of)
    old, new = put(of, tmp_path, 9 * DAY), put(of, tmp_path, 8 * DAY)
    assert run("prune", "--json").exit_code == 2
    planned = json.loads(run("prune", "--json", "--dry-run").stdout)["copies"]
    assert [(copy["name"], copy["data"], copy["keep"]) for copy in planned] == [
        (new.name, "rows", True),
        (old.name, "rows", False),
    ]
    assert run("prune", answer="n\n").exit_code == 1
    assert "1 removed" in run("prune", "--yes").stdout
    assert DataCatalog(Cluster(of)).copies == (new,)


def test_a_site_that_is_left_out_or_refuses_a_deletion_keeps_data(
    bucket: Any, run: Callable[..., Any], tmp_path: Path, out: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.meta.client.create_bucket(Bucket="other")
    rules = ruled().backup.retention
    of = make.settings(data=DATA, backup={**make.RAW["backup"], "second": {"bucket": "other"}})
    of = of.model_copy(update={"backup": of.backup.model_copy(update={"retention": rules})})
    monkeypatch.setattr(cli.console, "_settings", lambda *_: of)
    old, _ = put(of, tmp_path, 9 * DAY), put(of, tmp_path, 8 * DAY)
    for site in ("main", "second"):
        out.add(site)
        with pytest.raises(Refused, match=f"pruning data copies: the {site} site is skipped(?s:.*)code: site-skipped"):
            pruning.DATA.look(Cluster(of), make.NOW)
        out.clear()
    real = Site.delete

    def delete(site: Site, key: str) -> bool:
        if site.name == "second" and key == old.manifest_key:
            raise StoreError("deleting", "AccessDenied", remedy="allow it")
        return real(site, key)

    monkeypatch.setattr(Site, "delete", delete)
    result = run("prune", "--yes")
    assert (result.exit_code, "0 removed, 1 refused by S3" in result.stdout) == (3, True)
    result = run("prune", "--yes", "--json")
    assert (result.exit_code, json.loads(result.stdout)["copies"][1]["removed"]) == (3, False)
    assert [copy.sites for copy in DataCatalog(Cluster(of)).of("rows")] == [("main", "second"), ("second",)]


@pytest.mark.parametrize("what", ["manifest", "archive"])
@pytest.mark.parametrize(("site", "where"), [("main", "copies"), ("second", "other")])
def test_data_that_one_site_has_damaged_are_given_from_the_other(
    bucket: Any, node: Node, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, site: str, where: str, what: str
) -> None:
    bucket.meta.client.create_bucket(Bucket="other")
    of = make.settings(data=DATA, backup={**make.RAW["backup"], "second": {"bucket": "other"}})
    monkeypatch.setattr(cli.console, "_settings", lambda *_: of)
    assert run("backup", "rows").exit_code == 0
    (copy,) = DataCatalog(Cluster(of)).copies
    key = copy.key if what == "archive" else copy.manifest_key
    bucket.meta.client.put_object(Bucket=where, Key=key, Body=b"half")
    told = f"the {what} of {copy.name} is damaged at the {site} site (" if site == "main" else "bytes"
    for words in (("verify",), ("restore", "rows", "--yes")):
        result = run(*words)
        assert result.exit_code == 0, result.output
        assert (" ".join(result.stderr.split()).count(told) == 1) == (site == "main"), (
            "of the second site nothing was read"
        )
    assert node.given == CONTENT
    bucket.meta.client.put_object(Bucket="other" if site == "main" else "copies", Key=key, Body=b"none")
    assert run("verify").exit_code == 1
    [(_, read)] = DataCatalog(Cluster(of)).manifests()
    assert isinstance(read, DamagedCopy)


def test_without_settings_there_is_nothing_to_copy(run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli.console, "_settings", lambda *_: make.settings())
    assert run("backup").exit_code == 2
