"""`requorum watch` over random losses on the fake swarm: each is healed or asked about, and nothing is done or told twice.

Two watchers look in turn. One of them may be started again at any moment, and a consent may come late or not at all.
"""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from recovery.cluster import Cluster
from recovery.operations.assess import assess
from recovery.operations.watcher import Watcher
from recovery.pipeline.watching import Act
from recovery.planning.diagnosis import Kind
from tests.fake.cases import Case, Theatre, names
from tests.fake.machine import Cut
from tests.fake.watched import Clock, Watched, watched

MANAGERS = 3
NODES = (*names(MANAGERS), "worker-1")


@dataclass(frozen=True)
class Event:
    """What happens to the swarm and to the watchers, and how long nobody looks afterwards."""

    lost: frozenset[str] = frozenset()
    silent: str = ""
    """A node that does not answer for a while beside it."""
    starts: bool = False
    """Whether a watcher is started again."""
    patience: int = 1
    """How many rounds it takes a person to consent."""
    minutes: int = 0


def events() -> st.SearchStrategy[Event]:
    return st.builds(
        Event,
        st.frozensets(st.sampled_from(NODES), max_size=len(NODES)),
        st.sampled_from(["", "", *NODES]),
        st.booleans(),
        st.integers(1, 3),
        st.integers(0, 90),
    )


class Story:
    """Two watchers of one swarm, and what must be so after each event."""

    def __init__(self, at: Watched) -> None:
        self.at = at
        self.watchers: list[Watcher] = [at.watcher(), at.watcher()]
        self.losses = self.recoveries = 0

    def happens(self, event: Event) -> None:
        at = self.at
        lost = event.lost - {event.silent}
        if event.silent:
            at.swarm.cut(event.silent, Cut.EVERYBODY)
            at.pass_time()
        if event.starts:
            self.watchers[0] = at.watcher()
        at.lose(*lost)
        if event.silent:
            told = len(at.told)
            assert self.watchers[0].round().act in (Act.NOTHING, Act.SAY, Act.ASK, Act.CLOSE)
            assert len(at.told) - told <= 1
            at.quiet_rounds(*self.watchers)
            at.swarm.cut(event.silent, Cut.NOBODY)
            at.pass_time()
        self._settles(lost, event)
        Clock.time += timedelta(minutes=event.minutes)

    def _settles(self, lost: frozenset[str], event: Event) -> None:
        at, updates, told = self.at, len(self.at.updates), len(self.at.told)
        if len(lost - {"worker-1"}) > MANAGERS // 2:
            for _ in range(event.patience):
                assert [one.round().act for one in self.watchers] == [Act.ASK, Act.ASK]
            assert len(at.updates) == updates, "nobody consented yet"
            assert len(at.told) - told <= 1
            plan = at.asked()
            at.consent(plan)
            assert self.watchers[0].round().act is Act.RECOVER, at.errors
            assert at.updates[updates:] == [plan]
            self.recoveries += 1
        elif lost:
            assert self.watchers[0].round().act is Act.HEAL, at.errors
            assert at.updates[updates:] == [""]
        self.losses += bool(lost)
        at.pass_time()
        assert [one.round().act for one in self.watchers] == [Act.CLOSE, Act.CLOSE]
        at.quiet_rounds(*self.watchers)
        assert len(at.updates) - updates == bool(lost)
        found = assess(Cluster(at.settings))
        assert (found.diagnosis.kind, found.plan.steps) == (Kind.HEALTHY, ())
        assert at.swarm.founded == (at.scene.cluster_id,)
        assert not at.swarm.violations


def play(theatre: Theatre, story: list[Event]) -> Story:
    with watched(theatre.wires, theatre.stage(Case(MANAGERS, frozenset()))) as at:
        told = Story(at)
        for event in story:
            told.happens(event)
    return told


def unhurried(examples: int) -> settings:
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],  # a shorter story takes minutes to find, and says no more
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


LOSSES = {"random": 0, "whole": 0}


@unhurried(10)
@given(story=st.lists(events(), min_size=1, max_size=8))
def test_losses_one_after_the_other(theatre: Theatre, story: list[Event]) -> None:
    LOSSES["random"] += play(theatre, story).losses


def test_they_were_many() -> None:
    if LOSSES["random"] == 0:
        pytest.skip("the test before did not run here")
    assert LOSSES["random"] >= 20


@pytest.mark.whole
@pytest.mark.timeout(7200)
@unhurried(60)
@given(story=st.lists(events(), min_size=6, max_size=16))
def test_hundreds_of_losses(theatre: Theatre, story: list[Event]) -> None:
    LOSSES["whole"] += play(theatre, story).losses


@pytest.mark.whole
def test_they_were_hundreds() -> None:
    if LOSSES["whole"] == 0:
        pytest.skip("the test before did not run here")
    assert LOSSES["whole"] >= 300
