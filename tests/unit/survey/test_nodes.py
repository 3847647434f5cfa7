"""Who is asked again, how long, and what a machine that is slow is not taken for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, Self, cast

import pytest

from recovery import cluster
from recovery.cluster import Cluster
from recovery.errors import (
    AccessDenied,
    CommandFailed,
    Garbled,
    HostKeyChanged,
    HostKeyUnknown,
    Limited,
    Silent,
    SlowLogin,
    SshRefused,
    TransportError,
)
from recovery.node import engine
from recovery.node.connections import GENTLE
from recovery.node.ssh import Shell
from recovery.survey import hosts, lost
from recovery.survey import nodes as survey_nodes
from recovery.swarm.machines import Node
from recovery.swarm.model import ACCESS_FAULTS, OF_HOST_KEYS, LocalState, NodeReport, Reach
from recovery.swarm.peers import told_managers
from recovery.swarm.presence import Presence
from tests.unit import factories as make

S = make.settings()
A, B, C = S.managers
W1 = S.workers[0]
LED = [make.manager(A, S.nodes), make.manager(B, S.nodes)]
UNSAID = replace(make.leaderless(C), state=LocalState.PENDING, engine="")
NO_ENGINE = NodeReport(C, Reach.NO_ENGINE, "Read timed out.")
DEAD_SECONDS = 3.0
"""What a machine where nothing answers may cost."""


def without(*silent: Node) -> list[NodeReport]:
    return [make.manager(node, S.nodes, unreachable=[n.name for n in silent]) for node in (A, B)]


@pytest.mark.parametrize(
    ("reports", "living", "asked"),
    [
        ([*without(C), make.silent(C)], (), ()),
        ([*without(C), make.silent(C)], ("manager-c",), (C,)),
        ([*LED, make.silent(C)], (), (C,)),
        ([make.gone(A), make.gone(B), make.silent(C)], ("manager-c",), (C,)),
        ([*LED, UNSAID], ("manager-c",), (C,)),
        ([*LED, replace(make.manager(C, S.nodes), members=())], ("manager-c",), (C,)),
        ([*LED, NO_ENGINE], ("manager-c",), (C,)),
        ([*LED, make.silent(W1)], (), (W1,)),
        ([*without(W1), make.silent(W1)], (), ()),
        ([*without(C), UNSAID], ("manager-c",), ()),
        ([*without(C), NO_ENGINE], ("manager-c",), ()),
        ([make.gone(A), make.gone(B), UNSAID], ("manager-c",), ()),
        ([make.gone(A), make.gone(B), NO_ENGINE], ("manager-c",), ()),
        ([*LED, make.manager(C, S.nodes)], ("manager-c",), ()),
        ([*LED, NodeReport(C, Reach.STOPPED)], (), ()),
        ([*LED, NodeReport(C, Reach.REFUSED)], ("manager-c",), (C,)),
        ([*LED, NodeReport(C, Reach.LIMITED)], ("manager-c",), (C,)),
        ([*without(C), NodeReport(C, Reach.SLOW)], ("manager-c",), (C,)),
        ([*LED, NodeReport(C, Reach.DENIED)], ("manager-c",), ()),
        ([*LED, NodeReport(C, Reach.NO_RIGHTS)], ("manager-c",), ()),
    ],
    ids=[
        "dead",
        "it runs",
        "the leader hears it",
        "it runs, all others lost",
        "its engine was late",
        "its engine was late with the list",
        "its engine was late from the first",
        "a worker that the leader hears",
        "a dead worker",
        "it looks for a leader that does not hear it",
        "its engine says nothing, and the leader does not hear it",
        "its engine was late, nobody leads",
        "its engine says nothing, nobody leads",
        "it has said all",
        "off",
        "refused, perhaps by a limit",
        "limited",
        "a slow login, which the leader does not hear",
        "denied",
        "without rights",
    ],
)
def test_asked_again_is_who_lives_and_never_an_engine_that_may_look_for_a_leader(
    reports: list[NodeReport], living: tuple[str, ...], asked: tuple[Node, ...]
) -> None:
    seen = make.survey(
        [replace(report, engine=report.engine or "20.10.24") if report.led else report for report in reports]
    )
    assert survey_nodes.late(seen, living) == asked


@dataclass
class Machines:
    """What stands in for the nodes: manager-c lets us in as late as it is told to, the others at once."""

    answers: Mapping[str, Callable[[float], NodeReport]]
    accepts: bool = True
    login: float = 0.0
    dialled: dict[str, list[float]] = field(default_factory=dict)
    """What each try may have cost."""
    pauses: dict[str, list[float]] = field(default_factory=dict)
    """What each try may have waited between attempts."""
    engine: dict[str, list[float]] = field(default_factory=dict)

    def shell(
        self, node: Node, _ssh: Any, *, connect_seconds: float, login_seconds: float, pauses: tuple[float, ...]
    ) -> Any:
        machines, slow = self, node is C

        class Shell:
            accepted = False

            def __init__(self) -> None:
                self.node = node

            def __enter__(self) -> Self:
                self.accepted = machines.accepts or not slow
                cost = login_seconds if self.accepted else connect_seconds
                machines.dialled.setdefault(node.name, []).append(cost)
                machines.pauses.setdefault(node.name, []).append(sum(pauses))
                if slow and not self.accepted:
                    raise Silent("connecting", "timed out", remedy="")
                if slow and machines.login > login_seconds:
                    raise SlowLogin("connecting", "no login", remedy="")
                return self

            def __exit__(self, *_: object) -> None:
                pass

        return Shell()

    def ask(self, shell: Any, *, seconds: float) -> NodeReport:
        self.engine.setdefault(shell.node.name, []).append(seconds)
        return self.answers[shell.node.name](seconds)


def place(
    monkeypatch: pytest.MonkeyPatch, reports: list[NodeReport], presence: Presence = Presence.UNKNOWN, **of_c: Any
) -> Machines:
    answers = {report.node.name: lambda _, report=report: report for report in reports}
    machines = Machines({**answers, **of_c.pop("answers", {})}, **of_c)
    monkeypatch.setattr(cluster, "Shell", machines.shell)
    monkeypatch.setattr(survey_nodes, "ask", machines.ask)
    monkeypatch.setattr(hosts, "presence", lambda _, nodes: {node.name: presence for node in nodes})
    monkeypatch.setattr(lost, "with_declarations", lambda _settings, reports, _now: tuple(reports))
    return machines


ALL = [make.manager(node, S.nodes) for node in S.managers]


@pytest.mark.parametrize(
    "reports",
    [[*LED, make.manager(C, S.nodes)], [make.empty(A), make.empty(B), make.leaderless(C)]],
    ids=["led", "nobody leads"],
)
def test_a_machine_that_lets_us_in_late_is_heard_once_all_settled(
    monkeypatch: pytest.MonkeyPatch, reports: list[NodeReport]
) -> None:
    machines = place(monkeypatch, reports, login=12.0)
    assert survey_nodes.stable_survey(Cluster(S), nodes=S.managers).of("manager-c").reach is Reach.ANSWERS
    assert len(machines.dialled["manager-a"]) == 1, "only the late one is asked again"
    assert machines.pauses["manager-c"] == [0, sum(GENTLE)]


def test_a_plain_look_waits_for_a_slow_login_only_where_nobody_else_reports_a_leader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machines = place(monkeypatch, [*LED, make.manager(C, S.nodes)], login=12.0)
    assert survey_nodes.survey(Cluster(S), nodes=S.managers).of("manager-c").reach is Reach.SLOW, (
        "a plain look is a short one"
    )
    assert machines.dialled["manager-c"] == [survey_nodes.CONNECT_SECONDS]
    machines = place(monkeypatch, [make.silent(A), make.silent(B), make.manager(C, S.nodes)], login=12.0)
    assert survey_nodes.survey(Cluster(S), nodes=S.managers).of("manager-c").led
    assert machines.dialled["manager-c"] == [survey_nodes.CONNECT_SECONDS, S.ssh.login_seconds]
    assert machines.pauses["manager-c"] == [0, 0], "status is brisk"


@pytest.mark.parametrize("patient", [False, True])
def test_a_login_that_is_slower_than_the_settings_allow_is_named_slow(
    monkeypatch: pytest.MonkeyPatch, patient: bool
) -> None:
    machines = place(monkeypatch, [make.gone(A), make.gone(B), make.manager(C, S.nodes)], login=60.0)
    seen = survey_nodes.survey(Cluster(S), nodes=S.managers, patient=patient)
    assert seen.of("manager-c").reach is Reach.SLOW
    assert len(machines.dialled["manager-c"]) == 2


@pytest.mark.parametrize(
    ("error", "reach"),
    [
        (Silent, Reach.SILENT),
        (SshRefused, Reach.REFUSED),
        (Limited, Reach.LIMITED),
        (SlowLogin, Reach.SLOW),
        (CommandFailed, Reach.SLOW),
        (AccessDenied, Reach.DENIED),
        (HostKeyChanged, Reach.WRONG_KEY),
        (HostKeyUnknown, Reach.NOT_PINNED),
        (Garbled, Reach.GARBLED),
        (TransportError, Reach.FAILED),
    ],
)
def test_only_silence_may_be_a_loss_every_other_error_is_a_fault_of_access(
    monkeypatch: pytest.MonkeyPatch, error: type[TransportError], reach: Reach
) -> None:
    def fail(_: float) -> NodeReport:
        raise error("asking it", "for this reason", remedy="")

    place(monkeypatch, without(C), answers={"manager-c": fail})
    seen = survey_nodes.survey(Cluster(S), nodes=S.managers).of("manager-c")
    assert (seen.reach, seen.detail) == (reach, "for this reason")
    assert (reach in ACCESS_FAULTS) is (error is not Silent)
    assert seen.scan == ("ssh-keyscan -p 22 10.77.3.13" if reach in OF_HOST_KEYS else "")


@pytest.mark.parametrize("others", [LED, without(C)], ids=["the leader hears it still", "nobody hears it"])
@pytest.mark.parametrize("presence", [Presence.UNKNOWN, Presence.PRESENT])
def test_a_dead_machine_costs_three_seconds_at_most(
    monkeypatch: pytest.MonkeyPatch, others: list[NodeReport], presence: Presence
) -> None:
    machines = place(monkeypatch, others, presence, accepts=False)
    assert survey_nodes.stable_survey(Cluster(S), nodes=S.managers).of("manager-c").reach is Reach.SILENT
    assert sum(machines.dialled["manager-c"]) <= DEAD_SECONDS


def test_an_engine_that_was_late_is_heard_out_where_there_is_a_leader(monkeypatch: pytest.MonkeyPatch) -> None:
    late = {"manager-c": lambda seconds: make.manager(C, S.nodes) if seconds > survey_nodes.ENGINE_SECONDS else UNSAID}
    machines = place(monkeypatch, LED, answers=late)
    assert survey_nodes.stable_survey(Cluster(S), nodes=S.managers).of("manager-c").led
    assert machines.engine["manager-c"] == [survey_nodes.ENGINE_SECONDS, survey_nodes.LATE_SECONDS]


def test_a_leader_whose_quorum_is_lost_is_asked_until_it_has_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([make.manager(C, S.nodes, leader="manager-c")] * 2)
    gone = make.leaderless(C)
    place(monkeypatch, [make.empty(A), make.empty(B)], answers={"manager-c": lambda _: next(looks, gone)})
    assert survey_nodes.stable_survey(Cluster(S), nodes=S.managers).leader is None


def test_whoever_is_let_in_late_may_tell_that_another_is_led(monkeypatch: pytest.MonkeyPatch) -> None:
    said = replace(UNSAID, node=A)
    late = {"manager-a": lambda seconds: make.manager(A, S.nodes) if seconds > survey_nodes.ENGINE_SECONDS else said}
    machines = place(monkeypatch, [make.gone(B), make.manager(C, S.nodes)], login=5.0, answers=late)
    assert survey_nodes.stable_survey(Cluster(S), nodes=S.managers).of("manager-a").led
    assert {name: len(tries) for name, tries in machines.dialled.items()} == {
        "manager-a": 2,
        "manager-b": 1,
        "manager-c": 2,
    }


def test_without_a_leader_no_engine_is_asked_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that is let in late is asked its first question, as short as any."""
    machines = place(monkeypatch, [make.empty(A), replace(NO_ENGINE, node=B), UNSAID], login=5.0)
    survey_nodes.stable_survey(Cluster(S), nodes=S.managers)
    assert machines.engine["manager-c"] == [survey_nodes.ENGINE_SECONDS]
    assert machines.engine["manager-b"] == [survey_nodes.ENGINE_SECONDS]


