"""What may be fenced, with what command, and what is refused."""

import socket
from dataclasses import replace
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from recovery.cluster import Cluster
from recovery.errors import HostError, ProofFailed, Refused, SettingError
from recovery.node.ssh import is_silent
from recovery.operations import fence
from recovery.planning.fencing import check
from recovery.settings import Settings
from recovery.settings.hosts import filled
from recovery.swarm.machines import Ssh
from recovery.swarm.model import ACCESS_FAULTS, LocalState, NodeReport, Reach
from tests.unit import factories as make
from tests.unit.planning.test_diagnosis import W1, A, B, C, S, in_state, led

EXISTING = make.settings(hosts={"driver": "existing", "fence": ["power", "off", "--host={name}", "{address}"]})
BARE = make.settings(hosts={"driver": "existing"})
WITHOUT_C = [led(A, unreachable=("manager-c",)), led(B, unreachable=("manager-c",))]
ALL = [led(A), led(B), led(C)]
HIDDEN = [led(A), led(B), make.silent(C)]
LOST = [make.gone(A), make.gone(B)]


@pytest.mark.parametrize(
    ("of", "reports", "flags", "code"),
    [
        (S, [*WITHOUT_C, make.silent(C)], {}, None),
        (S, [*WITHOUT_C, NodeReport(C, Reach.STOPPED)], {}, None),
        (S, [*LOST, NodeReport(C, Reach.STOPPED)], {}, "may-hold-swarm"),
        (S, [*LOST, NodeReport(C, Reach.STOPPED)], {"force": True}, None),
        (S, [*WITHOUT_C, make.gone(C)], {}, None),
        (S, [*LOST, make.silent(C)], {}, None),
        (EXISTING, [*WITHOUT_C, make.silent(C)], {}, None),
        (BARE, [*WITHOUT_C, make.silent(C)], {}, "no-fence-command"),
        (BARE, [*WITHOUT_C, make.silent(C)], {"lost": True}, None),
        (BARE, ALL, {"lost": True, "force": True}, "not-lost"),
        (S, ALL, {}, "not-lost"),
        (S, ALL, {"force": True}, None),
        (S, HIDDEN, {}, "not-lost"),
        (S, HIDDEN, {"force": True}, None),
        (S, [*WITHOUT_C, NodeReport(C, Reach.NO_ENGINE, raft=True)], {}, "not-lost"),
        (S, [*WITHOUT_C, NodeReport(C, Reach.NO_ENGINE, raft=True)], {"force": True}, None),
        (S, [*LOST, NodeReport(C, Reach.NO_ENGINE, raft=True)], {"force": True}, "may-hold-swarm"),
        (S, [*LOST, make.leaderless(C)], {"force": True}, "may-hold-swarm"),
        (BARE, [*LOST, make.leaderless(C)], {"lost": True}, "not-lost"),
        (EXISTING, [*LOST, make.leaderless(C)], {"force": True}, "may-hold-swarm"),
        (S, [*LOST, NodeReport(C, Reach.DENIED)], {"force": True}, "may-hold-swarm"),
        (S, [*LOST, in_state(C, LocalState.LOCKED)], {"force": True}, "may-hold-swarm"),
        (
            S,
            [led(A, unreachable=("manager-b",)), make.gone(B), led(C, unreachable=("manager-b",))],
            {"force": True},
            "quorum-at-risk",
        ),
        (S, [*WITHOUT_C, make.empty(C)], {"force": True}, "nothing-to-fence"),
    ],
)
def test_what_may_be_fenced(
    of: Settings, reports: list[NodeReport], flags: dict[str, bool], code: str | None, snapshot: SnapshotAssertion
) -> None:
    flags = {"lost": False, "force": False, **flags}
    if code is None:
        check(of, make.survey(reports), C, **flags)
        return
    with pytest.raises(Refused) as refused:
        check(of, make.survey(reports), C, **flags)
    assert refused.value.code == code
    assert str(refused.value) == snapshot


@pytest.mark.parametrize("reach", sorted(ACCESS_FAULTS))
@pytest.mark.parametrize(
    ("others", "flags", "code"),
    [
        (WITHOUT_C, {"lost": True}, "not-lost"),
        (WITHOUT_C, {}, "not-lost"),
        (WITHOUT_C, {"force": True}, None),
        (LOST, {"lost": True}, "not-lost"),
        (LOST, {"lost": True, "force": True}, "not-lost"),
        (LOST, {}, "not-lost"),
        (LOST, {"force": True}, "may-hold-swarm"),
    ],
)
def test_a_machine_that_answers_in_any_way_is_not_lost(
    reach: Reach, others: list[NodeReport], flags: dict[str, bool], code: str | None
) -> None:
    """By force it is only switched off while a leader reports that the quorum survives that."""
    seen, flags = make.survey([*others, NodeReport(C, reach)]), {"lost": False, "force": False, **flags}
    if code is None:
        check(EXISTING, seen, C, **flags)
        return
    with pytest.raises(Refused, match=f"code: {code}$") as refused:
        check(EXISTING, seen, C, **flags)
    assert seen.leader or "switch it off by hand" not in str(refused.value)


