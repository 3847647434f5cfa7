"""No swarm is founded, and no log exchanged, beside one that lives where this operator cannot see it, or since it looked last."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from recovery.cluster import Cluster
from recovery.copies import snapshot
from recovery.copies.taking import take_safety
from recovery.errors import Refused, RequorumError
from recovery.node.engine import Engine
from recovery.node.ssh import Shell
from recovery.operations import lifecycle
from recovery.operations.assess import assess
from recovery.operations.promote import promote
from recovery.operations.recover import recover_all
from recovery.planning.steps import Action
from recovery.settings import Settings
from recovery.steps import repair, save
from recovery.steps.remove import depart
from recovery.survey import presence, unknown_managers
from recovery.swarm.model import NodeReport, Reach
from recovery.swarm.presence import Presence
from tests.fake.bucket import FakeS3
from tests.fake.cases import Case, Theatre, names, quiet
from tests.fake.engine import FakeApi
from tests.fake.machine import Cut, Machine
from tests.fake.wires import Wires, cluster, wired
from tests.replay.recovering import recover
from tests.replay.test_damaged import of as damaged
from tests.replay.test_damaged import stage
from tests.unit import factories as make

Nodes = list[dict[str, str]]
OLD: Nodes = [{"address": f"10.77.{zone}.1{zone}", "name": f"manager-{zone}"} for zone in (1, 2, 3)]
NEW: Nodes = [{"address": f"10.77.{zone}.2{zone}", "name": f"node-{zone}"} for zone in (1, 2, 3)]
WORKER: Nodes = [{"address": "10.77.1.41", "name": "worker-1"}]


@pytest.fixture
def wires() -> Iterator[Wires]:
    with wired() as made:
        yield made


def settings(managers: Nodes, workers: Nodes, **more: Any) -> Settings:
    return make.parse(make.raw(managers=managers, workers=workers, **more))


def build(wires: Wires, of: Settings) -> None:
    cluster(wires, of)
    recover_all(Cluster(of), assess(Cluster(of)), say=quiet)


def write(wires: Wires, *configs: str) -> None:
    leader = wires.swarm.lives()
    assert leader
    for name in configs:
        FakeApi(wires, f"unix:///fake/{leader.address}").create_config(name, b"")


def pass_time(wires: Wires) -> None:
    for _ in range(3):
        wires.swarm.pass_time()


def test_nothing_is_restored_beside_silent_workers_that_a_node_knows_as_managers(wires: Wires) -> None:
    """Another operator has made the workers managers, and this one has the stack file of before, and cannot reach them."""
    before = settings(OLD, [*NEW, *WORKER], recover=False)
    build(wires, before)
    lifecycle.fresh_copies(Cluster(before), say=quiet)
    ids = set(wires.swarm.identities.values())
    for now in (settings([OLD[0], *NEW[:2]], [NEW[2], *WORKER]), settings(NEW, WORKER)):
        recover_all(Cluster(now), assess(Cluster(now)), say=quiet)
        depart(Cluster(now), ids, say=quiet)
    pass_time(wires)
    write(wires, "committed later", "next")
    for node in NEW:
        wires.swarm.cut(node["name"], Cut.US)
    with pytest.raises(Refused, match="requorum fence node-1") as refused:
        recover(settings(OLD, [*NEW, *WORKER], recover=True))
    assert refused.value.code == "silent-manager"
    assert not wires.swarm.violations


def test_nothing_is_forced_beside_silent_stand_ins_that_went_on(wires: Wires) -> None:
    of, swarm = settings(OLD, [*NEW, *WORKER], recover=True), wires.swarm
    build(wires, of.model_copy(update={"recover": False}))
    swarm = wires.swarm
    swarm.lose("manager-3")
    pass_time(wires)
    promote(Cluster(of), of.node("node-1"), say=quiet)
    with Shell(of.node("manager-1"), of.ssh) as shell:
        Engine(shell).update_member(swarm.named("node-2").node_id, role="manager")
    pass_time(wires)
    swarm.cut("manager-2", Cut.EVERYBODY)
    pass_time(wires)
    write(wires, "committed while manager-2 was away", "next")
    for name in ("node-1", "node-2"):
        swarm.cut(name, Cut.EVERYBODY)
    swarm.cut("manager-2", Cut.NOBODY)
    swarm.lose("manager-1")
    for name in ("manager-1", "manager-3"):
        del swarm.machines[swarm.named(name).address]
        swarm.make(name, str(of.node(name).address), marked="lab")
    pass_time(wires)
    with pytest.raises(Refused) as refused:
        recover(of)
    assert refused.value.code == "silent-manager"
    assert not swarm.violations


def vanish(wires: Wires, *names: str) -> None:
    """The driver has no such machines for a while. `Swarm.start` brings them back."""
    for name in names:
        wires.swarm.named(name).presence = Presence.GONE
    pass_time(wires)


def test_a_plans_id_ends_with_its_loss_also_if_the_quorum_comes_back_by_itself(wires: Wires) -> None:
    of = settings(OLD, WORKER, recover=False)
    build(wires, of)
    vanish(wires, "manager-2", "manager-3")
    shown = assess(Cluster(of)).plan
    for name in ("manager-2", "manager-3"):
        wires.swarm.start(name)
    pass_time(wires)
    write(wires, "committed since", "next")
    vanish(wires, "manager-2", "manager-3")
    again = assess(Cluster(of.model_copy(update={"recover": shown.id}))).plan
    assert (again.survivor, again.proven) == (shown.survivor, shown.proven)
    assert again.refusal
    assert again.refusal.code == "consent-needed"


FAR: Nodes = [{"address": "10.77.2.41", "name": "worker-1"}, {"address": "10.77.1.42", "name": "worker-2"}]


@pytest.mark.parametrize("workers", [FAR, FAR[::-1]], ids=["the cut-off worker last", "the cut-off worker first"])
def test_each_node_that_knows_an_unnamed_manager_is_asked_for_it(
    wires: Wires, workers: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stack file names one of three managers, which is cut off from the two others with one of the workers."""
    build(wires, settings(OLD, workers, recover=False))
    wires.objects = {
        key: one for key, one in wires.objects.items() if "manager-2" not in key and "manager-3" not in key
    }
    of = settings(OLD[:1], workers, recover=True, clusterId=wires.swarm.founded[0])
    for _ in range(15):
        pass_time(wires)
    near = {"manager-1", "worker-2"}
    monkeypatch.setattr(
        Machine,
        "reaches",
        lambda one, other: one is other or (one.up and other.up and (one.name in near) == (other.name in near)),
    )
    pass_time(wires)
    write(wires, "committed")
    with pytest.raises(Refused, match="reaches a manager at"):
        recover(of)
    assert not wires.swarm.violations


