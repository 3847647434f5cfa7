"""Writes that another one overtakes, or that fall into an election: made anew, from what is read anew."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address, ip_address
from typing import Any

import pytest
from docker.errors import APIError

from recovery.errors import EngineError
from recovery.node.engine import Engine
from recovery.node.ssh import Shell
from recovery.node.writes import RECOVERY_SECONDS, SUPERSEDED, TRANSIENT
from recovery.swarm.machines import ExternalCa, SwarmOptions
from tests.fake.engine import FakeApi
from tests.fake.wires import Wires, cluster, wired
from tests.unit import factories as make

S = make.settings()
A = S.managers[0]
WRITES: dict[str, tuple[tuple[str, str], Callable[[Engine, str], None]]] = {
    "of a member": (
        ("inspect_node", "update_node"),
        lambda engine, node_id: engine.update_member(node_id, labels={"new": "yes"}),
    ),
    "of the options": (
        ("inspect_swarm", "update_swarm"),
        lambda engine, _: engine.set_options(SwarmOptions(task_history_limit=3)),
    ),
}


@pytest.fixture
def wires() -> Iterator[Wires]:
    with wired() as wires:
        cluster(wires, S)
        yield wires


@pytest.fixture
def engine(wires: Wires) -> Engine:
    with Shell(A, S.ssh) as shell:
        found = Engine(shell)
    found.init(SwarmOptions())
    return found


@pytest.mark.parametrize("address", [None, IPv4Address("192.0.2.21")])
def test_a_node_takes_its_data_path_address_wherever_it_enters_a_swarm(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, address: IPv4Address | None
) -> None:
    given: list[Any] = []
    for verb in ("init_swarm", "join_swarm"):
        monkeypatch.setattr(FakeApi, verb, lambda *_, **named: given.append(named["data_path_addr"]))
    with Shell(replace(A, data_path_address=address), S.ssh) as shell:
        found = Engine(shell)
    found.init(SwarmOptions())
    found.force_new_cluster(None)
    found.join([A], "token")
    assert given == [str(address) if address else None] * 3


@pytest.mark.parametrize(
    ("address", "listens", "remote"),
    [("10.77.1.11", "0.0.0.0:2377", "10.77.1.11:2377"), ("fd00::11", "[::]:2377", "[fd00::11]:2377")],
)
def test_a_node_enters_a_swarm_at_its_address_of_either_family(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, address: str, listens: str, remote: str
) -> None:
    given: list[Any] = []
    for verb in ("init_swarm", "join_swarm"):
        monkeypatch.setattr(FakeApi, verb, lambda *_, **named: given.append(named))
    node = replace(A, address=ip_address(address))
    with Shell(A, S.ssh) as shell:
        found = Engine(shell)
    found.node = node
    found.init(SwarmOptions())
    found.join([node], "token")
    assert [(one["advertise_addr"], one["listen_addr"]) for one in given] == [(address, listens)] * 2
    assert given[1]["remote_addrs"] == [remote]


def test_a_node_listens_at_the_port_and_address_of_the_settings(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    for verb in ("init_swarm", "join_swarm"):
        monkeypatch.setattr(FakeApi, verb, lambda *_, **named: given.append(named))
    node = replace(A, listen_port=4377, listen_address=IPv4Address("192.0.2.11"))
    with Shell(node, S.ssh) as shell:
        found = Engine(shell)
    found.init(SwarmOptions())
    found.force_new_cluster(None)
    found.join([node], "token")
    assert [(one["advertise_addr"], one["listen_addr"]) for one in given] == [(str(A.address), "192.0.2.11:4377")] * 3
    assert given[2]["remote_addrs"] == [f"{A.address}:4377"]


def test_a_forced_cluster_is_told_how_often_its_ca_was_rotated(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    monkeypatch.setattr(FakeApi, "init_swarm", lambda *_, **named: given.append(named["swarm_spec"]))
    with Shell(A, S.ssh) as shell:
        found = Engine(shell)
    for rotations in (None, 0, 3):
        found.force_new_cluster(rotations)
    assert given == [{}, {}, {"CAConfig": {"ForceRotate": 3}}]


def test_an_external_ca_is_an_option_of_the_swarm(engine: Engine) -> None:
    ca = ExternalCa(url="https://ca.example.org/sign", certificate="PEM")
    engine.set_options(SwarmOptions(external_cas=(ca,)))
    assert engine.options()["CAConfig"]["ExternalCAs"] == [ca.to_engine()]
    engine.set_options(SwarmOptions(task_history_limit=3))
    assert engine.options()["CAConfig"]["ExternalCAs"] == [ca.to_engine()], "without a setting it stays"


def fails(monkeypatch: pytest.MonkeyPatch, verb: str, words: str, *, times: int, done: bool = False) -> None:
    """Have an engine answer with an error so often; what it was asked is ``done`` all the same, or not."""
    real, left = getattr(FakeApi, verb), [words] * times

    def act(api: FakeApi, *given: Any, **named: Any) -> Any:
        if left and done:
            real(api, *given, **named)
        if left:
            raise APIError(left[-1], explanation=f"rpc error: code = Unknown desc = {left.pop()}")
        return real(api, *given, **named)

    monkeypatch.setattr(FakeApi, verb, act)


def entries(wires: Wires) -> int:
    raft = wires.swarm.named(A.name).raft
    assert raft
    return raft.last.index


def test_a_write_for_a_copy_is_made_anew_and_waits_for_no_leader(
    wires: Wires, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each question holds an engine without a leader, which may be what is left of a quorum."""
    fails(monkeypatch, "update_node", SUPERSEDED[0], times=10)
    before = entries(wires)
    engine.settle()
    assert entries(wires) == before + 1
    fails(monkeypatch, "update_node", "The swarm does not have a leader.", times=1)
    begun = wires.clock
    with pytest.raises(EngineError, match="does not have a leader"):
        engine.settle()
    assert wires.clock == begun


