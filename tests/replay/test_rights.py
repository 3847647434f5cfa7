"""The policy of each use against the requests that its commands really make: a right too few or too many fails."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

import pytest

from recovery.cluster import Cluster
from recovery.operations import consent, lifecycle, updating, watch
from recovery.operations.assess import assess
from recovery.operations.broken_uploads import list_broken
from recovery.operations.prune import DATA, MANAGERS
from recovery.s3 import policy
from recovery.s3.policy import Use
from recovery.settings import Retention
from tests.fake.bucket import FakeS3
from tests.fake.cases import Case, Theatre, names, quiet
from tests.fake.stack import Stack
from tests.replay.recovering import recover
from tests.unit import factories as make

S = make.settings()
ROOT = S.keys.root
BUCKET = replace(S.backup.sites[0], endpoint=None)
REQUESTS: dict[str, tuple[str, Callable[[Any, Any], str]]] = {
    "put_object": ("s3:PutObject", lambda _, given: given["Key"]),
    "get_object": ("s3:GetObject", lambda _, given: given["Key"]),
    "head_object": ("s3:GetObject", lambda _, given: given["Key"]),
    "download_file": ("s3:GetObject", lambda given, _: given[1]),
    "delete_object": ("s3:DeleteObject", lambda _, given: given["Key"]),
}
UNSEEN = ("probe/", "unlock-keys/", "notified/", "agent/lease.json", "data/", "consents/", "watch/lease.json")
"""What the fake swarm does not come to: its S3 is not probed, and it has no autolock, notification, agent, watcher or service data here."""
Requests = set[tuple[str, str]]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Requests:
    """Every request for an object that is made."""
    seen: Requests = set()
    for name, (action, key_of) in REQUESTS.items():
        real = getattr(FakeS3, name)

        def request(self: Any, *given: Any, _real: Any = real, _of: Any = (action, key_of), **named: Any) -> Any:
            seen.add((_of[0], _of[1](given, named)))
            return _real(self, *given, **named)

        monkeypatch.setattr(FakeS3, name, request)
    return seen


def allowed(use: Use) -> set[tuple[str, str]]:
    """Each action with each resource of the policy, as a pattern of keys."""
    given = policy.of(use, BUCKET, S.cluster, [node.name for node in S.managers])
    where = f"arn:aws:s3:::{BUCKET.name}/"
    return {
        (action, resource.removeprefix(where))
        for statement in given["Statement"]
        for action in statement["Action"]
        for resource in statement["Resource"]
        if resource.startswith(where)
    }


def require_fit(use: Use, made: Requests) -> None:
    """No request is refused, and no right is left over."""
    rights = allowed(use)
    assert not [one for one in made if not any(one[0] == a and fnmatchcase(one[1], key) for a, key in rights)]
    unused = {r for r in rights if not any(a == r[0] and fnmatchcase(key, r[1]) for a, key in made)}
    left = {r for r in unused if not r[1].removeprefix(ROOT).startswith(UNSEEN)}
    assert {r for r in left if r[0] not in ("s3:AbortMultipartUpload",)} == set(), "the fake has no uploads in parts"


def test_a_preview_needs_what_its_policy_allows(theatre: Theatre, made: Requests) -> None:
    seen: Requests = set()
    for lost in (frozenset[str](), frozenset(names(3))):
        theatre.stage(Case(3, lost))
        made.clear()
        done = Stack(theatre.wires).preview(make.raw(hosts={"driver": "existing"}, recover=True))
        assert bool(done.failure) is bool(lost), "a typed plan ID is needed"
        seen |= made
    require_fit(Use.PREVIEW, seen)


def test_a_watch_that_asks_for_consent_needs_what_its_policy_allows(
    theatre: Theatre, made: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", "https://service.example")
    cluster = Cluster(theatre.stage(Case(3, frozenset(names(3)))).settings)
    made.clear()
    with updating.alone(cluster, "lab", "asking", say=quiet):
        found = assess(cluster)
        assert watch.seen(cluster, found).plan.id
        assert watch.copied_at(cluster)
    require_fit(Use.ASK, made)


@pytest.mark.parametrize("use", [Use.RECOVER, Use.UP])
def test_a_recovery_needs_what_its_policy_allows(theatre: Theatre, made: Requests, use: Use) -> None:
    for lost in (names(3), names(3)[:2], names(3)[:1], ()):
        scene = theatre.stage(Case(3, frozenset(lost)))
        recover(scene.settings)
        lifecycle.fresh_copies(Cluster(scene.settings), say=quiet)
        ended = scene.settings.model_copy(update={"recover": False})
        consent.keep_up(Cluster(ended), assess(Cluster(ended)).plan)
    require_fit(use, made)


def test_a_prune_needs_what_its_policy_allows(theatre: Theatre, made: Requests) -> None:
    scene = theatre.stage(Case(3, frozenset()))
    rules = Retention(last=1, hourly=0, daily=0, weekly=0, monthly=0, minimum=1, graceHours=1)
    backup = scene.settings.backup.model_copy(update={"retention": rules})
    of = scene.settings.model_copy(update={"backup": backup})
    for _ in range(2):
        lifecycle.fresh_copies(Cluster(of), say=quiet)
    made.clear()
    later = datetime.now(UTC) + timedelta(days=1)
    for kind in (MANAGERS, DATA):
        kind.prune(Cluster(of), kind.look(Cluster(of), later), later, say=quiet)
    list_broken(Cluster(of), later, say=quiet)
    assert any(action == "s3:DeleteObject" for action, _ in made), "nothing was pruned"
    require_fit(Use.PRUNE, made)


def test_whoever_previews_or_prunes_writes_no_copy_and_whoever_recovers_deletes_none() -> None:
    copy = re.escape(ROOT) + r"manager-\w/swarm-"
    for use, forbidden in (
        (Use.PREVIEW, "Put|Delete"),
        (Use.ASK, "Put|Delete"),
        (Use.UP, "Delete"),
        (Use.RECOVER, "Delete"),
        (Use.PRUNE, "Put"),
    ):
        assert not [r for r in allowed(use) if re.match(copy, r[1]) and re.match(f"s3:({forbidden})", r[0])], use
