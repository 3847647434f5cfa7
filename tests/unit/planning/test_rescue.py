"""The plan for one manager without a stack file: its steps, its refusals, and what people read."""

from dataclasses import replace

import pytest
from syrupy.assertion import SnapshotAssertion

from recovery.cli.show.rescue import rescued_lines
from recovery.operations.rescue import Rescued
from recovery.planning.diagnosis import Kind
from recovery.planning.plan import Plan
from recovery.planning.rescue import rescue_plan
from recovery.planning.steps import Action
from recovery.swarm.model import LocalState, NodeReport, Reach
from recovery.swarm.on_node import OnNode
from recovery.swarm.single import Single
from recovery.swarm.survivor import Survivor
from recovery.swarm.wal import Position
from recovery.swarm.workload import Inventory
from tests.unit import factories as make

S = make.settings()
A = S.managers[0]
UP = make.leaderless(A)
DAMAGED = replace(UP, state=LocalState.ERROR, damage="a wrong checksum")
LED = make.manager(A, S.nodes)
OTHERS = ("10.77.2.12", "10.77.3.13")
HOLDS = Inventory({"nodes": frozenset("ab"), "secrets": frozenset("c")}, 20)
SOUND = Survivor(A.name, Position(3, 30, 30), holds=HOLDS)
CUT = Survivor(A.name, Position(3, 20, 18), damage="a wrong checksum", claimed=23, holds=HOLDS)
LOCKED = replace(UP, state=LocalState.LOCKED)

CASES = {
    "damaged": Single(DAMAGED, survivor=CUT, kept="/var/lib/docker/swarm.saved-1.tar.zst"),
    "damaged, others off": Single(DAMAGED, OTHERS, survivor=CUT),
    "damaged and locked": Single(replace(DAMAGED, state=LocalState.LOCKED), survivor=replace(CUT, locked=True)),
    "damaged, not tried": Single(DAMAGED, survivor=replace(CUT, trial="100 MiB of memory are free", holds=None)),
    "repaired, in place": Single(
        replace(UP, state=LocalState.INACTIVE, repaired="a wrong checksum"), survivor=replace(CUT, in_place=True)
    ),
    "sound, others off": Single(UP, OTHERS, survivor=SOUND),
    "sound, prepared by Requorum": Single(replace(UP, marked="lab"), OTHERS, survivor=SOUND),
    "sound and locked, others off": Single(LOCKED, OTHERS, survivor=replace(SOUND, locked=True)),
    "locked and alone": Single(LOCKED),
    "an interrupted rescue": Single(replace(LED, opened=True, repaired="a wrong checksum")),
}
REFUSED = {
    "missing-rights": Single(
        replace(
            UP,
            reach=Reach.NO_RIGHTS,
            detail="the login is user 1000: not root, and without sudo that needs no password",
        )
    ),
    "no-log": Single(make.empty(A), beside=("/var/lib/docker/swarm.before-1",)),
    "engine-unsupported": Single(replace(UP, unsupported="a rootless Docker engine"), survivor=SOUND),
    "disk-full": Single(replace(DAMAGED, damage="", full="0 MiB are free, and Docker needs 64 MiB")),
    "tools-missing": Single(replace(UP, on_node=OnNode(lacks=("zstd",)))),
    "manager-answers": Single(UP, OTHERS, OTHERS[:1]),
    "engine-silent": Single(replace(UP, reach=Reach.NO_ENGINE)),
    "log-unreadable": Single(
        DAMAGED,
        survivor=Survivor(A.name, Position(0, 0, 0), damage="it holds no entry"),
        kept="/var/lib/docker/swarm.saved-1.tar.zst",
    ),
}


def actions(plan: Plan) -> list[Action]:
    return [step.action for step in plan.steps]


@pytest.mark.parametrize(
    ("case", "taken"),
    [
        ("damaged", ["save", "repair", "force", "prove"]),
        ("damaged and locked", ["save", "repair", "force", "lock", "prove"]),
        ("repaired, in place", ["save", "force", "prove"]),
        ("sound, others off", ["save", "force", "prove"]),
        ("sound and locked, others off", ["save", "open", "force", "lock", "prove"]),
        ("locked and alone", ["save", "unlock", "prove"]),
        ("an interrupted rescue", ["lock", "prove"]),
    ],
)
def test_the_steps_follow_what_is_found(case: str, taken: list[str]) -> None:
    assert actions(rescue_plan(CASES[case])) == taken


@pytest.mark.parametrize("code", REFUSED)
def test_what_cannot_be_rescued_is_refused_with_its_code(code: str) -> None:
    plan = rescue_plan(REFUSED[code])
    assert plan.refusal
    assert (plan.refusal.code, plan.steps, plan.id) == (code, (), "")


@pytest.mark.parametrize("case", CASES)
def test_every_new_cluster_needs_consent(case: str) -> None:
    plan = rescue_plan(CASES[case])
    assert bool(plan.id) is (Kind.HEALTHY is not plan.kind)


def test_a_worker_and_a_healthy_manager_are_left_alone() -> None:
    assert rescue_plan(Single(LED)) == Plan(Kind.HEALTHY, make.CLUSTER)
    worker = rescue_plan(Single(make.worker(A))).refusal
    assert worker
    assert worker.code == "no-log"


def test_the_folder_of_the_engine_is_named() -> None:
    refusal = rescue_plan(Single(make.empty(A), root="/srv/docker")).refusal
    assert refusal
    assert "/srv/docker/swarm holds no raft log" in refusal.why
    assert "a backup of /srv/docker/swarm," in refusal.remedy
    rescued = rescued_lines("host", Single(DAMAGED, survivor=CUT, root="/srv/docker"), Rescued(make.CLUSTER, (), ()))
    (line,) = (line for line in rescued if "remove on the host" in line)
    assert line.endswith(": /srv/docker/swarm.saved-* and /srv/docker/swarm.before-*")


def test_the_id_changes_with_each_cost_and_stays_where_a_repaired_log_is_in_place() -> None:
    plain = rescue_plan(CASES["damaged"])
    assert rescue_plan(CASES["repaired, in place"]).id == plain.id
    shorter = replace(CUT, position=Position(3, 19, 18))
    others: list[NodeReport] = [DAMAGED, replace(DAMAGED, cluster_id="another")]
    ids = {
        plain.id,
        rescue_plan(Single(DAMAGED, survivor=shorter)).id,
        rescue_plan(Single(DAMAGED, OTHERS, survivor=CUT)).id,
        rescue_plan(Single(DAMAGED, OTHERS[:1], survivor=CUT)).id,
        rescue_plan(Single(others[1], survivor=CUT)).id,
        rescue_plan(Single(UP, survivor=SOUND)).id,
        rescue_plan(Single(UP, survivor=replace(SOUND, position=Position(4, 31, 31)))).id,
    }
    assert len(ids) == 7


def test_what_people_read(snapshot: SnapshotAssertion) -> None:
    plans = {name: rescue_plan(seen).lines for name, seen in CASES.items()}
    refusals = {code: rescue_plan(seen).refusal for code, seen in REFUSED.items()}
    told = {code: f"{refusal.why}\nnext: {refusal.remedy}" for code, refusal in refusals.items() if refusal}
    lines = [line for name, texts in plans.items() for line in (f"# {name}", *texts)]
    assert "\n".join([*lines, *(f"# {code}\n{text}" for code, text in told.items())]) == snapshot
