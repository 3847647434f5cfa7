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
from recovery.planning.decide import make_plan
from recovery.planning.diagnosis import Kind, diagnose
from recovery.planning.plan import Plan, Refusal, Source
from recovery.planning.steps import Action
from recovery.planning.survivors import copy_ahead_of, rank
from recovery.settings import PLAN_ID, Settings
from recovery.swarm.machines import Node
from recovery.swarm.model import AddressChange, Inventory, LocalState, NodeReport, Reach, Survivor
from recovery.swarm.wal import Position
from tests.unit import factories as make
from tests.unit.test_diagnosis import W1, A, B, C, S, led, surveys

LOST = [make.gone(node) for node in S.managers] + [make.worker(node) for node in S.workers]


def choice(name: str = "manager-a", address: str = "10.77.1.11") -> Choice:
    manifest = make.manifest(name, address=address)
    return Choice(make.copy_of(manifest), manifest)


def plan(
    reports: list[NodeReport],
    *,
    recover: bool | str = False,
    spent: bool = False,
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
    return make_plan(found, of, source, survivors, make.NOW, spent=spent)


@pytest.mark.parametrize("recover", [False, True])
def test_nothing_is_done_to_a_healthy_swarm(recover: bool) -> None:
    made = plan(list(make.healthy(S).reports), recover=recover, chosen=choice())
    assert made == Plan(Kind.HEALTHY, make.CLUSTER)


def changed(report: NodeReport, name: str, **changes: Any) -> NodeReport:
    """The report with one entry of its node list changed."""
    members = tuple(replace(m, **changes) if m.hostname == name else m for m in report.members)
    return replace(report, members=members)


def doubled(report: NodeReport, name: str) -> NodeReport:
    """The report with an entry more at the address of a node, as a machine before it leaves it."""
    old = next(replace(m, node_id="id-before", ready=False) for m in report.members if m.hostname == name)
    return replace(report, members=(*report.members, old))


VOTELESS = {"manager_address": "", "reachable": False}


@pytest.mark.parametrize(
    ("reports", "finished"),
    [
        ([changed(led(A), "manager-c", **VOTELESS), led(B), make.worker(C)], ["manager-c"]),
        ([changed(led(A), "manager-c", **VOTELESS), led(B), make.leaderless(C)], ["manager-c"]),
        ([doubled(led(A), "manager-c"), led(B), led(C)], ["manager-c"]),
        ([doubled(led(A), "worker-1"), led(B), led(C), make.worker(W1)], ["worker-1"]),
        ([changed(led(A), "manager-c", **VOTELESS), led(B), make.silent(C)], []),
        ([led(A, unreachable=("manager-c",)), led(B), make.leaderless(C)], []),
    ],
    ids=["no vote yet", "left behind", "two entries", "two of a worker", "silent", "has its vote"],
)
def test_a_return_that_broke_off_is_finished(reports: list[NodeReport], finished: list[str]) -> None:
    made = plan(reports, recover=True, chosen=choice())
    assert [(step.action, step.node) for step in made.steps] == [(Action.JOIN, name) for name in finished]


def test_a_new_cluster_is_founded_once_and_joined_by_all() -> None:
    made = plan([make.gone(node) for node in S.nodes], copies=False)
    assert [(step.action, step.node) for step in made.steps] == [
        (Action.FOUND, "manager-a"),
        (Action.JOIN, "manager-b"),
        (Action.JOIN, "manager-c"),
        (Action.JOIN, "worker-1"),
        (Action.JOIN, "worker-2"),
        (Action.PROVE, "swarm"),
    ]
    assert not made.steps[0].repeatable


def test_all_lost_without_the_flag_is_refused_with_the_command() -> None:
    made = plan(LOST, chosen=choice())
    assert made.refusal is not None
    assert made.refusal.consent
    assert f"look at the plan {made.id}, then run: pulumi up --config recover=true" in made.refusal.remedy
    assert made.agreed() == plan(LOST, chosen=choice(), recover=True), "what is shown is what would be done"


def test_the_flag_counts_once_and_a_plan_s_id_for_that_plan_only() -> None:
    shown = plan(LOST, chosen=choice())
    other = plan(LOST, chosen=choice("manager-b", "10.77.2.12"))
    assert re.fullmatch(PLAN_ID, shown.id)
    assert shown.id != other.id
    assert plan(LOST, chosen=choice(), recover=True, spent=True).refusal == Refusal(
        f"all lost: the newest good copy is {shown.copy}; recover: true was used up before this loss",
        f"look at the plan {shown.id}, then run: pulumi up --config recover={shown.id}",
        consent=True,
    )
    for spent in (False, True):
        assert plan(LOST, chosen=choice(), recover=shown.id, spent=spent).refusal is None
        assert plan(LOST, chosen=choice(), recover=other.id, spent=spent).refusal is not None


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
    assert f"lost, going by {new.copy.name}: services a, b, c, d, e and 1 more; configs c1" in made.losses
    assert f"back, and removed since, going by {new.copy.name}: services gone" in made.losses
    assert newest_after(new, {one.copy: one.manifest for one in (old, new)}) is None


@pytest.mark.parametrize("recover", [False, True])
def test_all_lost_without_a_good_copy_is_refused(recover: bool) -> None:
    made = plan(LOST, recover=recover, rejected=("only: altered",))
    assert made.refusal is not None
    assert "only: altered" in made.refusal.why
    assert "requorum backups" in made.refusal.remedy


def test_one_lost_manager_and_one_lost_worker_rejoin() -> None:
    made = plan([led(A), led(B), make.gone(C), make.gone(W1)])
    assert [(step.action, step.node) for step in made.steps] == [(Action.JOIN, "manager-c"), (Action.JOIN, "worker-1")]


def test_a_silent_manager_beside_a_quorum_is_left_alone() -> None:
    made = plan([led(A, unreachable=("manager-c",)), led(B), make.silent(C)])
    assert made.steps == ()
    assert "left alone" in made.losses[0]


def test_a_silent_manager_with_the_others_lost_forbids_a_restore() -> None:
    made = plan([make.silent(A), make.gone(B), make.gone(C)], recover=True, chosen=choice())
    assert made.refusal is not None
    assert "manager-a" in made.refusal.remedy


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
    assert made.refusal is None or made.refusal.remedy


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
    assert [line for line in unknown.losses if "no living node knows the swarm's CA" in line]
    named = plan(LOST, recover=True, chosen=other, copy=other.copy.name)
    assert (named.ca, named.vouched) == ("0" * 64, True)
    assert [line for line in named.losses if "is not the one that the living nodes know" in line]


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
    assert "nothing to recover" in made.refusal.why


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
        (Action.JOIN, "manager-b"),
        (Action.READDRESS, "manager-a"),
        (Action.REDIRECT, "worker-1"),
        (Action.JOIN, "manager-c"),
        (Action.PROVE, "swarm"),
    ]
    assert "force a new cluster at 10.77.1.11" in made.steps[3].effect
    notes = "\n".join(made.losses)
    assert "manager-a from 10.70.0.1 to 10.77.1.11, manager-b from" in notes
    assert "if a manager runs there unheard, or comes back, there are two swarms" in notes
    assert "must leave the swarm and join again, and its containers are replaced" in notes


