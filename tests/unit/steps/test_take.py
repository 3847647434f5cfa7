"""How the steps of a plan are taken: as they were consented to, checked one by one, some of them side by side."""

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from threading import Barrier
from typing import Any

import pytest

from recovery.cluster import Cluster
from recovery.errors import EngineError, Refused
from recovery.planning import steps
from recovery.planning.diagnosis import Kind
from recovery.planning.plan import Plan, Refusal
from recovery.planning.steps import Action, Step
from recovery.steps import journal, take
from recovery.steps.run import Run
from recovery.steps.take import CARRIED_OUT_BY, Phase, carry_out
from recovery.swarm.model import NodeReport
from tests.unit import factories as make
from tests.unit.planning.test_diagnosis import A, B, C, S
from tests.unit.steps.test_orphans import ALONE

SECONDS = 10
"""For one step to be met by the other: none would be where they take turns."""
BEFORE = [make.leaderless(node) for node in (A, B, C)]
AFTER = [ALONE, make.leaderless(B), make.leaderless(C)]
SAVES = (steps.save("manager-a"), steps.save("manager-b"))
LEAVES = (steps.leave("manager-b"), steps.leave("manager-c"))


class Scripted(Run):
    """A run whose fresh plan is the first of those given; one is dropped each time a step was looked at."""

    def __init__(self, consented: Plan, reports: Iterable[NodeReport], *fresh: Plan) -> None:
        self.said: list[str] = []
        super().__init__(Cluster(S), consented, self.said.append)
        self.survey = make.survey(list(reports))
        self.fresh = [*fresh, plan()]

    def plan_anew(self, _: Any) -> Plan:
        return self.fresh[0]


def plan(*of: Step, **facts: Any) -> Plan:
    return Plan(Kind.MINORITY_LOST, None, of, **facts)


def phase(*may_wait: Action) -> Phase:
    def drop(run: Run, _: Step) -> None:
        assert isinstance(run, Scripted)
        del run.fresh[0]

    return Phase("testing", lambda *_: True, drop, frozenset(may_wait))


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What was carried out; nothing else is real."""
    done: list[tuple[str, str]] = []

    def note(_: Run, step: Step) -> None:
        done.append((step.action, step.node))

    monkeypatch.setattr(take, "CARRIED_OUT_BY", dict.fromkeys(Action, note))
    monkeypatch.setattr(journal, "step", lambda *_: nullcontext())
    return done


def test_every_action_is_carried_out_by_one_function_but_for_the_machine_and_the_proof() -> None:
    assert set(Action) - CARRIED_OUT_BY.keys() == {Action.REBUILD, Action.PROVE}
    assert len(set(CARRIED_OUT_BY.values())) == len(CARRIED_OUT_BY)


def test_the_steps_of_the_fresh_plan_are_taken_until_none_is_left(taken: list[tuple[str, str]]) -> None:
    force, left = steps.force(A), plan(*LEAVES)
    run = Scripted(plan(*SAVES, force, *LEAVES), BEFORE, plan(*SAVES, force), plan(force))
    carry_out(run, phase())
    assert taken == [("save", "manager-a"), ("save", "manager-b"), ("force", "manager-a")]
    again = Scripted(left, AFTER, left)
    carry_out(again, phase())
    assert taken[3:] == [("leave", "manager-b"), ("leave", "manager-c")]


def test_a_step_that_is_planned_again_is_not_taken_twice(taken: list[tuple[str, str]]) -> None:
    """A survey does not show that a safety copy was taken."""
    saves = plan(*SAVES)
    carry_out(Scripted(saves, BEFORE, saves, saves), phase())
    assert len(taken) == len(SAVES)


@pytest.mark.parametrize(
    ("fresh", "code", "why"),
    [
        (plan(steps.leave("manager-c")), "plan-outdated", "does not have this step: manager-c: leave"),
        (plan(refusal=Refusal("forked", "choose", code="forked-swarm")), "forked-swarm", "forked"),
        (plan(copy="two"), "plan-outdated", "the new plan uses two"),
    ],
    ids=["another step", "refused by now", "another source"],
)
def test_what_was_not_consented_to_stops_the_run_before_anything_is_done(
    taken: list[tuple[str, str]], fresh: Plan, code: str, why: str
) -> None:
    with pytest.raises(Refused, match=f"{why}(?s:.*)code: {code}"):
        carry_out(Scripted(plan(LEAVES[0]), AFTER, fresh), phase())
    assert taken == []


def test_a_step_whose_precondition_does_not_hold_is_not_taken(taken: list[tuple[str, str]]) -> None:
    forced = plan(steps.force(A))
    with pytest.raises(Refused, match=r"manager-a has a leader(?s:.*)code: plan-outdated"):
        carry_out(Scripted(forced, AFTER, forced), phase())
    assert taken == []


def test_a_step_that_may_wait_is_left_to_a_later_run(taken: list[tuple[str, str]]) -> None:
    wanted = plan(steps.demote("worker-1"), *LEAVES)
    run = Scripted(wanted, [*AFTER, make.worker(S.workers[0])], wanted, wanted)
    carry_out(run, phase(Action.DEMOTE))
    assert taken == [("leave", "manager-b"), ("leave", "manager-c")]
    assert [line for line in run.said if line.startswith("worker-1: not now")]


@pytest.mark.parametrize("batch", [SAVES, LEAVES], ids=["saved", "left"])
def test_survivors_are_saved_and_leave_side_by_side(
    taken: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch, batch: tuple[Step, ...]
) -> None:
    barrier = Barrier(2)
    meet: Callable[..., Any] = lambda *_: barrier.wait(SECONDS)  # noqa: E731
    monkeypatch.setattr(take, "CARRIED_OUT_BY", dict.fromkeys(Action, meet))
    carry_out(Scripted(plan(*batch), AFTER if batch is LEAVES else BEFORE, plan(*batch)), phase())
    assert not barrier.broken


def test_a_survivor_that_does_not_leave_stops_no_other(
    taken: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Run, step: Step) -> None:
        taken.append((step.action, step.node))
        raise EngineError("leaving", "it does not answer", remedy="look", node=step.node)

    monkeypatch.setattr(take, "CARRIED_OUT_BY", dict.fromkeys(Action, fail))
    run = Scripted(plan(*LEAVES), AFTER, plan(*LEAVES))
    carry_out(run, phase(Action.LEAVE))
    assert sorted(taken) == [("leave", "manager-b"), ("leave", "manager-c")]
    assert len([line for line in run.said if "this step failed: leave" in line]) == len(LEAVES)
    with pytest.raises(EngineError):
        carry_out(Scripted(plan(*LEAVES), AFTER, plan(*LEAVES)), phase())
