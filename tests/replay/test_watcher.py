"""`requorum watch` on the fake swarm: it heals, asks once, takes a consent once, and does nothing twice."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from recovery.cluster import Cluster
from recovery.copies.copy import ARCHIVE
from recovery.errors import Refused, StoreError
from recovery.node.signing import Kind
from recovery.operations import watcher as watcher_module
from recovery.operations.assess import assess
from recovery.pipeline.watching import Act
from recovery.planning.diagnosis import Kind as State
from tests.fake.cases import Case, Theatre, names
from tests.fake.machine import Cut
from tests.fake.watched import Clock, Watched, watched

ALL = names(3)


@pytest.fixture
def at(theatre: Theatre) -> Iterator[Watched]:
    with watched(theatre.wires, theatre.stage(Case(3, frozenset()))) as made:
        yield made


def healthy(at: Watched) -> None:
    """The swarm is the one that it was, with all its managers, and nobody broke a rule of raft."""
    at.pass_time()
    found = assess(Cluster(at.settings))
    assert (found.diagnosis.kind, found.plan.steps) == (State.HEALTHY, ())
    assert at.swarm.founded == (at.scene.cluster_id,)
    assert not at.swarm.violations


def test_all_is_lost_asked_once_answered_and_recovered(at: Watched) -> None:
    first, second = at.watcher(), at.watcher()
    at.quiet_rounds(first, second)
    at.lose(*ALL)
    for one in (first, second, first, at.watcher()):
        assert one.round().act is Act.ASK
    assert at.told == ["swarm lab: consent needed: all lost"]
    plan = at.asked()
    assert f"requorum consent {plan} --stack lab" in at.texts[0]
    assert at.updates == [], "nobody consented yet"

    at.consent(plan)
    assert first.round().act is Act.RECOVER
    assert at.updates == [plan]
    healthy(at)
    assert second.round().act is Act.CLOSE
    assert at.told[1:] == ["swarm lab: watch recovered"]
    assert at.asked() == ""
    at.quiet_rounds(first, second, at.watcher())
    assert at.updates == [plan]


def test_a_minority_is_healed_once_by_two_watchers(at: Watched) -> None:
    first, second = at.watcher(), at.watcher()
    at.lose("manager-c")
    at.before_update.append(lambda: None)
    assert first.round().act is Act.HEAL
    healthy(at)
    at.quiet_rounds(first, second)
    assert (at.updates, at.told) == ([""], [])


def test_without_healing_a_minority_is_told_once(at: Watched) -> None:
    first = at.watcher(heal=False)
    at.lose("manager-c")
    for one in (first, first, at.watcher(heal=False)):
        assert one.round().act is Act.SAY
    assert (at.told, at.updates) == (["swarm lab: 2 of 3 managers"], [])


@pytest.mark.parametrize(("cut", "act"), [(Cut.US, Act.NOTHING), (Cut.EVERYBODY, Act.SAY)])
def test_nothing_is_healed_while_a_node_is_silent(at: Watched, cut: Cut, act: Act) -> None:
    watcher = at.watcher()
    at.swarm.cut("manager-c", cut)
    at.pass_time()
    at.quiet_rounds(watcher, count=3)
    assert at.told == []
    at.lose("worker-1")
    assert watcher.round().act is act
    at.quiet_rounds(watcher)
    assert at.updates == []
    at.swarm.cut("manager-c", Cut.NOBODY)
    at.pass_time()
    assert watcher.round().act is Act.HEAL
    healthy(at)


def test_healing_is_limited_within_an_hour(at: Watched) -> None:
    Clock.time += timedelta(hours=1)  # after the swarm was built
    watcher, acts = at.watcher(at_most=2), []
    for minutes in (0, 5, 5, 61):
        Clock.time += timedelta(minutes=minutes)
        at.lose("manager-c")
        acts.append(watcher.round().act)
    assert acts == [Act.HEAL, Act.HEAL, Act.SAY, Act.HEAL]
    assert at.watcher(at_most=1).round().act is Act.CLOSE
    at.lose("manager-c")
    assert at.watcher(at_most=1).round().act is Act.SAY, "a watcher that was started again knows it too"


def test_updates_that_fail_at_once_are_limited_too(at: Watched) -> None:
    Clock.time += timedelta(hours=1)
    watcher = at.watcher(at_most=2)
    at.lose("manager-c")
    at.failures = 9
    for _ in range(5):
        assert watcher.round().act is Act.SAY
    assert (at.updates, at.told) == (["", ""], ["swarm lab: 2 of 3 managers"])


def asked_for_all(at: Watched) -> str:
    at.lose(*ALL)
    assert at.watcher().round().act is Act.ASK
    return at.asked()


def test_a_consent_to_another_plan_is_not_taken(at: Watched) -> None:
    stale = asked_for_all(at)
    at.consent(stale)
    for name in ALL:
        newest = max(key for key in at.wires.objects if f"/{name}/" in key and key.endswith(ARCHIVE))
        at.wires.objects[newest] = at.wires.objects[newest][:-7] + bytes(7)
    watcher = at.watcher()
    assert watcher.round().act is Act.ASK
    assert (at.updates, at.asked() not in ("", stale)) == ([], True)
    with pytest.raises(Refused) as error:
        at.consent(stale)
    assert error.value.code == "consent-not-asked"
    at.consent(at.asked())
    assert watcher.round().act is Act.RECOVER
    healthy(at)


def unsigned(at: Watched, plan: str, key: str) -> None:
    content = at.wires.objects[key]
    at.wires.objects[key] = content.replace(b'"signature"', b'"signed"')


def of_another_plan(at: Watched, plan: str, key: str) -> None:
    at.wires.objects[key.replace(plan, "r0123456789abcdef")] = at.wires.objects[key]
    other = key.replace(plan, "r0123456789abcdef")
    at.wires.objects[key] = at.wires.objects[other].replace(b"SSH SIGNATURE", b"SSH  SIGNATURE")


def of_another_kind(at: Watched, plan: str, key: str) -> None:
    document = {"plan": plan, "when": Clock.now().isoformat(), "by": "ann@desk", "withdrawn": False}
    at.wires.objects[key] = Cluster(at.settings).operators.sign(Kind.CONSENT, key, document)


def old(at: Watched, plan: str, key: str) -> None:
    Clock.time += timedelta(hours=24)


def withdrawn(at: Watched, plan: str, key: str) -> None:
    at.consent(plan, withdrawn=True)


def no_document(at: Watched, plan: str, key: str) -> None:
    at.wires.objects[key] = b"[]"


@pytest.mark.parametrize(
    "spoil", [unsigned, of_another_plan, of_another_kind, old, withdrawn, no_document], ids=lambda one: one.__name__
)
def test_a_consent_that_is_not_valid_is_refused(at: Watched, spoil: Callable[[Watched, str, str], None]) -> None:
    plan = asked_for_all(at)
    at.consent(plan)
    spoil(at, plan, at.settings.keys.consent_to(plan))
    for _ in range(2):
        assert at.watcher().round().act is Act.ASK
    assert at.updates == []
    at.consent(plan)
    assert at.watcher().round().act is Act.RECOVER, "a valid one in its place counts"


def test_a_consent_is_taken_once_and_a_new_one_is_another(at: Watched) -> None:
    plan, watcher = asked_for_all(at), at.watcher()
    at.consent(plan)
    at.failures = 1
    assert watcher.round().act is Act.SAY
    for one in (watcher, at.watcher(), watcher):
        assert one.round().act is Act.ASK
    assert at.updates == [plan]
    needed = "swarm lab: consent needed: all lost"
    assert at.told == [needed, "swarm lab: all lost", needed], "asked, failed, asked again"
    at.consent(plan)
    assert watcher.round().act is Act.RECOVER
    healthy(at)


def test_what_was_killed_goes_on_without_another_consent_also_if_healing_is_off(at: Watched) -> None:
    plan = asked_for_all(at)
    at.consent(plan)

    def kill() -> None:
        raise KeyboardInterrupt

    at.before_update.append(kill)
    with pytest.raises(KeyboardInterrupt):
        at.watcher(heal=False).round()
    assert at.watcher(heal=False).round().act is Act.RECOVER
    assert at.updates == [plan, plan]
    healthy(at)
    at.lose("manager-c")
    assert at.watcher(heal=False).round().act is Act.SAY, "the consent is used up"


def test_while_another_is_at_work_a_watcher_waits_for_the_next_round(
    at: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    at.lose("manager-c")

    def busy(*_: Any, **__: Any) -> Any:
        raise Refused("healing", "an operator holds the lease", remedy="wait", code="lease-held")

    with monkeypatch.context() as patch:
        patch.setattr(watcher_module.updating, "alone", busy)
        assert at.watcher().round().act is Act.NOTHING
        assert at.watcher(heal=False).round().act is Act.NOTHING
    assert (at.updates, at.told) == ([], []), "what is half done is not told either"
    assert at.watcher().round().act is Act.HEAL


def test_what_an_operator_did_meanwhile_is_not_done_again(at: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator heals between the watcher's two looks."""
    at.lose("manager-c")
    real = watcher_module.updating.alone

    def alone(cluster: Cluster, *given: Any, **named: Any) -> Any:
        at.update(cluster, "lab", None)  # type: ignore[arg-type]
        at.pass_time()
        return real(cluster, *given, **named)

    monkeypatch.setattr(watcher_module.updating, "alone", alone)
    assert at.watcher().round().act is Act.CLOSE
    assert at.updates == [""], "the operator's"
    healthy(at)


