"""`requorum copies prune`: what it asks, shows and exits with."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from recovery import cli
from recovery.copies.catalog import Catalog
from recovery.settings import Settings
from tests.unit import factories as make
from tests.unit.copies.candidates import DAY
from tests.unit.operations.pruning.stored import keys, objects, put, refuse


def test_prune_asks_before_it_removes(run: Callable[..., Any], of: Settings, bucket: Any, tmp_path: Path) -> None:
    new, old = (put(of, tmp_path, days * DAY) for days in (1, 2))
    for words, answer, code in ((["--dry-run"], None, 0), ([], "n\n", 1), ([], None, 1)):
        result = run("prune", "--wide", *words, answer=answer)
        assert (result.exit_code, keys(bucket)) == (code, objects(new, old))
        assert "1 of 2 copies to remove" in result.stdout
        assert f"{old.name}" in result.stdout
    assert run("prune", "--json").exit_code == 2
    result = run("prune", answer="y\n")
    assert (result.exit_code, keys(bucket)) == (0, objects(new))
    assert "1 removed, 0 refused by S3" in result.stdout
    assert "nothing to remove" in run("prune", "--yes").stdout


def test_prune_in_json_and_its_exit_status(
    run: Callable[..., Any], of: Settings, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, old, older = (put(of, tmp_path, days * DAY) for days in (1, 2, 3))
    planned = json.loads(run("prune", "--json", "--dry-run").stdout)
    assert (planned["version"], planned["cluster"], planned["dryRun"]) == (1, "lab", True)
    assert [(copy["name"], copy["keep"], copy["removed"]) for copy in planned["copies"]] == [
        (new.name, True, False),
        (old.name, False, False),
        (older.name, False, False),
    ]
    assert planned["copies"][1]["reasons"] == ["no rule keeps it (last 1)"]
    refuse(of, monkeypatch, old.manifest_key)
    result = run("prune", "--json", "--yes")
    assert result.exit_code == 3
    assert [(copy["removed"], copy["error"]) for copy in json.loads(result.stdout)["copies"]] == [
        (False, None),
        (False, "AccessDenied: object is locked"),
        (True, None),
    ]
    assert f"{old.name} was not removed" in result.stderr
    assert run("prune", "--yes").exit_code == 3


@pytest.mark.parametrize("versioned", [False, True])
def test_prune_says_that_versions_stay(
    run: Callable[..., Any], of: Settings, bucket: Any, tmp_path: Path, versioned: bool
) -> None:
    if versioned:
        bucket.Versioning().enable()
    for days in (1, 2):
        put(of, tmp_path, days * DAY)
    for words in (["--yes", "--json"], ["--yes"]):
        shown = run("prune", *words).stdout
        if "--json" in words:
            assert [copy["versionsStay"] for copy in json.loads(shown)["copies"]] == [False, versioned]
            put(of, tmp_path, 2 * DAY)
        else:
            assert ("the bucket has versioning" in shown) == versioned


def test_without_a_policy_nothing_goes(bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of = make.settings()
    copies = [put(of, tmp_path, days * DAY) for days in (1, 400, 800)]
    monkeypatch.setattr(cli.console, "_settings", lambda *_: of)
    result = CliRunner().invoke(cli.app, ["prune", "--yes"])
    assert result.exit_code == 0
    assert "requorum:backup.retention is not set" in result.stdout
    assert set(Catalog(of).copies) == set(copies)
