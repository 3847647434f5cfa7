"""What is planned for each diagnosis; above all, when nothing is."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given

from recovery.copies.choice import newest_after
from recovery.copies.copy import Choice, Copy
from recovery.copies.manifest import Proof, Verdict
from recovery.error_codes import CODES
from recovery.planning.decide import make_plan
from recovery.planning.diagnosis import Kind, diagnose
from recovery.planning.plan import Plan, Source
from recovery.planning.steps import Action
from recovery.planning.survivors import copy_ahead_of, rank
from recovery.settings import PLAN_ID, Settings
from recovery.swarm.machines import Node
from recovery.swarm.model import AddressChange, Inventory, LocalState, NodeReport, Reach
from recovery.swarm.survivor import Survivor
from recovery.swarm.wal import Position
from tests.unit import factories as make
from tests.unit.planning.test_diagnosis import W1, A, B, C, S, led, surveys

LOST = [make.gone(node) for node in S.managers] + [make.worker(node) for node in S.workers]


def choice(name: str = "manager-a", address: str = "10.77.1.11") -> Choice:
    manifest = make.manifest(name, address=address)
    return Choice(make.copy_of(manifest), manifest)


def plan(
    reports: list[NodeReport],
    *,
    recover: bool | str = False,
    spent: bool = False,
    typed: bool = False,
    chosen: Choice | None = None,
    rejected: tuple[str, ...] = (),
    survivors: tuple[Survivor, ...] = (),
    moved: tuple[AddressChange, ...] = (),
    copies: bool = True,
    copy: str | None = None,
    newer: Choice | None = None,
    ahead: Copy | None = None,
    proven: str = "",
) -> Plan:
    seen = make.survey(reports)
    found = diagnose(seen, make.CLUSTER if copies else None, cluster="lab", copies=copies)
    of = S.model_copy(update={"recover": recover, "copy_from": copy})
    cas = seen.cas(make.CLUSTER)
    source = Source(chosen, rejected, newer, cas, moved=moved, ahead=ahead, proven=proven)
    return make_plan(found, of, source, survivors, make.NOW, spent=spent, typed=typed)


@pytest.mark.parametrize("recover", [False, True])
def test_nothing_is_done_to_a_healthy_swarm(recover: bool) -> None:
    made = plan(list(make.healthy(S).reports), recover=recover, chosen=choice())
    assert made == Plan(Kind.HEALTHY, make.CLUSTER)


def changed(report: NodeReport, name: str, **changes: Any) -> NodeReport:
    """The report with one entry of its node list changed."""
    members = tuple(replace(m, **changes) if m.hostname == name else m for m in report.members)
    return replace(report, members=members)


def doubled(report: NodeReport, name: str, **changes: str) -> NodeReport:
    """The report with an entry more at the address of a node, as a machine before it leaves it."""
    old = next(replace(m, node_id="id-before", ready=False, **changes) for m in report.members if m.hostname == name)
    return replace(report, members=(*report.members, old))


VOTELESS = {"manager_address": "", "reachable": False}


@pytest.mark.parametrize(
    ("reports", "left"),
    [
        ([changed(led(A), "manager-c", **VOTELESS, role="worker"), led(B), make.worker(C)], ["join manager-c"]),
        ([changed(led(A), "manager-c", **VOTELESS), led(B), make.worker(C)], ["leave manager-c", "join manager-c"]),
        (
            [changed(led(A), "manager-c", **VOTELESS), led(B), make.leaderless(C)],
            ["save manager-c", "leave manager-c", "join manager-c"],
        ),
        (
            [changed(led(A), "manager-c", **VOTELESS), led(B), replace(make.leaderless(C), state=LocalState.LOCKED)],
            ["save manager-c", "leave manager-c", "join manager-c"],
        ),
        (
            [led(A, unreachable=("manager-c",)), led(B), replace(make.leaderless(C), state=LocalState.INACTIVE)],
            ["save manager-c", "aside manager-c", "join manager-c"],
        ),
        (
            [led(A, unreachable=("manager-c",)), led(B), replace(make.leaderless(C), state=LocalState.LOCKED)],
            ["unlock manager-c"],
        ),
        ([doubled(led(A), "manager-c"), led(B), led(C)], ["join manager-c"]),
        ([doubled(led(A), "worker-1"), led(B), led(C), make.worker(W1)], ["join worker-1"]),
        ([doubled(led(A), "worker-1", address="10.70.0.9"), led(B), led(C), make.worker(W1)], ["join worker-1"]),
        ([replace(led(A), placed="copy"), led(B), led(C)], ["save manager-a", "compare manager-a"]),
        ([led(A), replace(led(B), opened=True), led(C)], ["lock manager-b"]),
        ([led(A), led(B), led(C), replace(make.worker(W1), raft=True)], ["demote worker-1"]),
        ([led(A), led(B), make.silent(C), replace(make.worker(W1), raft=True)], []),
        ([changed(led(A), "manager-c", **VOTELESS), led(B), make.silent(C)], []),
        ([led(A, unreachable=("manager-c",)), led(B), make.leaderless(C)], []),
    ],
    ids=[
        "no vote yet",
        "threw its log away",
        "left behind",
        "left behind and locked",
        "in no swarm, with a log",
        "locked",
        "two entries",
        "two of a worker",
        "an entry at a former address",
        "not compared with its copy",
        "not locked again",
        "a stand-in is no longer needed",
        "a stand-in is needed",
        "silent",
        "has its vote",
    ],
)
def test_what_broke_off_is_finished(reports: list[NodeReport], left: list[str]) -> None:
    made = plan(reports, recover=True, chosen=choice())
    assert [f"{step.action} {step.node}" for step in made.steps] == left


def test_a_new_cluster_is_founded_once_and_joined_by_all() -> None:
    made = plan([make.gone(node) for node in S.nodes], copies=False)
    assert [step.node for step in made.steps if step.action is Action.REBUILD] == [node.name for node in S.nodes]
    assert [(step.action, step.node) for step in made.steps[5:]] == [
        (Action.FOUND, "manager-a"),
        (Action.JOIN, "manager-b"),
        (Action.JOIN, "manager-c"),
        (Action.JOIN, "worker-1"),
        (Action.JOIN, "worker-2"),
        (Action.PROVE, "swarm"),
    ]
    assert [step for step in made.steps if not step.repeatable] == [made.steps[5]]


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
    assert made.refusal.remedy.endswith(f"pulumi up --config recover={made.id if spent else 'true'}")


def test_a_refusal_for_another_reason_is_not_agreed_away() -> None:
    made = plan(LOST, rejected=("only: altered",))
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
    made = plan(LOST, recover=True, chosen=choice(), rejected=("newest: the archive is torn",))
    assert any("newest: the archive is torn" in line for line in made.lines)


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
    assert back.endswith("come back: services gone")
    assert newest_after(new, {one.copy: one.manifest for one in (old, new)}) is None


@pytest.mark.parametrize("recover", [False, True])
def test_all_lost_without_a_good_copy_is_refused(recover: bool) -> None:
    made = plan(LOST, recover=recover, rejected=("only: altered",))
    assert made.refusal is not None
    assert made.refusal.code == "no-good-copy"
    assert "only: altered" in made.refusal.why
    assert "requorum backups" in made.refusal.remedy


def test_all_lost_without_a_machine_to_restore_on_is_refused_without_a_word_against_the_copies() -> None:
    made = plan([named(node) for node in S.managers], recover=True)
    assert made.refusal is not None
    assert made.refusal.code == "no-machine"
    assert all(str(node.address) in made.refusal.why for node in S.managers)
    one_is_back = plan([make.empty(A), named(B), named(C)], recover=True)
    assert one_is_back.refusal is not None
    assert one_is_back.refusal.code == "no-good-copy"


def test_one_lost_manager_and_one_lost_worker_rejoin() -> None:
    made = plan([led(A), led(B), make.gone(C), make.gone(W1)])
    assert [(step.action, step.node) for step in made.steps] == [
        (Action.REBUILD, "manager-c"),
        (Action.REBUILD, "worker-1"),
        (Action.JOIN, "manager-c"),
        (Action.JOIN, "worker-1"),
    ]


def test_a_machine_that_is_there_is_not_made_again() -> None:
    made = plan([led(A), led(B), make.empty(C)])
    assert [(step.action, step.node) for step in made.steps] == [(Action.JOIN, "manager-c")]


def test_a_silent_manager_beside_a_quorum_is_left_alone() -> None:
    made = plan([led(A, unreachable=("manager-c",)), led(B), make.silent(C)])
    assert made.steps == ()
    assert made.losses[0].startswith("manager-c is silent")


def test_a_silent_manager_with_the_others_lost_forbids_a_restore() -> None:
    made = plan([make.silent(A), make.gone(B), make.gone(C)], recover=True, chosen=choice())
    assert made.refusal is not None
    assert made.refusal.code == "silent-manager"
    assert "manager-a" in made.refusal.remedy


def test_without_a_quorum_or_a_log_a_manager_that_is_not_known_to_be_lost_forbids_a_restore() -> None:
    waiting = replace(make.leaderless(A), raft=False)
    made = plan([waiting, make.gone(B), make.gone(C)], recover=True, chosen=choice())
    assert made.refusal is not None
    assert made.refusal.code == "no-survivor"


@given(surveys(S))
def test_a_swarm_is_only_made_when_every_manager_is_known_lost(reports: list[NodeReport]) -> None:
    made = plan(reports, recover=True, chosen=choice())
    if any(step.action in (Action.FOUND, Action.RESTORE) for step in made.steps):
        assert all(report.known_lost for report in reports)
        assert not any(report.led for report in reports)


@given(surveys(S))
def test_every_plan_either_acts_or_refuses_never_both(reports: list[NodeReport]) -> None:
    made = plan(reports, recover=True, chosen=choice())
    assert not (made.steps and made.refusal)
    assert made.refusal is None or (made.refusal.remedy and made.refusal.code in CODES)


def test_age_of_the_copy_is_what_is_lost() -> None:
    manifest = make.manifest(ago=timedelta(hours=2))
    made = plan(LOST, recover=True, chosen=Choice(make.copy_of(manifest), manifest))
    assert "7200 s ago" in made.losses[0]


def test_whether_anybody_alive_knows_the_copys_ca_is_said() -> None:
    ours, other = choice(), choice()
    other = Choice(other.copy, replace(other.manifest, ca_sha256="0" * 64))
    nobody = [make.gone(node) for node in S.nodes]
    known = plan(LOST, recover=True, chosen=ours)
    assert (known.ca, known.vouched) == (make.ca_sha256(), True)
    assert not [line for line in known.losses if "CA" in line]
    unknown = plan(nobody, recover=True, chosen=ours)
    assert not unknown.vouched
    assert [line for line in unknown.losses if make.ca_sha256()[:12] in line]
    named = plan(LOST, recover=True, chosen=other, copy=other.copy.name)
    assert (named.ca, named.vouched) == ("0" * 64, True)
    assert [line for line in named.losses if "0" * 12 in line]


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


def test_with_the_flag_nothing_is_founded_where_nothing_is_found() -> None:
    made = plan([make.gone(node) for node in S.nodes], recover=True, copies=False)
    assert not made.steps
    assert made.refusal is not None
    assert made.refusal.code == "nothing-to-recover"


MOVED = tuple(
    AddressChange(node.name, f"id-{node.name}", f"10.70.0.{place}", str(node.address))
    for place, node in enumerate((A, B, C), 1)
)


def test_a_restore_elsewhere_shows_what_follows_and_the_seed_s_vote_is_given_anew_beside_a_second_manager() -> None:
    stranded = replace(make.worker(W1), remotes=("10.70.0.1:2377", "10.70.0.2:2377"))
    lost = [*LOST[:3], stranded, LOST[4]]
    shown = plan(lost, chosen=choice(), moved=MOVED)
    made = plan(lost, chosen=choice(), moved=MOVED, recover=shown.id)
    assert made.refusal is None
    assert [(step.action, step.node) for step in made.steps[3:]] == [
        (Action.RESTORE, "manager-a"),
        (Action.COMPARE, "manager-a"),
        (Action.REDIRECT, "manager-b"),
        (Action.JOIN, "manager-b"),
        (Action.READDRESS, "manager-a"),
        (Action.JOIN, "manager-a"),
        (Action.REDIRECT, "worker-1"),
        (Action.JOIN, "manager-c"),
        (Action.PROVE, "swarm"),
    ]
    assert "force a new cluster at 10.77.1.11" in made.steps[3].effect
    notes = "\n".join(made.losses)
    assert "manager-a from 10.70.0.1 to 10.77.1.11, manager-b from" in notes
    assert "two swarms" in notes


def test_where_only_others_move_the_seed_keeps_its_vote() -> None:
    shown = plan(LOST, chosen=choice(), moved=MOVED[1:])
    made = plan(LOST, chosen=choice(), moved=MOVED[1:], recover=shown.id)
    assert [step.action for step in made.steps[3:]] == [
        Action.RESTORE,
        Action.COMPARE,
        Action.JOIN,
        Action.JOIN,
        Action.PROVE,
    ]


@pytest.mark.parametrize("typed", [False, True])
@pytest.mark.parametrize("spent", [False, True])
@pytest.mark.parametrize("recover", [False, True, "r0000000"])
def test_only_its_id_consents_to_a_plan_elsewhere(recover: bool | str, spent: bool, typed: bool) -> None:
    made = plan(LOST, chosen=choice(), moved=MOVED, recover=recover, spent=spent, typed=typed)
    assert made.refusal is not None
    assert made.agreed() == made, "no other word will do"
    assert made.refusal.code == "consent-needed"
    assert "manager-c from 10.70.0.3 to 10.77.3.13" in made.refusal.why
    assert "requorum:managers" in made.refusal.remedy
    assert f"pulumi up --config recover={made.id}" in made.refusal.remedy
    assert made.id not in (plan(LOST, chosen=choice()).id, plan(LOST, chosen=choice(), moved=MOVED[1:]).id)


def test_a_manager_alone_is_not_restored_elsewhere() -> None:
    made = plan([make.empty(A), named(B), named(C)], chosen=choice(), moved=MOVED[:1], recover=True)
    assert made.refusal is not None
    assert not made.steps
    assert made.refusal.code == "second-manager-needed"


def test_what_a_recovery_elsewhere_left_unfinished_is_finished() -> None:
    elsewhere = [changed(led(node), "manager-a", manager_address="10.70.0.1:2377") for node in (A, B, C)]
    stranded = replace(make.worker(W1), remotes=("10.70.0.1:2377",))
    made = plan([*elsewhere, stranded])
    assert [(step.action, step.node) for step in made.steps] == [
        (Action.REDIRECT, "manager-b"),
        (Action.READDRESS, "manager-a"),
        (Action.JOIN, "manager-a"),
        (Action.REDIRECT, "worker-1"),
    ]


def test_a_vote_is_not_given_anew_where_no_other_manager_can_be_beside_it() -> None:
    alone = changed(led(A, unreachable=("manager-b", "manager-c")), "manager-a", manager_address="10.70.0.1:2377")
    alone = replace(alone, members=tuple(m for m in alone.members if m.hostname == "manager-a"))
    made = plan([alone, make.silent(B), make.silent(C)])
    assert made.refusal is not None
    assert "start the machine of another manager" in made.refusal.remedy


@pytest.mark.parametrize(
    ("remotes", "is_so"),
    [((), False), (("10.70.0.1:2377",), True), (("10.70.0.1:2377", "10.77.3.13:2377"), False)],
    ids=["nobody knows", "elsewhere", "one is left"],
)
def test_a_worker_is_stranded_that_knows_no_manager_of_now(remotes: tuple[str, ...], is_so: bool) -> None:
    seen = replace(make.worker(W1), remotes=remotes)
    assert seen.is_stranded(S.managers) is is_so
    assert not replace(make.leaderless(A), remotes=remotes).is_stranded(S.managers), (
        "a manager finds its peers by its log"
    )


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
    made = make_plan(found, of, Source(chosen, engine=engine), (), make.NOW)
    assert (made.refusal is not None) is refused
    assert any(f"({engine})" in loss and f"({maker})" in loss for loss in made.losses) is noted
    if made.refusal:
        assert made.refusal.code == "engine-too-old"
        assert chosen.copy.name in made.refusal.remedy
        assert not made.steps


FRESH, STALE = Survivor("manager-b", Position(3, 57, 56)), Survivor("manager-a", Position(3, 40, 40))


def two_of_five_left() -> tuple[Settings, list[NodeReport]]:
    five = make.settings(5, recover=True)
    left = [make.leaderless(five.managers[0]), make.leaderless(five.managers[1])]
    return five, left + [make.gone(node) for node in five.managers[2:]]


def test_without_a_quorum_the_survivor_that_holds_most_is_forced_and_the_rest_rejoin() -> None:
    five, reports = two_of_five_left()
    found = diagnose(make.survey(reports), make.CLUSTER, cluster="lab", copies=True)
    made = make_plan(found, five, Source(), rank((STALE, FRESH)), make.NOW)
    assert made.survivor == "manager-b"
    assert [(step.action, step.node) for step in made.steps] == [
        (Action.REBUILD, "manager-c"),
        (Action.REBUILD, "manager-a2"),
        (Action.REBUILD, "manager-b2"),
        (Action.SAVE, "manager-b"),
        (Action.SAVE, "manager-a"),
        (Action.FORCE, "manager-b"),
        (Action.LEAVE, "manager-a"),
        (Action.JOIN, "manager-a"),
        (Action.JOIN, "manager-c"),
        (Action.JOIN, "manager-a2"),
        (Action.JOIN, "manager-b2"),
        (Action.PROVE, "swarm"),
    ]
    assert "entry 57" in made.losses[0]
    assert "entry 40" in made.losses[0]
    assert made.losses[1].startswith("entries of manager-b's log")
    assert made.losses[1].endswith(": 1")
    named = make_plan(found, five.model_copy(update={"copy_from": "a-copy"}), Source(), (FRESH,), make.NOW)
    assert any("requorum:copy" in loss for loss in named.losses)


def test_a_lost_quorum_is_not_forced_without_the_flag() -> None:
    made = plan([make.leaderless(A), make.gone(B), make.gone(C)], survivors=(STALE,))
    assert made.refusal is not None
    assert made.refusal.code == "consent-needed"


@pytest.mark.parametrize("typed", [False, True])
@pytest.mark.parametrize("spent", [False, True])
@pytest.mark.parametrize("recover", [False, True, "r0000000"])
def test_only_its_id_consents_to_force_from_a_survivor_that_lacks_what_a_copy_holds(
    recover: bool | str, spent: bool, typed: bool
) -> None:
    lost, further = [make.leaderless(A), make.gone(B), make.gone(C)], choice("manager-b", "10.77.2.12").copy
    made = plan(lost, recover=recover, spent=spent, typed=typed, survivors=(STALE,), ahead=further)
    assert made.refusal is not None
    assert made.agreed() == made, "no other word will do"
    assert made.refusal.code == "consent-needed"
    assert further.name in made.refusal.why
    assert f"pulumi up --config recover={made.id}" in made.refusal.remedy
    assert any(f"{further.name} holds" in loss for loss in made.losses)
    assert made.id != plan(lost, survivors=(STALE,)).id
    assert plan(lost, recover=made.id, survivors=(STALE,), ahead=further).refusal is None


@pytest.mark.parametrize(
    ("position", "changes", "is_ahead"),
    [
        (Position(3, 41, 41), {}, True),
        (Position(3, 41, 40), {}, False),
        (Position(4, 38, 38), {}, True),
        (Position(2, 99, 99), {}, False),
        (Position(3, 99, 99), {"kind": "safety"}, False),
        (Position(3, 99, 99), {"proof": Proof(Verdict.FAILED, make.NOW)}, False),
    ],
    ids=["further", "not committed", "a later leader", "an earlier one", "nobody restores it", "at fault"],
)
def test_a_copy_is_ahead_that_holds_what_the_best_survivor_never_heard_of(
    position: Position, changes: dict[str, Any], is_ahead: bool
) -> None:
    made = make.manifest("manager-b", position=position, **changes)
    assert (copy_ahead_of(STALE, {make.copy_of(made): made}) is not None) is is_ahead


def test_of_one_term_the_survivor_is_forced_that_is_known_to_be_committed_furthest() -> None:
    """A forced new cluster drops what lies beyond that, however long the log is."""
    long, short = Survivor("manager-a", Position(3, 60, 40)), Survivor("manager-b", Position(3, 50, 49))
    late = Survivor("manager-c", Position(4, 41, 40))
    assert [one.name for one in rank((long, short))] == ["manager-b", "manager-a"]
    assert rank((long, short, late))[0] == late, "elected since: it has what was committed before"


def test_a_damaged_log_counts_as_far_as_it_is_repaired_and_comes_after_a_sound_one_that_is_its_equal() -> None:
    sound = Survivor("manager-a", Position(2, 40, 39))
    cut = replace(sound, name="manager-b", damage="a wrong checksum")
    longer = replace(cut, position=Position(2, 41, 40))
    useless = Survivor("manager-c", Position(0, 0, 0), damage="it holds no entry")
    assert rank((useless, cut, sound)) == (sound, cut, useless)
    assert rank((useless, sound, longer)) == (longer, sound, useless)


def test_a_locked_manager_with_a_damaged_log_is_not_unlocked_but_rejoins_once_the_others_lead() -> None:
    locked = [replace(make.leaderless(node), state=LocalState.LOCKED) for node in (A, B, C)]
    made = plan([*locked[:2], replace(locked[2], damage="a wrong checksum")])
    assert made.kind is Kind.LOCKED
    assert [(step.action, step.node) for step in made.steps] == [
        (Action.UNLOCK, "manager-a"),
        (Action.UNLOCK, "manager-b"),
        (Action.SAVE, "manager-c"),
        (Action.LEAVE, "manager-c"),
        (Action.JOIN, "manager-c"),
    ]


def test_the_plans_id_depends_on_where_the_repaired_log_ends() -> None:
    cut = Survivor("manager-a", Position(2, 40, 39), damage="a wrong checksum")
    harmed = [make.damaged(A), make.gone(B), make.gone(C)]
    made = plan(harmed, survivors=(cut,))
    again = plan(
        [replace(harmed[0], state=LocalState.INACTIVE, damage="", repaired="a wrong checksum"), *harmed[1:]],
        survivors=(replace(cut, in_place=True),),
    )
    assert made.id == again.id, "in place, it is consented to still"
    assert Action.REPAIR not in {step.action for step in again.steps}
    assert plan(harmed, survivors=(replace(cut, position=Position(2, 39, 38)),)).id != made.id
    assert plan(harmed, survivors=(replace(cut, damage=""),)).id != made.id
    consented = plan(harmed, survivors=(cut,), recover=made.id)
    assert consented.refusal is None
    for recover in (True, "r0000000"):
        refused = plan(harmed, survivors=(cut,), recover=recover, typed=True).agreed()
        assert refused.refusal
        assert refused.refusal.code == "consent-needed"


def test_an_older_copy_may_be_of_a_history_that_was_given_up() -> None:
    old = make.manifest("manager-b", position=Position(9, 900, 900), ago=timedelta(days=2))
    new = make.manifest("manager-c", position=Position(3, 39, 39))
    assert copy_ahead_of(STALE, {make.copy_of(made): made for made in (old, new)}) is None


def test_a_proof_ends_what_was_consented_to_before() -> None:
    lost = [make.leaderless(A), make.gone(B), make.gone(C)]
    before = plan(lost, survivors=(STALE,))
    assert plan(lost, survivors=(STALE,), recover=before.id).refusal is None
    assert plan(lost, survivors=(STALE,), recover=before.id, proven="20260102T030405000000Z").refusal is not None


def test_a_lost_quorum_is_not_forced_beside_a_silent_manager() -> None:
    made = plan([make.leaderless(A), make.silent(B), make.gone(C)], recover=True, survivors=(STALE,))
    assert made.refusal is not None
    assert made.refusal.code == "silent-manager"
    assert "manager-b" in made.refusal.remedy


def named(node: Node) -> NodeReport:
    return replace(make.silent(node), reach=Reach.NAMED, named="declared lost 1 min ago by ops@desk: switched off")


def test_a_silent_manager_is_refused_with_the_command_that_declares_it_lost() -> None:
    made = plan([make.leaderless(A), make.silent(B), make.silent(C)], recover=True, survivors=(STALE,))
    assert made.refusal is not None
    assert made.refusal.code == "silent-manager"
    assert "requorum fence manager-b; requorum fence manager-c" in made.refusal.remedy
    assert made.lines == (f"note: survivor {STALE.text}",), "what there is without them"


def test_managers_declared_lost_no_longer_forbid_a_recovery_and_are_left_alone() -> None:
    made = plan([make.leaderless(A), named(B), named(C)], recover=True, survivors=(STALE,))
    assert made.survivor == "manager-a"
    assert {step.node for step in made.steps} == {"manager-a", "swarm"}
    assert sum("declared lost 1 min ago by ops@desk" in line for line in made.lines) == 2


def test_a_restore_says_whose_copies_no_machine_is_there_for() -> None:
    made = plan([named(A), make.empty(B), make.empty(C)], recover=True, chosen=choice("manager-b", "10.77.2.12"))
    assert made.copy
    assert "manager-a" not in {step.node for step in made.steps}
    assert any("passed over the copies of manager-a" in line for line in made.lines)


def test_nothing_is_forced_beside_a_promoted_worker_without_a_leader() -> None:
    standing = replace(make.leaderless(W1), raft=True)
    made = plan([make.leaderless(A), make.gone(B), make.gone(C), standing], recover=True, survivors=(STALE,))
    assert not made.steps
    assert made.refusal is not None
    assert made.refusal.code == "stand-in-holds-log"
    assert "worker-1" in made.refusal.why
    assert "unhealthy-manager.md" in made.refusal.remedy


def slices(made: Plan) -> tuple[list[str], dict[str, list[str]]]:
    """Who carries a plan out: the steps that give the quorum, and those of each node."""
    nodes = {node.name: [str(step.action) for step in made.steps_of(node.name)] for node in S.nodes}
    return [f"{step.action} {step.node}" for step in made.quorum_steps], {k: v for k, v in nodes.items() if v}


@pytest.mark.parametrize(
    ("made", "quorum", "nodes"),
    [
        (
            plan(LOST, recover=True, chosen=choice()),
            ["restore manager-a", "compare manager-a"],
            {"manager-b": ["join"], "manager-c": ["join"]},
        ),
        (
            plan([make.leaderless(A), make.leaderless(B), make.gone(C)], recover=True, survivors=(FRESH, STALE)),
            ["save manager-b", "save manager-a", "force manager-b", "leave manager-a"],
            {"manager-a": ["join"], "manager-c": ["join"]},
        ),
        (
            plan([replace(make.leaderless(node), state=LocalState.LOCKED) for node in (A, B)] + [make.gone(C)]),
            ["unlock manager-a", "unlock manager-b"],
            {"manager-c": ["join"]},
        ),
        (
            plan([led(A), led(B), replace(make.leaderless(C), state=LocalState.LOCKED)]),
            [],
            {"manager-c": ["unlock"]},
        ),
        (
            plan(
                [changed(led(node), "manager-a", manager_address="10.70.0.1:2377") for node in (A, B)] + [make.gone(C)]
            ),
            ["redirect manager-b", "readdress manager-a", "join manager-a"],
            {"manager-c": ["join"]},
        ),
    ],
    ids=["restored", "forced", "all locked", "one locked", "elsewhere"],
)
def test_what_gives_the_quorum_comes_first_and_each_node_has_its_own_steps(
    made: Plan, quorum: list[str], nodes: dict[str, list[str]]
) -> None:
    assert slices(made) == (quorum, nodes)
    taken = [step for step in made.steps if step.action not in (Action.REBUILD, Action.PROVE)]
    assert taken[: len(quorum)] == list(made.quorum_steps)
    assert len(taken) == len(quorum) + sum(map(len, nodes.values()))