def consented(of: Settings) -> Settings:
    """The settings with `recover: true`, which must not be enough, then with the plan's ID."""
    shown = assess(Cluster(of)).plan
    assert shown.refusal
    assert shown.refusal.code == "consent-needed"
    assert shown.agreed() == shown, "a prompt does not consent either"
    return of.model_copy(update={"recover": shown.id})


def test_unnamed_managers_that_no_node_reaches_are_in_the_plan_of_a_force(wires: Wires) -> None:
    """The stack file names one of three managers, and the two others do not answer."""
    build(wires, settings(OLD, WORKER, recover=False))
    wires.objects = {
        key: one for key, one in wires.objects.items() if "manager-2" not in key and "manager-3" not in key
    }
    pass_time(wires)
    for name in ("manager-2", "manager-3"):
        wires.swarm.stop(name)
    pass_time(wires)
    of = consented(settings(OLD[:1], WORKER, recover=True, clusterId=wires.swarm.founded[0]))
    assert assess(Cluster(of)).plan.without == ("10.77.2.12", "10.77.3.13")
    recover(of)
    assert wires.swarm.lives() is wires.swarm.named("manager-1")


@pytest.mark.parametrize("workers", [WORKER, []], ids=["a worker knows them", "only copies know them"])
def test_unnamed_managers_that_no_node_reaches_are_in_the_plan_of_a_restore(wires: Wires, workers: Nodes) -> None:
    """Another operator has made other machines the managers, and this one has the stack file of before."""
    before = settings(OLD, workers, recover=False)
    build(wires, before)
    ids = set(wires.swarm.identities.values())
    for node in NEW:
        wires.swarm.make(node["name"], node["address"], marked="lab")
    for now in (settings([OLD[0], *NEW[:2]], workers), settings(NEW, workers)):
        recover_all(Cluster(now), assess(Cluster(now)), say=quiet)
        depart(Cluster(now), ids, say=quiet)
    pass_time(wires)
    write(wires, "committed later", "next")
    for node in NEW:
        wires.swarm.cut(node["name"], Cut.EVERYBODY)
    of = consented(settings(OLD, workers, recover=True))
    assert assess(Cluster(of)).plan.without == ("10.77.1.21", "10.77.2.22", "10.77.3.23")


