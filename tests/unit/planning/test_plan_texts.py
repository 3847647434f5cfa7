"""What plans and refusals say to the operator, for a table of typical diagnoses: the only test of their prose.

After a change of a sentence: ``python -m pytest tests/unit/test_plan_texts.py --snapshot-update``, and read the difference.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from recovery.copies.choice import newest_after
from recovery.copies.copy import Choice, Rejected
from recovery.planning.decide import make_plan
from recovery.planning.diagnosis import diagnose
from recovery.planning.objections import precondition
from recovery.planning.plan import Plan, Source
from recovery.planning.steps import Action
from recovery.planning.survivors import rank
from recovery.swarm.model import LocalState, NodeReport
from recovery.swarm.survivor import Survivor
from recovery.swarm.wal import Position
from recovery.swarm.workload import Inventory
from tests.unit import factories as make
from tests.unit.planning.plans import (
    FRESH,
    LOST,
    MOVED,
    STALE,
    VOTELESS,
    changed,
    choice,
    named,
    passed,
    plan,
    two_of_five_left,
)
from tests.unit.planning.test_diagnosis import W1, A, B, C, S, led

DIGEST = re.compile(r"[0-9a-f]{64}|[0-9a-f]{12}(?=…)")
NOBODY = [make.gone(node) for node in S.nodes]
NAMES = tuple(node.name for node in S.managers)
ONE_LEFT = [make.leaderless(A), make.gone(B), make.gone(C)]


def consented(reports: list[NodeReport], **given: Any) -> Plan:
    """The plan with its own ID as consent."""
    return plan(reports, recover=plan(reports, **given).id, **given)


def older_copy() -> Plan:
    def held(ago: int, **objects: set[str]) -> Choice:
        inventory = Inventory({kind: frozenset(ids) for kind, ids in objects.items()}, 42)
        manifest = make.manifest(ago=timedelta(minutes=ago), inventory=inventory)
        return Choice(make.copy_of(manifest), manifest)

    old, new = held(9, services={"web", "gone"}, configs=set()), held(1, services={"web", "db"}, configs={"c1"})
    newer = newest_after(old, {one.copy: one.manifest for one in (old, new)})
    return consented(LOST, chosen=old, newer=newer, rejected=(Rejected(new.copy, "10 of 20 bytes are there (main)"),))


def by_engine(*, copy_is_named: bool) -> Plan:
    manifest = make.manifest(engine="26.1.5", autolock=True)
    chosen = Choice(make.copy_of(manifest), manifest)
    of = S.model_copy(update={"recover": True, "copy_from": chosen.copy.name if copy_is_named else None})
    found = diagnose(make.survey(LOST), make.CLUSTER, cluster="lab", copies=True)
    return make_plan(found, of, Source(chosen, cas=frozenset({manifest.ca_sha256}), engine="20.10.24"), (), make.NOW)


def forced() -> Plan:
    five, reports = two_of_five_left()
    found = diagnose(make.survey(reports), make.CLUSTER, cluster="lab", copies=True)
    of = five.model_copy(update={"copy_from": "a-copy"})
    return make_plan(found, of, Source(), rank((replace(STALE, locked=True), replace(FRESH, locked=True))), make.NOW)


def at_other_addresses() -> Plan:
    stranded = replace(make.worker(W1), remotes=("10.70.0.1:2377",))
    return consented([*LOST[:3], stranded, LOST[4]], chosen=choice(), moved=MOVED)


def interrupted_at_other_addresses() -> Plan:
    members = [changed(led(node), "manager-a", manager_address="10.70.0.1:2377") for node in (A, B, C)]
    return plan([*members, replace(make.worker(W1), remotes=("10.70.0.1:2377",))])


def stood_in() -> Plan:
    promoted = [replace(node, role="manager") if node == W1 else node for node in S.nodes]
    return plan([*(make.manager(node, promoted) for node in (A, B, C)), make.manager(W1, promoted)])


FRESH_B = Survivor("manager-b", Position(2, 40, 39))
HARMED = [make.damaged(A), make.damaged(B), make.halted(C)]
CUT = Survivor("manager-a", Position(2, 40, 39), damage="a wrong checksum", claimed=60)
USELESS = Survivor("manager-c", Position(0, 0, 0), damage="nothing of its raft log can be used: it holds no entry")


def repaired(best: Survivor = CUT) -> Plan:
    """What is planned where the best log is a repaired one, and S3 has a copy that holds something else."""
    inventory = Inventory({"configs": frozenset({"c1", "c2"})}, 42)
    manifest = make.manifest(inventory=inventory)
    newest = Choice(make.copy_of(manifest), manifest)
    ranked = rank((USELESS, replace(CUT, name="manager-b", position=Position(2, 38, 37)), best))
    return consented(HARMED, survivors=ranked, newer=newest)


PLANS: dict[str, Callable[[], Plan]] = {
    "a new swarm": lambda: plan(NOBODY, copies=False),
    "nothing to recover": lambda: plan(NOBODY, copies=False, recover=True),
    "one manager and one worker lost": lambda: plan([led(A), led(B), make.gone(C), make.gone(W1)]),
    "one manager silent": lambda: plan([led(A, unreachable=("manager-c",)), led(B), make.silent(C)]),
    "managers locked": lambda: plan([replace(make.leaderless(node), state=LocalState.LOCKED) for node in (A, B, C)]),
    "a return was interrupted": lambda: plan([changed(led(A), "manager-c", **VOTELESS), led(B), make.worker(C)]),
    "a recovery at other addresses was interrupted": interrupted_at_other_addresses,
    "all lost": lambda: plan(LOST, recover=True, chosen=choice()),
    "all lost, and no living node": lambda: plan(NOBODY, recover=True, chosen=choice()),
    "all lost, an older copy": older_copy,
    "all lost, a copy is named": lambda: plan(LOST, recover=True, chosen=choice(), copy=choice().copy.name),
    "all lost, an older engine": lambda: by_engine(copy_is_named=False),
    "all lost, an older engine, the copy is named": lambda: by_engine(copy_is_named=True),
    "all lost, no copy": lambda: plan(LOST, recover=True),
    "all lost, no good copy": lambda: plan(LOST, recover=True, rejected=passed("it was altered"), copy="swarm-x"),
    "all lost, no good copy of many": lambda: plan(
        LOST, rejected=tuple(one for why in "abcde" for one in passed(why, *NAMES))
    ),
    "all lost, no identity here opens a copy": lambda: plan(
        LOST, rejected=passed("it is sealed", *NAMES, code="wrong-identity", recipients=("age1abc",))
    ),
    "all lost, no machine where the good copy belongs": lambda: plan(
        [make.empty(A), named(B), named(C)],
        rejected=passed("it was altered"),
        elsewhere=choice("manager-b", "10.77.2.12"),
    ),
    "all lost, no machine": lambda: plan([named(node) for node in S.managers], recover=True),
    "all lost, at other addresses": at_other_addresses,
    "all lost, at another address, alone": lambda: plan(
        [make.empty(A), named(B), named(C)], chosen=choice(), moved=MOVED[:1], recover=True
    ),
    "all lost, one silent": lambda: plan([make.silent(A), make.gone(B), make.gone(C)], recover=True, chosen=choice()),
    "quorum lost, two of five left": forced,
    "quorum lost, a copy is ahead": lambda: consented(
        ONE_LEFT, survivors=(STALE,), ahead=choice("manager-b", "10.77.2.12").copy
    ),
    "quorum lost, two silent": lambda: plan(
        [make.leaderless(A), make.silent(B), make.silent(C)], recover=True, survivors=(STALE,)
    ),
    "quorum lost, two declared lost": lambda: plan(
        [make.leaderless(A), named(B), named(C)], recover=True, survivors=(STALE,)
    ),
    "an old log is in the way": lambda: plan([led(A), led(B), replace(make.empty(C), raft=True)]),
    "every manager is back beside a stand-in": stood_in,
    "quorum lost, no log": lambda: plan([replace(make.leaderless(A), raft=False), *ONE_LEFT[1:]], recover=True),
    "quorum lost, a stand-in": lambda: plan(
        [*ONE_LEFT, replace(make.leaderless(W1), raft=True)], recover=True, survivors=(STALE,)
    ),
    "one log is damaged": lambda: plan([led(A), led(B), make.damaged(C)]),
    "one log is damaged, and its engine is down": lambda: plan([led(A), led(B), make.halted(C)]),
    "quorum lost, every log is damaged": repaired,
    "quorum lost, the repaired log was tried": lambda: repaired(
        replace(CUT, holds=Inventory({"configs": frozenset({"c1"})}, 39), claimed=40)
    ),
    "quorum lost, the repaired log was not tried": lambda: repaired(replace(CUT, trial="no memory", locked=True)),
    "quorum lost, the repaired log is in place": lambda: repaired(replace(CUT, in_place=True)),
    "quorum lost, a damaged log, no consent": lambda: plan(HARMED, recover=True, survivors=(CUT,)),
    "quorum lost, one log is sound": lambda: plan(
        [make.damaged(A), make.leaderless(B), make.halted(C)], recover=True, survivors=rank((CUT, FRESH_B, USELESS))
    ),
    "quorum lost, nothing of any log can be used": lambda: plan(HARMED, recover=True, survivors=(USELESS,)),
    "the quorum is alive, and a disk is full": lambda: plan([led(A), led(B), make.full(C)]),
    "quorum lost, disks are full": lambda: plan([make.leaderless(A), make.full(B), make.full(C)], recover=True),
    "foreign": lambda: plan([led(A), led(B), led(C), make.worker(W1, cluster="other")]),
    "forked": lambda: plan([led(A), led(B, leader="manager-b"), led(C)]),
}


def _masked(text: str, made: Plan) -> str:
    """A text without the plan's ID, which is of the CA."""
    return text.replace(made.id, "PLAN-ID") if made.id else text


def shown(made: Plan) -> Iterator[str]:
    """The plan with everything that it says to the operator; the digests of CAs, made anew for each run, are masked."""
    yield f"{made.kind}"
    for number, step in enumerate(made.steps, 1):
        yield f"{number}. {step.node}: {step.effect}"
        yield f"   before: {precondition(step.action)}"
        yield f"   after: {step.postcondition}"
    yield from (f"note: {DIGEST.sub('DIGEST', loss)}" for loss in made.losses)
    if made.refusal:
        yield f"refused: {_masked(DIGEST.sub('DIGEST', made.refusal.why), made)}"
        yield f"next: {_masked(made.refusal.remedy, made)}"
        yield f"code: {made.refusal.code}"


@pytest.mark.parametrize("of", PLANS)
def test_what_a_plan_says(of: str, snapshot: SnapshotAssertion) -> None:
    assert "\n".join(shown(PLANS[of]())) == snapshot


def test_every_action_is_in_the_table() -> None:
    assert {step.action for made in PLANS.values() for step in made().steps} == set(Action)