@pytest.mark.parametrize("words", TRANSIENT)
@pytest.mark.parametrize(("what", "read"), [(what, read) for what in WRITES for read in (True, False)])
def test_what_passes_is_waited_for(
    wires: Wires, engine: Engine, monkeypatch: pytest.MonkeyPatch, words: str, what: str, read: bool
) -> None:
    verbs, write = WRITES[what]
    fails(monkeypatch, verbs[not read], words, times=10)
    before = entries(wires)
    write(engine, wires.swarm.named(A.name).node_id)
    assert entries(wires) == before + 1


def test_a_write_whose_answer_was_lost_with_the_leader_is_not_made_twice(
    wires: Wires, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, node_id = entries(wires), wires.swarm.named(A.name).node_id
    fails(
        monkeypatch, "update_node", "raft: failed to process the request: node lost leader status", times=1, done=True
    )
    engine.update_member(node_id, labels={"new": "yes"})
    assert entries(wires) == before + 1
    entry = engine.member(node_id)
    assert entry
    assert entry.labels == {"new": "yes"}


def test_what_does_not_pass_is_told_in_the_end(wires: Wires, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    fails(monkeypatch, "update_node", "The swarm does not have a leader.", times=1000)
    begun = wires.clock
    with pytest.raises(EngineError, match="does not have a leader"):
        engine.update_member(wires.swarm.named(A.name).node_id, labels={"new": "yes"})
    assert RECOVERY_SECONDS < wires.clock - begun < RECOVERY_SECONDS + 5


def test_what_an_engine_refuses_is_told_at_once(wires: Wires, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    fails(monkeypatch, "update_node", "this would result in a loss of quorum", times=1)
    begun = wires.clock
    with pytest.raises(EngineError, match="loss of quorum"):
        engine.update_member(wires.swarm.named(A.name).node_id, role="worker")
    assert wires.clock == begun
