"""Questions and consents in S3: who may answer, from where, and what a stranger's objects are worth."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from typer.testing import CliRunner

from recovery import cli
from recovery.cli import console
from recovery.cluster import Cluster
from recovery.errors import Refused, SettingError
from recovery.operations import consents
from recovery.pipeline.consents import Consent, Question
from recovery.settings import Settings
from tests.unit import factories as make

ID = "r0123456789abcdef"
QUESTION = Question(ID, ("all managers are lost", "1. restore", f"to consent: requorum consent {ID}"), make.NOW, "w@w")
People = Callable[[str], Settings]


@pytest.fixture
def of(tmp_path: Path) -> Iterator[People]:
    """The settings of each person, whose keys are all in `requorum:operators`, except the stranger's."""
    keys = {name: asyncssh.generate_private_key("ssh-ed25519") for name in ("watcher", "ann", "stranger")}
    for name, key in keys.items():
        key.write_private_key(str(tmp_path / name))
        (tmp_path / name).chmod(0o600)
    known = [keys[name].export_public_key().decode().strip() for name in ("watcher", "ann")]

    def made(name: str) -> Settings:
        own = make.settings(operators=known)
        return own.model_copy(update={"ssh": replace(own.ssh, private_key_file=str(tmp_path / name))})

    return made


def test_an_operator_answers_a_watcher_by_the_bucket_alone(bucket: Any, of: People) -> None:
    watcher, ann = Cluster(of("watcher")), Cluster(of("ann"))
    assert consents.asked(ann) is None
    consents.ask(watcher, QUESTION)
    assert consents.asked(ann) == QUESTION
    assert consents.given(watcher, ID) == (None, None)
    assert consents.give(ann, ID, make.NOW) == QUESTION
    consent, attempt = consents.given(watcher, ID)
    assert consent
    assert (consent.plan, consent.when, consent.unsigned, attempt) == (ID, make.NOW, "", None)
    begun = consents.begin(watcher, consent, make.NOW)
    assert consents.given(ann, ID)[1] == begun
    assert consents.unproven(watcher, make.NOW)
    consents.end(watcher, begun, "the recovery is done")
    assert not consents.unproven(watcher, make.NOW)
    consents.close(watcher, make.NOW)
    assert consents.asked(ann) is None


def test_a_question_is_stored_once(bucket: Any, of: People) -> None:
    watcher = Cluster(of("watcher"))
    consents.ask(watcher, QUESTION)
    before = bucket.Object(watcher.settings.keys.question).last_modified, consents.asked(watcher)
    consents.ask(watcher, replace(QUESTION, when=make.NOW + timedelta(hours=1)))
    assert (bucket.Object(watcher.settings.keys.question).last_modified, consents.asked(watcher)) == before


@pytest.mark.parametrize("plan", ["rfedcba9876543210", ID])
def test_what_nobody_asks_is_refused(bucket: Any, of: People, plan: str) -> None:
    if plan != ID:
        consents.ask(Cluster(of("watcher")), QUESTION)
    with pytest.raises(Refused) as error:
        consents.give(Cluster(of("ann")), plan, make.NOW)
    assert error.value.code == "consent-not-asked"
    assert [one.key for one in bucket.objects.all() if plan in one.key] == []


def test_a_stranger_can_neither_answer_nor_ask(bucket: Any, of: People) -> None:
    ann, stranger = Cluster(of("ann")), Cluster(of("stranger"))
    for act in (
        lambda: consents.ask(stranger, QUESTION),
        lambda: consents.give(stranger, ID, make.NOW),
    ):
        with pytest.raises(SettingError) as error:
            act()
        assert error.value.code == "not-an-operator"
    own = make.settings(operators=[])
    forged = Cluster(own.model_copy(update={"ssh": stranger.settings.ssh}))  # a stack file of the stranger's
    consents.ask(forged, QUESTION)
    assert consents.asked(ann) is None
    consents.give(forged, ID, make.NOW)
    consent, _ = consents.given(ann, ID)
    assert consent
    assert "by no operator" in consent.unsigned


def test_a_consent_that_is_moved_to_another_plan_does_not_count(bucket: Any, of: People) -> None:
    ann, keys = Cluster(of("ann")), of("ann").keys
    consents.ask(Cluster(of("watcher")), QUESTION)
    consents.give(ann, ID, make.NOW)
    content = bucket.Object(keys.consent_to(ID)).get()["Body"].read()
    bucket.put_object(Key=keys.consent_to("rfedcba9876543210"), Body=content)
    consent, _ = consents.given(ann, "rfedcba9876543210")
    assert consent
    assert "of another object" in consent.unsigned


def test_a_signed_consent_goes_before_a_newer_unsigned_one(bucket: Any, of: People) -> None:
    """At two sites. Who writes to one of them does not hide what the other has."""
    watcher, ann = Cluster(of("watcher")), Cluster(of("ann"))
    consents.ask(watcher, QUESTION)
    consents.give(ann, ID, make.NOW)
    key = ann.settings.keys.consent_to(ID)
    forged = {"plan": ID, "when": (make.NOW + timedelta(minutes=1)).isoformat(), "by": "x", "withdrawn": True}
    found = ann.store.look(key)
    ann.store.looks = lambda *_: [(None, json.dumps(forged).encode()), (None, found)]  # type: ignore[method-assign,assignment,return-value]
    consent, _ = consents.given(ann, ID)
    assert consent is not None
    assert (consent.withdrawn, consent.unsigned) == (False, "")


def test_the_command_shows_consents_and_withdraws(bucket: Any, of: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_settings", lambda *_: of("ann"))

    def run(*words: str) -> Any:
        return CliRunner().invoke(cli.app, ["consent", *words, "-s", "lab"])

    def given() -> Consent | None:
        return consents.given(Cluster(of("watcher")), ID)[0]

    assert "no watcher asks" in run().stdout
    assert run(ID).exit_code == 1
    assert "code: consent-not-asked" in run(ID).stderr
    consents.ask(Cluster(of("watcher")), QUESTION)
    assert "all managers are lost" in run().stdout
    assert given() is None, "to look is no consent"
    done = run(ID)
    assert (done.exit_code, "1. restore" in done.stdout) == (0, True)
    assert given()
    assert not given().withdrawn  # type: ignore[union-attr]
    assert run(ID, "--withdraw").exit_code == 0
    assert given().withdrawn  # type: ignore[union-attr]
    assert [run(word).exit_code for word in ("true", "r123", "--withdraw")] == [2, 2, 2]