@pytest.mark.parametrize(("of", "lost"), [(S, False), (EXISTING, False), (BARE, True)])
def test_the_operator_consents_to_what_is_done(of: Settings, lost: bool, snapshot: SnapshotAssertion) -> None:
    assert fence.intent(of, C, lost=lost) == snapshot


def test_a_ready_worker_is_only_fenced_by_force() -> None:
    seen = make.survey([*ALL, make.worker(W1)])
    with pytest.raises(Refused, match=r"code: not-lost$"):
        check(S, seen, W1, lost=False, force=False)
    check(S, seen, W1, lost=False, force=True)


@pytest.mark.parametrize(
    ("swarm", "down_after", "fenced"),
    [({}, 31, True), ({}, 70, False), ({"dispatcherHeartbeatSeconds": 20}, 70, True)],
    ids=["a new swarm's heartbeats", "never", "longer heartbeats"],
)
def test_a_worker_is_fenced_although_the_leader_waits_for_three_heartbeats(
    monkeypatch: pytest.MonkeyPatch, swarm: dict[str, int], down_after: int, fenced: bool
) -> None:
    of, clock = make.settings(swarm=swarm), [0.0]
    monkeypatch.setattr(fence, "monotonic", lambda: clock[0])
    monkeypatch.setattr(fence, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    monkeypatch.setattr(fence, "is_silent", lambda *_: True)
    monkeypatch.setattr(fence, "survey", lambda *_, **__: None)
    monkeypatch.setattr(fence, "heard", lambda *_: clock[0] < down_after)
    if fenced:
        fence._await_silence(Cluster(of), W1, fence.SILENCE_SECONDS)
        return
    with pytest.raises(ProofFailed, match=r"the leader still reaches it after 60 s(?s:.*)code: still-answers$"):
        fence._await_silence(Cluster(of), W1, fence.SILENCE_SECONDS)


def test_a_machine_that_answers_gets_no_more_time_from_the_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(fence, "monotonic", lambda: clock[0])
    monkeypatch.setattr(fence, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    monkeypatch.setattr(fence, "is_silent", lambda *_: False)
    with pytest.raises(ProofFailed, match=r"something still answers at \S+ after 30 s"):
        fence._await_silence(Cluster(S), W1, fence.SILENCE_SECONDS)


def test_name_and_address_take_their_places_in_the_command() -> None:
    assert filled(EXISTING.hosts.fence, B) == ["power", "off", "--host=manager-b", "10.77.2.12"]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["/nowhere/power"], "No such file"),
        (["sh", "-c", "echo no such outlet >&2; exit 3"], "exit status 3: no such outlet"),
        (["sh", "-c", "yes | head -c 100000; exit 1"], "exit status 1"),
    ],
)
def test_a_command_that_fails_is_an_error_with_its_message(command: list[str], said: str) -> None:
    with pytest.raises(HostError, match=f"{said}(?s:.*)code: fence-command-failed$") as caught:
        fence._run(command, A)
    assert len(str(caught.value)) < 1200


def test_a_command_that_does_not_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fence, "COMMAND_SECONDS", 0.1)
    with pytest.raises(HostError, match=r"code: fence-command-failed$"):
        fence._run(["sleep", "5"], A)


@pytest.mark.parametrize(
    ("silent", "reports", "fenced"),
    [
        (False, [*WITHOUT_C, make.silent(C)], False),
        (True, HIDDEN, False),
        (True, [*WITHOUT_C, make.silent(C)], True),
    ],
    ids=["something answers", "the leader reaches it", "silent"],
)
def test_only_what_is_silent_to_all_is_declared_lost(
    monkeypatch: pytest.MonkeyPatch, silent: bool, reports: list[NodeReport], fenced: bool
) -> None:
    monkeypatch.setattr(fence, "is_silent", lambda *_: silent)
    monkeypatch.setattr(fence, "survey", lambda *_, **__: make.survey(reports))
    monkeypatch.setattr(fence, "PAUSE", 0)
    monkeypatch.setattr(fence, "down_seconds", lambda _: 0.01)
    if fenced:
        fence._await_silence(Cluster(S), C, 20)
        return
    with pytest.raises(ProofFailed, match=r"code: still-answers$"):
        fence._await_silence(Cluster(S), C, 0.01)


def test_a_node_that_does_not_exist_is_a_usage_error() -> None:
    with pytest.raises(SettingError, match="name one of manager-a, manager-b"):
        S.named("manager-z")
    assert S.named("manager-b") == B


def test_a_port_that_accepts_or_refuses_is_not_silent(tmp_path: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        ssh = Ssh(port=port, private_key_file=tmp_path, known_hosts_file=tmp_path)
        here = replace(A, ssh_address="127.0.0.1")
        assert not is_silent(here, ssh, seconds=1)
    assert not is_silent(here, ssh, seconds=1), "refused"
    assert not is_silent(replace(A, ssh_address="no.such.name.invalid"), ssh, seconds=1)