def test_unnamed_managers_with_unknown_host_keys_are_tried_from_a_node_and_not_said_to_be_silent(
    wires: Wires, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requorum pins the keys of the machines in the settings. Only copies know these."""
    build(wires, settings(OLD, [], recover=False))
    of = settings(OLD[:1], [], recover=True)
    wires.swarm.lose("manager-1")
    del wires.swarm.machines[OLD[0]["address"]]
    wires.swarm.make("manager-1", OLD[0]["address"], marked="lab")
    monkeypatch.setattr(unknown_managers, "report", lambda _, node, __: NodeReport(node, Reach.NOT_PINNED))
    with pytest.raises(Refused, match=r"manager-1 reaches a manager at 10\.77\.2\.12, which is up") as refused:
        assess(Cluster(of))
    assert refused.value.code == "unknown-manager"
    for name in ("manager-2", "manager-3"):
        wires.swarm.cut(name, Cut.EVERYBODY)
    shown = assess(Cluster(of)).plan
    assert shown.without == ("10.77.2.12", "10.77.3.13")
    assert shown.refusal
    for text in (shown.refusal.why, *shown.losses):
        assert "not answer" not in text
    assert "may still run: 10.77.2.12, 10.77.3.13" in shown.refusal.why


@pytest.mark.parametrize("promoted", [True, False])
def test_a_worker_that_was_down_while_it_became_a_manager_does_not_leave(wires: Wires, promoted: bool) -> None:
    build(wires, settings(OLD, [*NEW[:2], *WORKER], recover=False))
    pass_time(wires)
    of, leader = settings([*OLD, *NEW[:2]], WORKER, recover=False), wires.swarm.lives()
    assert leader
    wires.swarm.cut("node-1", Cut.EVERYBODY)
    if promoted:
        with Shell(of.node(leader.name), of.ssh) as shell:
            Engine(shell).update_member(wires.swarm.named("node-1").node_id, role="manager")
    wires.swarm.cut("node-1", Cut.NOBODY)
    wires.swarm.unheard = 1
    found = assess(Cluster(of))
    entry = found.survey.entry(of.node("node-1"))
    assert entry
    assert not entry.ready
    assert Action.LEAVE not in {step.action for step in found.plan.steps}
    assert not found.diagnosis.left_behind


@pytest.mark.parametrize("managers", [1, 3])
def test_a_repaired_log_is_put_nowhere_if_the_lease_was_lost_while_it_was_tried(
    wires: Wires, managers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process is suspended in the sandbox, and another operator repairs, forces and proves meanwhile."""
    theatre = Theatre(wires)
    scene = stage(
        theatre, damaged(1, manager_a=2) if managers == 1 else damaged(3, manager_a=2, manager_b=4, manager_c=5)
    )
    began: list[int] = []

    def tried(*given: Any) -> Any:
        if began:
            return snapshot.tried(*given)
        began.append(0)
        proof = snapshot.tried(*given)
        kept = {name: machine.copy for name, machine in wires.swarm.machines.items()}
        wires.clock += 60
        recover(scene.settings)
        theatre.write("committed after")
        for name, machine in wires.swarm.machines.items():
            machine.copy = kept[name]
        began[0] = len(wires.effects)
        return proof

    monkeypatch.setattr(repair, "snapshot", SimpleNamespace(staged=snapshot.staged, tried=tried))
    with pytest.raises(RequorumError) as refused:
        recover(scene.settings)
    assert refused.value.code == "lease-lost"
    assert not [what for what in wires.effects[began[0] :] if not what.startswith("S3: ")]


def unless(down: list[int], real: Callable[..., Any]) -> Callable[..., Any]:
    """A request that S3 does not answer once it is down."""

    def answers(*given: Any, **named: Any) -> Any:
        if down:
            raise EndpointConnectionError(endpoint_url="s3")
        return real(*given, **named)

    return answers


def test_who_cannot_read_the_lease_asks_every_manager_before_a_force(
    wires: Wires, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 is gone after the safety copies, and another operator, whose S3 answers, forces and proves meanwhile."""
    theatre = Theatre(wires)
    scene, lost = theatre.stage(Case(5, frozenset())), names(5)[:3]
    for name in lost:
        wires.swarm.stop(name)
    pass_time(wires)

    def told(_: Settings, reports: Any) -> Any:
        return tuple(
            replace(one, reach=Reach.NAMED, named="terminated")
            if one.node.name in lost and one.reach is not Reach.ANSWERS
            else one
            for one in reports
        )

    monkeypatch.setattr(presence, "told", told)
    taken: list[int] = []
    down: list[int] = []
    for method in ("paginate", "get_object", "put_object", "delete_object", "head_object"):
        monkeypatch.setattr(FakeS3, method, unless(down, getattr(FakeS3, method)))

    def slow(*given: Any, **named: Any) -> Any:
        done = take_safety(*given, **named)
        taken.append(1)
        if len(taken) == 2:
            wires.clock += 30
            kept = {name: machine.copy for name, machine in wires.swarm.machines.items()}
            recover(scene.settings)
            for name, machine in wires.swarm.machines.items():
                machine.copy = kept[name]
            theatre.write("committed after the other operator's proof")
            down.append(len(wires.effects))
        return done

    monkeypatch.setattr(save, "take_safety", slow)
    with pytest.raises(RequorumError):
        recover(scene.settings)
    assert not [what for what in wires.effects[down[0] :] if "force" in what]
    assert not wires.swarm.violations
