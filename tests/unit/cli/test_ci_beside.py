"""Jobs of a pipeline while another is at work on the cluster: what is half done is neither told nor done again."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from typing import Any

import pytest

from recovery.cli import ci_watch
from recovery.operations import pulumi_locks, updating
from recovery.s3.site import Site
from tests.fake.cases import Case, Scene
from tests.fake.forge import FakeForge
from tests.replay.recovering import recover
from tests.unit.cli.jobs import ALL, HELD, NOBODY, ONE, Project

Stage = Callable[[Case], tuple[Scene, Project]]
OPEN = ("Stack lab: all lost", "<!-- requorum:watch:lab -->\nlost")
LOCK = "mkdir -p state/.pulumi/locks/organization/requorum/lab && cp held state/.pulumi/locks/organization/requorum/lab/2.json"


@contextmanager
def updating_elsewhere(scene: Scene, project: Project) -> Iterator[None]:
    """A `pulumi up` that began, and holds no lease yet."""
    lock = project.lock()
    yield
    lock.unlink()


@contextmanager
def renewed(key: str) -> Iterator[None]:
    """A lease that another process renews: it is another at each look."""
    real, turns = Site.look, count()

    def look(site: Site, asked: str) -> tuple[bytes, str] | None:
        if asked != key:
            return real(site, asked)
        turn = next(turns)
        held = {"holder": "t", "by": "ann@desk (process 7)", "doing": "recovery", "turn": turn}
        return json.dumps(held).encode(), f"tag-{turn}"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Site, "look", look)
        yield


def an_operator(scene: Scene, project: Project) -> AbstractContextManager[None]:
    """`requorum recover` at a terminal, which takes no lock of Pulumi."""
    return renewed(scene.settings.keys.lease)


def another_watcher(scene: Scene, project: Project) -> AbstractContextManager[None]:
    return renewed(scene.settings.keys.watch_lease)


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for the next renewal of a lease."""
    monkeypatch.setattr(pulumi_locks, "STALE_SECONDS", 0.0)


OTHERS = [updating_elsewhere, an_operator, another_watcher]


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize(("lost", "status"), [(ONE, 3), (ALL, 4)], ids=["one", "all"])
def test_a_loss_is_neither_told_nor_healed(
    stage: Stage, forge: FakeForge, other: Any, lost: frozenset[str], status: int
) -> None:
    scene, project = stage(Case(3, lost))
    with other(scene, project):
        for words in (["watch"], ["watch", "--heal"]):
            done = project.job(*words)
            assert (done.exit_code, project.outputs["act"]) == (status, "nothing"), done.output
            assert "code: " in done.stderr
        assert (forge.calls, project.pulumi) == ([], "")
    assert project.job("watch").exit_code == status
    assert len(forge.issues()) == 1


@pytest.mark.parametrize("other", OTHERS)
def test_a_recovered_swarm_is_not_said_to_be_well_before_the_end(stage: Stage, forge: FakeForge, other: Any) -> None:
    scene, project = stage(Case(3, NOBODY))
    forge.open(*OPEN, by=forge.account)
    with other(scene, project):
        assert project.job("watch").exit_code == 0
        assert (len(forge.issues()), project.outputs["act"]) == (1, "nothing")
    assert project.job("watch").exit_code == 0
    assert (forge.issues(), project.outputs["act"]) == ([], "close")


@pytest.mark.parametrize("words", [["watch"], ["watch", "--heal"]], ids=["tells", "heals"])
@pytest.mark.parametrize("lost", [ONE, ALL], ids=["one", "all"])
def test_what_another_did_since_the_first_look_is_seen_by_the_second(
    stage: Stage, forge: FakeForge, monkeypatch: pytest.MonkeyPatch, words: list[str], lost: frozenset[str]
) -> None:
    scene, project = stage(Case(3, lost))
    real = updating.alone

    def alone(*given: Any, **named: Any) -> Any:
        recover(scene.settings)
        return real(*given, **named)

    monkeypatch.setattr(ci_watch.updating, "alone", alone)
    done = project.job(*words)
    assert (done.exit_code, project.outputs["act"]) == (0, "close"), done.output
    assert "another look" in done.stdout
    assert (forge.issues(), forge.requests(), project.pulumi) == ([], [], "")


@pytest.mark.parametrize("lost", [ONE, ALL], ids=["one", "all"])
def test_what_begins_during_the_second_look_is_not_told_over(
    stage: Stage, forge: FakeForge, monkeypatch: pytest.MonkeyPatch, lost: frozenset[str]
) -> None:
    _, project = stage(Case(3, lost))
    real, looks = ci_watch._look, []

    def look(watched: Any) -> Any:
        looks.append(real(watched))
        if len(looks) == 2:
            project.lock()
        return looks[-1]

    monkeypatch.setattr(ci_watch, "_look", look)
    assert project.job("watch").exit_code in (3, 4)
    assert (len(looks), forge.calls) == (2, [])


def test_an_update_that_lost_the_race_is_no_healing_that_failed(stage: Stage, forge: FakeForge) -> None:
    _, project = stage(Case(3, ONE))
    (project.folder / "held").write_text(json.dumps(HELD))
    done = project.job("watch", "--heal", PULUMI_STATUS="255", PULUMI_DOES=LOCK)
    assert (done.exit_code, forge.calls) == (3, []), done.output
    assert "up --yes" in project.pulumi


def test_a_recovery_that_lost_the_race_is_no_recovery_that_failed(stage: Stage, forge: FakeForge) -> None:
    _, project = stage(Case(3, ONE))
    (project.folder / "held").write_text(json.dumps(HELD))
    done = project.job("recover", "--plan", "r0123456789abcdef", PULUMI_STATUS="255", PULUMI_DOES=LOCK)
    assert (done.exit_code, forge.calls) == (1, []), done.output
    assert "code: pulumi-locked" in done.stderr
    (project.folder / "state/.pulumi/locks/organization/requorum/lab/2.json").unlink()
    assert project.job("recover", "--plan", "r0123456789abcdef", PULUMI_STATUS="255").exit_code == 1
    assert len(forge.issues()) == 1


@pytest.mark.parametrize("other", [updating_elsewhere, an_operator])
def test_a_half_done_update_is_no_drift(stage: Stage, forge: FakeForge, other: Any) -> None:
    scene, project = stage(Case(3, ONE))
    with other(scene, project):
        done = project.job("preview", "--drift")
        assert (done.exit_code, forge.calls) == (1, []), done.output
        assert "code: pulumi-locked" in done.stderr or "code: lease-held" in done.stderr
    assert project.job("preview", "--drift").exit_code == 3
    assert len(forge.issues()) == 1


def test_an_update_that_begins_during_a_drift_job_is_no_drift(stage: Stage, forge: FakeForge) -> None:
    _, project = stage(Case(3, NOBODY))
    (project.folder / "held").write_text(json.dumps(HELD))
    change = '{"steps": [{"op": "update", "urn": "urn:pulumi:lab::requorum::a:b:C::quorum"}]}'
    done = project.job("preview", "--drift", PREVIEWED=change, PULUMI_DOES=LOCK)
    assert (done.exit_code, forge.calls) == (1, []), done.output
    assert "code: pulumi-locked" in done.stderr


def test_a_request_is_answered_also_while_another_is_at_work(stage: Stage, forge: FakeForge) -> None:
    scene, project = stage(Case(3, NOBODY))
    with updating_elsewhere(scene, project):
        assert project.job("preview", request=7).exit_code == 0
    assert len(forge.comments) == 1