@pytest.mark.parametrize(("accepts", "reach"), [(False, Reach.ABSENT), (True, Reach.SLOW)])
def test_a_machine_that_accepts_the_connection_is_not_gone_whatever_the_driver_says(
    monkeypatch: pytest.MonkeyPatch, accepts: bool, reach: Reach
) -> None:
    place(monkeypatch, without(C), Presence.GONE, accepts=accepts, login=60.0)
    assert survey_nodes.stable_survey(Cluster(S), nodes=[C]).of("manager-c").reach is reach


def test_one_look_at_one_machine_waits_for_it_to_let_us_in(monkeypatch: pytest.MonkeyPatch) -> None:
    place(monkeypatch, ALL, login=5.0)
    assert survey_nodes.report(Cluster(S), C, Presence.UNKNOWN).reach is Reach.ANSWERS


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("10.77.2.11:2377", "10.77.2.11"),
        ("[fd00::2:11]:2377", "fd00::2:11"),
        ("[fd00:0:0::2:0011]:2377", "fd00::2:11"),
    ],
)
def test_the_managers_that_a_worker_knows_are_known_by_their_addresses(
    monkeypatch: pytest.MonkeyPatch, remote: str, address: str
) -> None:
    """As manifests write them, so that a copy which another node made is not taken for the manager's."""
    told = {"LocalNodeState": "active", "NodeID": "id-w1", "RemoteManagers": [{"Addr": remote, "NodeID": "id-b"}]}
    info = {"ServerVersion": "28.5.2", "Swarm": told}
    monkeypatch.setattr(engine, "Engine", lambda *_, **__: SimpleNamespace(info=lambda: info))
    monkeypatch.setattr(survey_nodes, "_on_disk", lambda _, seen, *__: replace(seen, cluster_id=make.CLUSTER))
    seen = survey_nodes.ask(cast("Shell", SimpleNamespace(node=W1)))
    assert told_managers(make.survey([seen])) == {address: frozenset({"id-b"})}
