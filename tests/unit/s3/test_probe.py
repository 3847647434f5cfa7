"""`requorum s3`: what a server offers, and what is needed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from recovery.cli import app
from recovery.cli.show.s3 import exit_code
from recovery.s3 import probe
from recovery.s3.capability import ProbeResult
from recovery.s3.site import Site
from tests.probing import probed
from tests.unit import factories as make
from tests.unit.s3.written import LOCK, of


@pytest.fixture
def asked(tmp_path: Path, s3: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, dict[str, Any], str]]:
    monkeypatch.setattr(probe, "LOCK_SECONDS", 1)

    def run(**changes: Any) -> tuple[int, dict[str, Any], str]:
        file = tmp_path / "Pulumi.lab.yaml"
        raw = make.raw(backup={**make.RAW["backup"], **changes})
        file.write_text(yaml.safe_dump({"config": {f"requorum:{key}": value for key, value in raw.items()}}))
        as_json = CliRunner().invoke(app, ["s3", "--config-file", str(file), "--json"])
        for_eyes = CliRunner().invoke(app, ["s3", "--config-file", str(file)])
        assert as_json.exit_code == for_eyes.exit_code
        return as_json.exit_code, json.loads(as_json.stdout), for_eyes.stdout

    return run


def test_what_is_offered_is_shown(asked: Callable[..., tuple[int, dict[str, Any], str]], s3: Any) -> None:
    code, document, text = asked(bucket="versioned", second={"bucket": "nowhere"})
    main, second = document["sites"]
    answers = {offer["what"]: offer["answer"] for offer in main["offers"]}
    assert answers["reachable"] == answers["versioning"] == answers["multipart uploads"] == answers["removal"] == "yes"
    assert answers["object lock"] == "no"
    assert [offer["answer"] for offer in second["offers"]] == ["no"]
    assert code == 1
    assert "second site: s3://nowhere" in text
    assert "NoSuchBucket" in text
    left = s3.list_object_versions(Bucket="versioned")
    assert "Versions" not in left
    assert "DeleteMarkers" not in left


def test_what_is_needed_and_not_offered_is_degraded(
    asked: Callable[..., tuple[int, dict[str, Any], str]], bucket: Any
) -> None:
    code, document, text = asked(lock=LOCK)
    needed = {offer["what"]: offer["neededBy"] for offer in document["sites"][0]["offers"]}
    assert needed["object lock"] == "backup.lock"
    assert needed["versioning"] == ""
    assert code == 3
    assert "no second site: requorum:backup.second" in text
    assert not list(bucket.objects.all())


def test_a_lock_that_is_accepted_and_not_kept_is_found_out(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = of(bucket="locked", lock=LOCK)
    monkeypatch.setattr(probe, "LOCK_SECONDS", 1)

    def none(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": "NoSuchObjectLockConfiguration"}}, "GetObjectRetention")

    monkeypatch.setattr(Site(settings.backup.sites[0]).s3, "get_object_retention", none)
    (found,) = probed(settings)
    answers = {offer.what: offer.answer for offer in found.offers}
    assert answers["object lock"] is ProbeResult.IGNORED


def test_a_key_that_may_only_read_is_told_so(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = of()

    def denied(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "PutObject")

    monkeypatch.setattr(Site(settings.backup.sites[0]).s3, "put_object", denied)
    (found,) = probed(settings)
    by = {offer.what: offer for offer in found.offers}
    assert by["reachable"].answer is ProbeResult.YES
    assert by["conditional writes"].answer is ProbeResult.UNKNOWN
    assert "PutObject: AccessDenied" in by["conditional writes"].detail
    assert exit_code(found) == 3
