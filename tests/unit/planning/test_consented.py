"""What may be planned anew under a plan that was consented to."""

import json
from dataclasses import replace
from typing import Any

import pytest

from recovery.planning import steps
from recovery.planning.consented import still_valid, with_join
from recovery.planning.diagnosis import Kind
from recovery.planning.plan import Plan, Refusal
from recovery.planning.record import NOTHING, from_record, to_record
from recovery.swarm.moved import AddressChange
from tests.unit import factories as make
from tests.unit.planning.test_diagnosis import A, B, C

SHOWN = Plan(
    Kind.QUORUM_LOST,
    make.CLUSTER,
    (
        steps.save("manager-a"),
        steps.save("manager-b"),
        steps.force(A),
        steps.leave("manager-b"),
        steps.rejoin("manager-b"),
        steps.join(C),
        steps.prove("all"),
    ),
    survivor="manager-a",
    term=3,
)
RESTORED = Plan(
    Kind.ALL_LOST,
    make.CLUSTER,
    (steps.restore(A, "one", make.CLUSTER), steps.compare("manager-a"), steps.join(B), steps.join(C)),
    copy="one",
    content="its digest",
    ca="ours",
)
CUT = replace(
    SHOWN,
    steps=(SHOWN.steps[0], SHOWN.steps[1], steps.repair("manager-a", "entry 9"), *SHOWN.steps[2:]),
    cut="manager-a at entry 9 of term 2",
)
MOVE = AddressChange("manager-a", "id", "10.70.0.1", str(A.address))
CONSENT = Refusal("nobody said so", "say so", consent=True)


def left(*of: steps.Step) -> Plan:
    """What is planned once the swarm has a leader."""
    return Plan(Kind.MINORITY_LOST, make.CLUSTER, of)


@pytest.mark.parametrize(
    ("consented", "fresh", "why"),
    [
        (SHOWN, SHOWN, ""),
        (SHOWN, replace(SHOWN, refusal=CONSENT), ""),
        (SHOWN, left(steps.leave("manager-b"), steps.rejoin("manager-b"), steps.join(C)), ""),
        (SHOWN, left(steps.join(C), steps.rejoin("manager-b")), ""),
        (SHOWN, left(steps.save("manager-b"), steps.leave("manager-b"), steps.rejoin("manager-b")), ""),
        (SHOWN, left(steps.save("manager-c"), steps.finish("manager-c")), ""),
        (SHOWN, left(), ""),
        (SHOWN, left(steps.rejoin("manager-b"), steps.leave("manager-b")), "manager-b: leave the old swarm"),
        (SHOWN, left(steps.leave("manager-c"), steps.rejoin("manager-c")), "manager-c: leave the old swarm"),
        (SHOWN, left(steps.join(C), steps.join(C)), "manager-c: rejoin"),
        (SHOWN, left(steps.join(A)), "manager-a: rejoin"),
        (SHOWN, left(steps.unlock("manager-c"), steps.join(C)), ""),
        (SHOWN, left(steps.open_key_file("manager-a")), "manager-a: open its key file"),
        (SHOWN, RESTORED, "manager-a: restore the swarm from one"),
        (
            SHOWN,
            replace(SHOWN, survivor="manager-b"),
            "the new plan uses manager-b. The plan that Requorum showed uses manager-a",
        ),
        (SHOWN, replace(SHOWN, ahead="two"), "changes that only copy two holds would be lost"),
        (SHOWN, replace(SHOWN, refusal=Refusal("a manager is silent", "look")), "a manager is silent"),
        (
            SHOWN,
            replace(left(), cluster_id="other"),
            "the swarm is other. The plan that Requorum showed is for cluster-one",
        ),
        (replace(SHOWN, ahead="two"), replace(SHOWN, ahead="two"), ""),
        (replace(SHOWN, ahead="two"), SHOWN, ""),
        (CUT, CUT, ""),
        (CUT, replace(SHOWN, cut=CUT.cut), ""),
        (CUT, left(steps.leave("manager-b"), steps.rejoin("manager-b"), steps.join(C)), ""),
        (
            CUT,
            replace(CUT, cut="manager-a at entry 8 of term 2"),
            "at entry 8 of term 2. The plan that Requorum showed is for manager-a at",
        ),
        (SHOWN, CUT, "manager-a: put a repaired log in place"),
        (SHOWN, replace(SHOWN, cut=CUT.cut), "The plan that Requorum showed is for a log that is whole"),
        (RESTORED, RESTORED, ""),
        (RESTORED, left(steps.compare("manager-a"), steps.join(B), steps.join(C)), ""),
        (RESTORED, replace(RESTORED, copy="two"), "the new plan uses two. The plan that Requorum showed uses one"),
        (RESTORED, replace(RESTORED, ca="another"), "the CA of one is not the CA in the plan that Requorum showed"),
        (RESTORED, replace(RESTORED, content="another"), "the content of one is not the content in the plan"),
        (SHOWN, replace(SHOWN, term=4), "manager-a had a leader again after the plan"),
        (
            RESTORED,
            replace(RESTORED, moves=(MOVE,)),
            "the new plan would also move manager-a from 10.70.0.1 to 10.77.1.11",
        ),
        (replace(RESTORED, moves=(MOVE,)), RESTORED, ""),
        (left(steps.join(C)), SHOWN, "manager-a: force a new cluster"),
        (replace(left(steps.found(A)), cluster_id=None), left(), ""),
    ],
)
def test_a_fresh_plan_is_what_is_left_of_the_one_consented_to(consented: Plan, fresh: Plan, why: str) -> None:
    said = still_valid(consented, fresh)
    assert why in said
    assert bool(why) is bool(said)


def test_a_new_resource_is_consent_to_its_join() -> None:
    assert with_join(SHOWN, C) == SHOWN
    assert not still_valid(with_join(left(), C), left(steps.join(C)))
    assert still_valid(with_join(left(), C), left(steps.join(B)))


@pytest.mark.parametrize("plan", [SHOWN, RESTORED, replace(RESTORED, moves=(MOVE,)), replace(SHOWN, ahead="two"), CUT])
def test_a_plan_arrives_as_it_was_recorded(plan: Plan) -> None:
    record = json.loads(json.dumps(to_record(plan, plan.steps)))
    assert from_record(record) == plan
    assert from_record({key: value for key, value in record.items() if value is not None}) == plan
    assert not still_valid(from_record(record), plan)


@pytest.mark.parametrize("plan", [SHOWN, RESTORED])
def test_a_plan_that_an_earlier_release_recorded_is_still_carried_out(plan: Plan) -> None:
    old = {key: value for key, value in to_record(plan, plan.steps).items() if key not in ("content", "term")}
    assert from_record(old) == replace(plan, content="", term=0)
    assert not still_valid(from_record(old), plan)


@pytest.mark.parametrize(
    "record", [{}, {"copy": "one", "ca": "ours", "vouched": True, "survivor": None, "plan": ["1."]}]
)
def test_a_record_without_steps_consents_to_nothing(record: dict[str, Any]) -> None:
    assert from_record(record) == NOTHING
    assert still_valid(NOTHING, SHOWN)


def test_where_nothing_is_to_be_done_nothing_is_recorded() -> None:
    assert to_record(left(), ()) == {}
    assert to_record(SHOWN, SHOWN.steps_of("worker-1")) == {}
    assert [step["node"] for step in to_record(SHOWN, SHOWN.steps_of("manager-c"))["steps"]] == ["manager-c"]
