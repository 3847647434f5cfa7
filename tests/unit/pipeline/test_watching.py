"""What a watcher may do without a person: a table of states, and what never happens."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.pipeline.watching import LEFT_ALONE, Act, Decision, Rules, Seen, decide
from recovery.planning.diagnosis import NO_QUORUM, Kind
from recovery.planning.plan import Plan, Refusal
from recovery.planning.steps import join
from tests.unit import factories as make

NODE = make.settings().managers[2]
JOIN = (join(NODE),)
HEAL = Rules(heal=True)
CONSENT = Refusal("it needs your consent", "pulumi up", consent=True, code="consent-needed")
SILENT_MANAGER = Refusal("manager-b may be alive", "start it", code="silent-manager")


def seen(kind: Kind, *, steps: bool = False, refusal: Refusal | None = None, copy: str = "", **given: object) -> Seen:
    plan = Plan(kind, "cluster-one", JOIN if steps else (), copy=copy or None, refusal=refusal)
    return replace(Seen(kind, plan, well=False), **given)  # type: ignore[arg-type]


HEALTHY = seen(Kind.HEALTHY, well=True)
WORKER_LOST = seen(Kind.HEALTHY, steps=True)
MINORITY = seen(Kind.MINORITY_LOST, steps=True)
ALL_LOST = seen(Kind.ALL_LOST, steps=True, copy="c", refusal=CONSENT)
TABLE = [
    ("healthy", HEALTHY, HEAL, Act.CLOSE),
    ("a copy is too old", replace(HEALTHY, faults=("FAILED copies",)), HEAL, Act.SAY),
    ("a worker is silent", seen(Kind.HEALTHY, silent=("worker-1",)), HEAL, Act.NOTHING),
    ("a worker is down, and no plan helps", seen(Kind.HEALTHY), HEAL, Act.SAY),
    ("a worker is lost", WORKER_LOST, HEAL, Act.HEAL),
    ("a worker is lost, healing is off", WORKER_LOST, Rules(), Act.SAY),
    ("a minority is lost", MINORITY, HEAL, Act.HEAL),
    ("a minority is lost, healing is off", MINORITY, Rules(), Act.SAY),
    ("a minority is lost, a worker is silent", replace(MINORITY, silent=("worker-1",)), HEAL, Act.SAY),
    ("a minority is lost, and refused", seen(Kind.MINORITY_LOST, refusal=SILENT_MANAGER), HEAL, Act.SAY),
    ("locked", seen(Kind.LOCKED, steps=True), HEAL, Act.HEAL),
    ("all lost", ALL_LOST, HEAL, Act.ASK),
    ("all lost, healing is off", ALL_LOST, Rules(), Act.ASK),
    ("all lost, a worker is silent", replace(ALL_LOST, silent=("worker-1",)), HEAL, Act.ASK),
    ("all lost, no good copy", seen(Kind.ALL_LOST, refusal=Refusal("no", "look", code="no-good-copy")), HEAL, Act.SAY),
    ("all lost, and the file consents", replace(ALL_LOST, plan=replace(ALL_LOST.plan, refusal=None)), HEAL, Act.ASK),
    ("quorum lost by silence", seen(Kind.QUORUM_LOST, refusal=SILENT_MANAGER), HEAL, Act.SAY),
    ("quorum lost, no plan", seen(Kind.QUORUM_LOST), HEAL, Act.SAY),
    ("partitioned", seen(Kind.PARTITIONED, steps=True), HEAL, Act.NOTHING),
    ("no access", seen(Kind.ACCESS, refusal=SILENT_MANAGER), HEAL, Act.NOTHING),
    ("not created yet", seen(Kind.ABSENT, steps=True), HEAL, Act.NOTHING),
    ("forked", seen(Kind.FORKED, refusal=Refusal("two swarms", "look", code="forked-swarm")), HEAL, Act.SAY),
]


@pytest.mark.parametrize(("case", "rules", "act"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_what_is_done(case: Seen, rules: Rules, act: Act) -> None:
    assert decide(case, rules, make.NOW).act is act


@pytest.mark.parametrize(
    ("ages", "act"),
    [((5, 20), Act.HEAL), ((5, 20, 59), Act.SAY), ((5, 20, 60), Act.HEAL), ((-1, 5, 20), Act.HEAL)],
    ids=["two", "three", "the third is an hour old", "a clock was ahead"],
)
def test_it_heals_three_times_an_hour(ages: tuple[int, ...], act: Act) -> None:
    begun = tuple(make.NOW - timedelta(minutes=age) for age in ages)
    assert decide(replace(MINORITY, begun=begun), HEAL, make.NOW).act is act


def states() -> st.SearchStrategy[Seen]:
    refusals = st.sampled_from([None, CONSENT, SILENT_MANAGER])
    plans = st.builds(
        Plan,
        st.sampled_from(Kind),
        st.just("cluster-one"),
        st.sampled_from([(), JOIN]),
        copy=st.sampled_from([None, "copy"]),
        refusal=refusals,
    )
    silent = st.sampled_from([(), ("worker-1",)])
    return plans.flatmap(lambda plan: st.builds(Seen, st.just(plan.kind), st.just(plan), st.booleans(), silent))


@given(states(), st.booleans())
def test_it_never_does_more_than_it_may(case: Seen, heal: bool) -> None:
    decision: Decision = decide(case, Rules(heal), make.NOW)
    assert decision.why
    if decision.act is Act.HEAL:
        assert heal
        assert not case.silent
        assert not case.plan.id, "what needs consent is asked for"
        assert case.plan.refusal is None
        assert case.kind not in LEFT_ALONE
    if decision.act is Act.CLOSE:
        assert case.well
        assert case.kind not in NO_QUORUM
    if decision.act is Act.ASK:
        assert case.plan.id