def test_where_only_others_move_the_seed_keeps_its_vote() -> None:
    shown = plan(LOST, chosen=choice(), moved=MOVED[1:])
    made = plan(LOST, chosen=choice(), moved=MOVED[1:], recover=shown.id)
    assert [step.action for step in made.steps[3:]] == [Action.RESTORE, Action.JOIN, Action.JOIN, Action.PROVE]


@pytest.mark.parametrize("spent", [False, True])
@pytest.mark.parametrize("recover", [False, True, "r0000000"])
def test_only_its_id_consents_to_a_plan_elsewhere(recover: bool | str, spent: bool) -> None:
    made = plan(LOST, chosen=choice(), moved=MOVED, recover=recover, spent=spent)
    assert made.refusal is not None
    assert made.agreed() == made, "no other word will do"
    assert "manager-c from 10.70.0.3 to 10.77.3.13, to which only the plan's ID consents" in made.refusal.why
    assert "give the managers the addresses they had in requorum:managers; or" in made.refusal.remedy
    assert f"pulumi up --config recover={made.id}" in made.refusal.remedy
    assert made.id not in (plan(LOST, chosen=choice()).id, plan(LOST, chosen=choice(), moved=MOVED[1:]).id)


def test_a_manager_alone_is_not_restored_elsewhere() -> None:
    made = plan([make.empty(A), named(B), named(C)], chosen=choice(), moved=MOVED[:1], recover=True)
    assert made.refusal is not None
    assert not made.steps
    assert "the machine of another manager up" in made.refusal.remedy


