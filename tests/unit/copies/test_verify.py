"""`requorum copies verify`: what it says of a copy that is whole, and of one that is not."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyrage
import pytest
from typer.testing import CliRunner

from recovery import cli
from recovery.copies import contents
from recovery.copies.copy import Copy
from recovery.copies.manifest import Proof, Verdict
from recovery.s3.site import Site
from recovery.settings import Settings
from tests.unit import factories as make
from tests.unit.copies.stored import put
from tests.unit.copies.test_snapshot import CONTENT
from tests.unit.swarm.test_key_file import key_file, unlock_key


@pytest.fixture
def of() -> Settings:
    return make.settings()


@pytest.fixture
def run(of: Settings, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setattr(cli.console, "_settings", lambda *_: of)
    return lambda *words: CliRunner().invoke(cli.app, ["verify", *words])


def told(copy: Copy, **result: object) -> dict[str, object]:
    """The contract's document for it."""
    identity = {"name": copy.name, "key": copy.key, "manager": copy.manager, "taken": copy.taken.isoformat()}
    return {"version": 1, "cluster": "lab", **identity, "proof": None, **result}


def test_a_whole_copy(run: Callable[..., Any], of: Settings, tmp_path: Path) -> None:
    newest, older = (put(of, tmp_path, "manager-a", minutes) for minutes in (1, 2))
    for words, copy in (((), newest), ((older.name,), older)):
        assert run(*words).stdout.startswith(f"{copy.name}: all {len(CONTENT)} files ")
        result = run(*words, "--json")
        assert result.exit_code == 0
        assert json.loads(result.stdout) == told(copy, files=len(CONTENT), error=None, errorCode=None)


@pytest.mark.parametrize("verdict", list(Verdict))
def test_what_the_last_restore_test_or_drill_said_is_told(
    run: Callable[..., Any], of: Settings, tmp_path: Path, verdict: Verdict
) -> None:
    copy = put(of, tmp_path, "manager-a", 1, proof=Proof(verdict, make.NOW, "no memory" * (verdict == "unproven")))
    assert f" ago says: {verdict}" in " ".join(run().stdout.split())
    assert json.loads(run(copy.name, "--json").stdout)["proof"]["verdict"] == verdict


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda copy: copy.key, "the object has 4 bytes, its manifest says"),
        (lambda copy: copy.manifest_key, "not a manifest: "),
    ],
    ids=["archive", "manifest"],
)
def test_a_damaged_copy_is_told_of_and_is_an_error(
    run: Callable[..., Any], of: Settings, bucket: Any, tmp_path: Path, spoil: Callable[[Copy], str], error: str
) -> None:
    copy = put(of, tmp_path, "manager-a", 1)
    bucket.put_object(Key=spoil(copy), Body=b"half")
    for_eyes, result = run(), run("--json")
    assert (for_eyes.exit_code, for_eyes.stdout, result.exit_code) == (1, "", 1)
    document = json.loads(result.stdout)
    assert document == told(copy, files=None, error=document["error"], errorCode=document["errorCode"])
    assert document["error"].startswith(error)
    assert document["error"] in result.stderr


def test_a_copy_whose_unlock_key_cannot_be_opened_is_told_of_and_is_an_error(
    run: Callable[..., Any], of: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of this one is needed by nobody; its key is looked for all the same."""
    copy = put(of, tmp_path, "manager-a", 1, autolock=True)
    assert run().exit_code == 0, "no identity for the escrow is at hand"
    identity = of.escrow.model_copy(update={"identity_file": of.backup.identity_file})
    monkeypatch.setattr(cli.console, "_settings", lambda *_: of.model_copy(update={"escrow": identity}))
    monkeypatch.setattr(contents, "key_file", lambda *_, **__: key_file(unlock_key()))
    result = run("--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document == told(copy, files=None, error=document["error"], errorCode="no-unlock-key")
    assert "code: no-unlock-key" in result.stderr


def test_without_copies_there_is_nothing_to_tell(run: Callable[..., Any]) -> None:
    result = run("--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"]["code"] == "no-copy"
    assert "code: no-copy" in result.stderr
    assert run().stdout == ""


def test_copies_that_no_identity_here_opens_are_told_by_every_look(
    run: Callable[..., Any], of: Settings, tmp_path: Path
) -> None:
    other = str(pyrage.x25519.Identity.generate().to_public())
    mine = put(of, tmp_path, "manager-a", 1)
    put(of, tmp_path, "manager-b", 2, recipients=(other,))
    told = f"opens the newest copy of manager-b. It is sealed to {other}."
    assert told in " ".join(run(mine.name).stderr.split())
    listed = CliRunner().invoke(cli.app, ["backups", "--json"])
    assert told in " ".join(listed.stderr.split())
    assert [copy["opens"] for copy in json.loads(listed.stdout)["copies"]] == [True, False]


def test_a_clock_that_was_ahead_is_told_by_every_look(
    run: Callable[..., Any], of: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Site.listed
    monkeypatch.setattr(
        Site,
        "listed",
        lambda *of: {key: replace(found, written=make.NOW) for key, found in real(*of).items()},
    )
    put(of, tmp_path, "manager-a", -60)
    assert "its node's clock was ahead" in " ".join(run().stderr.split())
    assert "clock was ahead" in CliRunner().invoke(cli.app, ["backups"]).stdout
    (copy,) = json.loads(CliRunner().invoke(cli.app, ["backups", "--json"]).stdout)["copies"]
    assert "2026-01-02 04:04:05" in copy["clock"]