@pytest.mark.parametrize("lost", [("manager-c",), ALL], ids=["one", "all"])
def test_what_begins_during_the_second_look_is_not_told_over(
    at: Watched, monkeypatch: pytest.MonkeyPatch, lost: tuple[str, ...]
) -> None:
    at.lose(*lost)
    real, asked = watcher_module.updating.require_idle, []

    def begins(*given: Any, **named: Any) -> None:
        asked.append(given)
        if len(asked) == 2:
            raise Refused("watching", "an operator holds the lease", remedy="wait", code="lease-held")
        real(*given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(watcher_module.updating, "require_idle", begins)
        assert at.watcher(heal=False).round().act is Act.NOTHING
    assert (len(asked), at.told, at.asked()) == (2, [], "")
    assert at.watcher(heal=False).round().act in (Act.SAY, Act.ASK)
    assert len(at.told) == 1


def test_an_update_that_lost_the_race_is_no_healing_that_failed(at: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    at.lose("manager-c")
    at.failures = 1
    real, asked = watcher_module.updating.require_idle, []

    def begins(*given: Any, **named: Any) -> None:
        asked.append(given)
        if at.updates:
            raise Refused("watching", "Pulumi's lock is held", remedy="wait", code="pulumi-locked")
        real(*given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(watcher_module.updating, "require_idle", begins)
        assert at.watcher().round().act is Act.NOTHING
    assert (at.updates, at.told) == ([""], [])


def test_without_s3_it_does_nothing_and_tells_after_three_rounds(at: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = at.watcher()
    at.lose("manager-c")

    def down(*_: Any, **__: Any) -> Any:
        raise StoreError("listing", "S3 does not answer", remedy="start it", code="s3-unreachable")

    with monkeypatch.context() as patch:
        patch.setattr(Cluster, "catalog", down)
        assert [watcher.round().act for _ in range(5)] == [Act.NOTHING] * 5
    assert (at.updates, at.told) == ([], ["swarm lab: it cannot be watched"])
    assert watcher.round().act is Act.HEAL
    assert watcher.round().act is Act.CLOSE
    assert at.told[1:] == ["swarm lab: watch recovered"]


@pytest.mark.parametrize("lost", [("manager-c",), ALL], ids=["one", "all"])
def test_what_no_service_accepted_is_sent_again_after_a_pause(at: Watched, lost: tuple[str, ...]) -> None:
    watcher = at.watcher(heal=False)
    at.lose(*lost)
    at.deaf = True
    for _ in range(3):
        for _ in range(3):
            watcher.round()
        Clock.time += watcher_module.AGAIN
    assert len(at.told) == 3, "a service that works is not asked each minute"
    at.deaf = False
    watcher.round()
    assert at.told == at.told[:1] * 4
    Clock.time += watcher_module.AGAIN
    at.quiet_rounds(watcher, at.watcher(heal=False))


def test_the_end_of_a_loss_that_no_service_accepted_is_sent_again(at: Watched) -> None:
    watcher = at.watcher()
    at.lose("manager-c")
    assert at.watcher(heal=False).round().act is Act.SAY
    at.deaf = True
    assert [watcher.round().act for _ in range(3)] == [Act.HEAL, Act.CLOSE, Act.CLOSE]
    at.deaf = False
    Clock.time += watcher_module.AGAIN
    assert watcher.round().act is Act.CLOSE
    assert at.told[1:] == ["swarm lab: watch recovered"] * 2
    at.quiet_rounds(watcher)


def test_that_it_cannot_be_watched_is_sent_again_too(at: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_: Any, **__: Any) -> Any:
        raise StoreError("listing", "S3 does not answer", remedy="start it", code="s3-unreachable")

    watcher, at.deaf = at.watcher(), True
    monkeypatch.setattr(Cluster, "catalog", down)
    for _ in range(5):
        watcher.round()
    assert at.told == ["swarm lab: it cannot be watched"]
    at.deaf = False
    for _ in range(3):
        Clock.time += watcher_module.AGAIN
        watcher.round()
    assert at.told == ["swarm lab: it cannot be watched"] * 2
