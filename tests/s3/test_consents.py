"""Consents to a watcher on real servers: from an operator to the watcher, and two watchers of which one acts at a time."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import sleep

import asyncssh
import pytest

from recovery.cluster import Cluster
from recovery.errors import Refused, StoreSilent
from recovery.operations import consents, pulumi_locks, updating
from recovery.pipeline.consents import DONE, Question, why_not
from recovery.s3 import lease
from recovery.settings import Settings

ID = "r0123456789abcdef"


@pytest.fixture
def people(of: Callable[..., Settings], tmp_path: Path) -> Callable[[str], Cluster]:
    """The cluster as each person or machine has it: with an own key, of which all are operators'."""
    keys = {name: asyncssh.generate_private_key("ssh-ed25519") for name in ("watcher", "ann")}
    for name, key in keys.items():
        key.write_private_key(str(tmp_path / name))
    public = [key.export_public_key().decode().strip() for key in keys.values()]

    def cluster(name: str) -> Cluster:
        own = of()
        ssh = replace(own.ssh, private_key_file=str(tmp_path / name))
        return Cluster(own.model_copy(update={"ssh": ssh, "operators": tuple(public)}))

    return cluster


def test_a_consent_goes_through_the_bucket_and_is_used_once(people: Callable[[str], Cluster]) -> None:
    watcher, ann, now = people("watcher"), people("ann"), datetime.now(UTC)
    consents.ask(watcher, Question(ID, ("1. restore",), now, "w"))
    assert consents.give(ann, ID, now).lines == ("1. restore",)
    consent, attempt = consents.given(watcher, ID)
    assert consent
    assert why_not(ID, consent, attempt, now) == ""
    consents.end(watcher, consents.begin(watcher, consent, now), DONE)
    assert "is used up" in why_not(ID, *consents.given(people("watcher"), ID), now)
    consents.give(ann, ID, datetime.now(UTC))
    assert why_not(ID, *consents.given(watcher, ID), datetime.now(UTC)) == "", "another consent is another"
    consents.give(ann, ID, datetime.now(UTC), withdrawn=True)
    assert "withdrew" in why_not(ID, *consents.given(watcher, ID), datetime.now(UTC))


def test_one_watcher_at_a_time_acts(people: Callable[[str], Cluster], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi_locks, "backend_url", lambda: "https://service.example")
    inside, most, ran, lock = 0, 0, 0, threading.Lock()

    def act(_: int) -> None:
        try:
            alone()
        except StoreSilent:  # rclone may answer 500 to one of two writers of an object
            alone()

    def alone() -> None:
        nonlocal inside, most, ran
        with updating.alone(people("watcher"), "lab", "watching", say=lambda _: None):
            with lock:
                inside, ran = inside + 1, ran + 1
                most = max(most, inside)
            sleep(0.3)
            with lock:
                inside -= 1

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(act, range(3)))
    assert (most, ran) == (1, 3)


def test_beside_an_operator_at_work_a_watcher_does_not_begin(
    people: Callable[[str], Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulumi_locks, "backend_url", lambda: "https://service.example")
    monkeypatch.setattr(pulumi_locks, "STALE_SECONDS", 3.0)
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.2)
    watching = partial(updating.alone, people("watcher"), "lab", "watching", say=print)
    with people("ann").hold("recovery", say=print), pytest.raises(Refused) as error, watching():
        pytest.fail("it began")
    assert error.value.code in updating.BUSY
    with watching():
        pass
