"""What is planned where every manager is lost: who has consented, what is restored, and what is said of the copy."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from recovery.copies.choice import newest_after
from recovery.copies.copy import Choice
from recovery.planning.decide import make_plan
from recovery.planning.diagnosis import diagnose
from recovery.planning.plan import Source
from recovery.planning.steps import Action
from recovery.settings import PLAN_ID
from recovery.swarm.model import LocalState
from recovery.swarm.wal import Position
from recovery.swarm.workload import Inventory
from tests.unit import factories as make
from tests.unit.planning.plans import LOST, choice, named, passed, plan
from tests.unit.planning.test_diagnosis import A, B, C, S


def test_all_lost_without_the_flag_is_refused_with_the_command() -> None:
    made = plan(LOST, chosen=choice())
    assert made.refusal is not None
    assert (made.refusal.consent, made.refusal.code) == (True, "consent-needed")
    assert made.id in made.refusal.remedy
    assert "pulumi up --config recover=" in made.refusal.remedy
    assert made.agreed() == plan(LOST, chosen=choice(), recover=True), "what is shown is what would be done"


def test_the_flag_counts_once_and_a_plan_s_id_for_that_plan_only() -> None:
    shown = plan(LOST, chosen=choice())
    other = plan(LOST, chosen=choice("manager-b", "10.77.2.12"))
    assert re.fullmatch(PLAN_ID, shown.id)
    assert shown.id != other.id
    spent_flag = plan(LOST, chosen=choice(), recover=True, spent=True).refusal
    assert spent_flag is not None
    assert (spent_flag.consent, spent_flag.code) == (True, "consent-needed")
    assert f"pulumi up --config recover={shown.id}" in spent_flag.remedy
    for spent in (False, True):
        assert plan(LOST, chosen=choice(), recover=shown.id, spent=spent).refusal is None
        assert plan(LOST, chosen=choice(), recover=other.id, spent=spent).refusal is not None


@pytest.mark.parametrize(
    ("recover", "spent", "typed", "consented"),
    [
        (True, False, False, True),
        (True, False, True, True),
        (True, True, False, False),
        (True, True, True, True),
        (False, False, True, False),
        (False, True, True, False),
        ("r0000000", False, True, False),
    ],
    ids=[
        "saved, for the first loss",
        "typed, for the first",
        "saved, for a later one",
        "typed, for a later one",
        "typed, and overridden",
        "typed, and overridden at a later loss",
        "typed beside the ID of another plan",
    ],
)
def test_a_typed_flag_counts_for_the_loss_at_hand(
    recover: bool | str, spent: bool, typed: bool, consented: bool
) -> None:
    made = plan(LOST, chosen=choice(), recover=recover, spent=spent, typed=typed)
    assert (made.refusal is None) is consented
    assert made.agreed() == plan(LOST, chosen=choice(), recover=True)


@pytest.mark.parametrize("spent", [False, True])
def test_a_refusal_names_the_word_that_counts_wherever_it_is_given(spent: bool) -> None:
    made = plan(LOST, chosen=choice(), spent=spent)
    assert made.refusal is not None
    assert made.refusal.remedy == f"pulumi up --config recover={made.id}"


def test_a_refusal_for_another_reason_is_not_agreed_away() -> None:
    made = plan(LOST, rejected=passed("altered"))
    assert made.agreed() == made
    assert made.refusal is not None


def test_all_lost_with_the_flag_restores_the_seed_then_rejoins_the_others() -> None:
    made = plan(LOST, recover=True, chosen=choice("manager-b", "10.77.2.12"))
    assert made.refusal is None
    assert [(step.action, step.node) for step in made.steps] == [
        (Action.REBUILD, "manager-a"),
        (Action.REBUILD, "manager-b"),
        (Action.REBUILD, "manager-c"),
        (Action.RESTORE, "manager-b"),
        (Action.COMPARE, "manager-b"),
        (Action.JOIN, "manager-a"),
        (Action.JOIN, "manager-c"),
        (Action.PROVE, "swarm"),
    ]
    assert made.copy == choice("manager-b").copy.name
    assert "60 s ago" in made.losses[0]


def test_all_lost_says_which_newer_copies_were_passed_over() -> None:
    made = plan(LOST, recover=True, chosen=choice(), rejected=passed("the archive is torn"))
    assert any(f"skipped {choice().copy.name}: the archive is torn" in line for line in made.lines)


def test_an_older_copy_says_which_objects_are_lost_and_which_come_back() -> None:
    def held(ago: int, **objects: set[str]) -> Choice:
        inventory = Inventory({kind: frozenset(ids) for kind, ids in objects.items()}, 42)
        manifest = make.manifest(ago=timedelta(minutes=ago), inventory=inventory)
        return Choice(make.copy_of(manifest), manifest)

    old, new = held(9, services={"web", "gone"}, configs=set()), held(1, services={"web", *"abcdef"}, configs={"c1"})
    found = newest_after(old, {one.copy: one.manifest for one in (old, new)})
    assert found == new
    made = plan(LOST, recover=True, chosen=old, newer=found)
    lost, back = made.losses[1:3]
    assert new.copy.name in lost
    assert lost.endswith("lost: services a, b, c, d, e and 1 more; configs c1")
    assert new.copy.name in back
    assert back.endswith("brings them back: services gone")
    assert newest_after(new, {one.copy: one.manifest for one in (old, new)}) is None


@pytest.mark.parametrize(
    ("minutes", "commit", "is_newer"),
    [(4, 50, True), (4, 30, False), (-4, 50, True), (-4, 30, False), (-15, 30, True), (15, 50, False)],
)
def test_a_copy_of_another_manager_is_newer_that_may_be_and_is_committed_further(
    minutes: int, commit: int, is_newer: bool
) -> None:
    ours = make.manifest(position=Position(3, 40, 40), ago=timedelta(0))
    other = make.manifest("manager-b", position=Position(3, 60, commit), ago=timedelta(minutes=minutes))
    chosen = Choice(make.copy_of(ours), ours)
    found = newest_after(chosen, {make.copy_of(one): one for one in (ours, other)})
    assert (found is not None) is is_newer


@pytest.mark.parametrize("recover", [False, True])
def test_all_lost_without_a_good_copy_is_refused(recover: bool) -> None:
    made = plan(LOST, recover=recover, rejected=passed("altered"))
    assert made.refusal is not None
    assert made.refusal.code == "no-good-copy"
    assert f"{choice().copy.name}: altered" in made.refusal.why
    assert "requorum copies list" in made.refusal.remedy


def test_all_lost_without_a_machine_to_restore_on_is_refused_without_a_word_against_the_copies() -> None:
    made = plan([named(node) for node in S.managers], recover=True)
    assert made.refusal is not None
    assert made.refusal.code == "no-machine"
    assert all(str(node.address) in made.refusal.why for node in S.managers)
    one_is_back = plan([make.empty(A), named(B), named(C)], recover=True)
    assert one_is_back.refusal is not None
    assert one_is_back.refusal.code == "no-good-copy"


def test_age_of_the_copy_is_what_is_lost() -> None:
    manifest = make.manifest(ago=timedelta(hours=2))
    made = plan(LOST, recover=True, chosen=Choice(make.copy_of(manifest), manifest))
    assert "2 h ago" in made.losses[0]


def test_whether_anybody_alive_knows_the_copys_ca_is_said() -> None:
    ours = choice()
    nobody = [make.gone(node) for node in S.nodes]
    known = plan(LOST, recover=True, chosen=ours)
    assert (known.ca, known.vouched) == (make.ca_sha256(), True)
    assert not [line for line in known.losses if "CA" in line]
    unknown = plan(nobody, recover=True, typed=True, chosen=ours)
    assert not unknown.vouched
    assert [line for line in unknown.losses if make.ca_sha256()[:12] in line]
    assert unknown.refusal
    assert unknown.refusal.code == "consent-needed"
    assert make.ca_sha256() in unknown.refusal.why
    assert plan(nobody, recover=unknown.id, chosen=ours).refusal is None


def test_only_living_members_of_the_swarm_know_its_ca() -> None:
    worker, manager = make.worker(S.workers[0]), make.manager(A, S.nodes)
    assert make.survey([worker, make.empty(B)]).cas(make.CLUSTER) == {make.ca_sha256()}
    for other in (
        make.worker(S.workers[0], cluster="other"),
        replace(worker, state=LocalState.INACTIVE),
        replace(worker, ca_sha256=""),
        replace(manager, placed="a copy"),
        make.silent(A),
    ):
        assert not make.survey([other]).cas(make.CLUSTER), other
    rotated = replace(worker, ca_sha256="new")
    assert make.survey([manager, rotated]).cas(make.CLUSTER) == {make.ca_sha256(), "new"}


@pytest.mark.parametrize(
    ("engine", "maker", "named", "refused", "noted"),
    [
        ("20.10.24", "26.1.5", False, True, False),
        ("20.10.24", "26.1.5", True, False, True),
        ("26.1.5", "26.1.5", False, False, False),
        ("26.1.4", "26.1.5", False, False, False),
        ("29.0.0", "26.1.5", False, False, False),
        ("", "26.1.5", False, False, False),
        ("20.10.24", "unknown", False, False, False),
    ],
)
def test_a_copy_of_a_newer_engine_is_restored_only_where_it_is_named(
    engine: str, maker: str, named: bool, refused: bool, noted: bool
) -> None:
    manifest = make.manifest(engine=maker)
    chosen = Choice(make.copy_of(manifest), manifest)
    found = diagnose(make.survey(LOST), make.CLUSTER, cluster="lab", copies=True)
    of = S.model_copy(update={"recover": True, "copy_from": chosen.copy.name if named else None})
    made = make_plan(found, of, Source(chosen, cas=frozenset({manifest.ca_sha256}), engine=engine), (), make.NOW)
    assert (made.refusal is not None) is refused
    assert any(f"({engine})" in loss and f"({maker})" in loss for loss in made.losses) is noted
    if made.refusal:
        assert made.refusal.code == "engine-too-old"
        assert chosen.copy.name in made.refusal.remedy
        assert not made.steps


def test_a_restore_says_whose_copies_no_machine_is_there_for() -> None:
    made = plan([named(A), make.empty(B), make.empty(C)], recover=True, chosen=choice("manager-b", "10.77.2.12"))
    assert made.copy
    assert "manager-a" not in {step.node for step in made.steps}
    assert any("skipped the copies of manager-a" in line for line in made.lines)