def test_what_a_recovery_elsewhere_left_unfinished_is_finished() -> None:
    elsewhere = [changed(led(node), "manager-a", manager_address="10.70.0.1:2377") for node in (A, B, C)]
    stranded = replace(make.worker(W1), remotes=("10.70.0.1:2377",))
    made = plan([*elsewhere, stranded])
    assert [(step.action, step.node) for step in made.steps] == [
        (Action.READDRESS, "manager-a"),
        (Action.REDIRECT, "worker-1"),
    ]


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
    said = f"the engine of manager-a ({engine}) is older than the copy's ({maker})"
    assert (made.refusal is not None) is refused
    assert any(said in loss for loss in made.losses) is noted
    if made.refusal:
        assert said in made.refusal.why
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
        (Action.SAVE, "manager-b, manager-a"),
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
    assert "the last 1 of manager-b's entries" in made.losses[1]
    named = make_plan(found, five.model_copy(update={"copy_from": "a-copy"}), Source(), (FRESH,), make.NOW)
    assert any("requorum:copy counts for nothing here" in loss for loss in named.losses)


def test_a_lost_quorum_is_not_forced_without_the_flag() -> None:
    made = plan([make.leaderless(A), make.gone(B), make.gone(C)], survivors=(STALE,))
    assert made.refusal is not None
    assert "pulumi up --config recover=true" in made.refusal.remedy


@pytest.mark.parametrize("spent", [False, True])
@pytest.mark.parametrize("recover", [False, True, "r0000000"])
def test_only_its_id_consents_to_force_from_a_survivor_that_lacks_what_a_copy_holds(
    recover: bool | str, spent: bool
) -> None:
    lost, further = [make.leaderless(A), make.gone(B), make.gone(C)], choice("manager-b", "10.77.2.12").copy
    made = plan(lost, recover=recover, spent=spent, survivors=(STALE,), ahead=further)
    assert made.refusal is not None
    assert made.agreed() == made, "no other word will do"
    assert f"{further.name} holds what was committed and no survivor has" in made.refusal.why
    assert (
        f"force from manager-a all the same, look at the plan {made.id}, then run: pulumi up --config recover={made.id}"
        in made.refusal.remedy
    )
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
    assert "manager-b" in made.refusal.remedy


def named(node: Node) -> NodeReport:
    return replace(make.silent(node), reach=Reach.NAMED, named="named lost 1 min ago by ops@desk: switched off")


def test_a_silent_manager_is_refused_with_the_command_that_names_it_lost() -> None:
    made = plan([make.leaderless(A), make.silent(B), make.silent(C)], recover=True, survivors=(STALE,))
    assert made.refusal is not None
    assert "`requorum fence manager-b`, `requorum fence manager-c` if it is lost" in made.refusal.remedy
    assert made.lines == (f"note: survivor {STALE.text}",), "what there is without them"


def test_managers_named_lost_no_longer_forbid_a_recovery_and_are_left_alone() -> None:
    made = plan([make.leaderless(A), named(B), named(C)], recover=True, survivors=(STALE,))
    assert made.survivor == "manager-a"
    assert {step.node for step in made.steps} == {"manager-a", "swarm"}
    assert sum("named lost 1 min ago by ops@desk" in line for line in made.lines) == 2


def test_a_restore_says_whose_copies_no_machine_is_there_for() -> None:
    made = plan([named(A), make.empty(B), make.empty(C)], recover=True, chosen=choice("manager-b", "10.77.2.12"))
    assert made.copy
    assert "manager-a" not in {step.node for step in made.steps}
    assert any("the copies of manager-a: no machine is there" in line for line in made.lines)


def test_nothing_is_forced_beside_a_promoted_worker_without_a_leader() -> None:
    standing = replace(make.leaderless(W1), raft=True)
    made = plan([make.leaderless(A), make.gone(B), make.gone(C), standing], recover=True, survivors=(STALE,))
    assert not made.steps
    assert made.refusal is not None
    assert "worker-1, promoted to stand in" in made.refusal.why
    assert "unhealthy-manager.md" in made.refusal.remedy
