"""A running swarm is read, and nothing in it is changed."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from recovery.cluster import Cluster
from recovery.operations import init as preparing
from recovery.operations.assess import assess
from recovery.operations.recover import recover_all
from recovery.swarm.found import SwarmFacts
from recovery.swarm.model import LocalState, NodeReport, Reach
from tests.fake.cases import quiet
from tests.fake.wires import Wires, cluster, wired
from tests.unit import factories as make
from tests.unit.cli.init.conftest import FLAGS, LOOK, Desk


@pytest.fixture
def running(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], Wires]]:
    """Builds a fake swarm of so many managers and a worker, as the machine of the test reaches it."""
    with wired() as wires:

        def build(managers: int) -> Wires:
            of = make.settings(managers, workers=[{"address": "10.77.1.41"}], clusterId="x")
            of = of.model_copy(update={"cluster_id": None})
            cluster(wires, of)
            recover_all(Cluster(of), assess(Cluster(of)), say=quiet)
            for machine in wires.swarm.machines.values():
                machine.marked = ""
            wires.begin()
            return wires

        monkeypatch.setattr(preparing, "look", LOOK)
        yield build


@pytest.mark.parametrize("managers", [1, 2, 3, 4])
def test_a_running_swarm_is_read_and_nothing_is_changed(
    desk: Desk, running: Callable[[int], Wires], managers: int
) -> None:
    wires = running(managers)
    state = wires.swarm.clone()
    done = desk.init("--from", "ssh://root@10.77.1.11", *FLAGS[2:], "--zones", ",".join("abcd"[:managers]))
    assert done.exit_code == 0, done.output
    assert wires.effects == []
    assert wires.swarm.founded == state.founded
    made = desk.settings()
    assert made.cluster_id == wires.swarm.founded[0]
    assert made.ca_sha256 == (make.ca_sha256(wires.swarm.founded[0]),)
    assert {node.name for node in made.managers} == {f"manager-{zone}" for zone in ("a", "b", "c", "a2")[:managers]}
    assert [node.name for node in made.workers] == ["worker-10-77-1-41"]
    assert {node.availability for node in made.nodes} == {None}
    assert ("tolerate" in done.stdout) is (managers != 3)
    assert done.stdout.splitlines()[-2:] == [
        "without Pulumi: requorum copies take --stack production",
        "next: pulumi stack select --create production && pulumi preview --stack production",
    ]


def test_zones_are_asked_for_where_no_label_names_them(desk: Desk, running: Callable[[int], Wires]) -> None:
    running(3)
    done = desk.init("--from", "10.77.1.11", *FLAGS[2:], typed="\n\n\n")
    assert done.exit_code == 0, done.output
    assert "Zones of the managers manager-a, manager-b, manager-c" in done.stderr
    assert [node.zone for node in desk.settings().managers] == ["a", "b", "c"]


def test_zones_must_be_one_for_each_manager(desk: Desk, running: Callable[[int], Wires]) -> None:
    running(3)
    done = desk.init("--from", "10.77.1.11", *FLAGS[2:], "--zones", "a,b")
    assert (done.exit_code, desk.wrote_nothing()) == (2, True)
    assert "--zones: 2 zones are given for 3 managers" in done.stderr


def test_a_node_that_the_swarm_does_not_have_is_refused(desk: Desk, running: Callable[[int], Wires]) -> None:
    running(3)
    done = desk.init("--from", "10.77.1.11", *FLAGS[2:], "--ssh-address", "other=10.0.0.1")
    assert (done.exit_code, desk.wrote_nothing()) == (2, True)
    assert "code: no-such-name" in done.stderr


@pytest.mark.parametrize(
    "given",
    [
        ("10.77.1.11", "--user", "ubuntu", "--port", "2222"),
        ("ubuntu@10.77.1.11", "--port", "2222"),
        ("ssh://ubuntu@10.77.1.11:2222", "--user", "ubuntu"),
    ],
    ids=" ".join,
)
def test_the_login_is_named_by_the_address_or_by_options(
    desk: Desk, running: Callable[[int], Wires], given: tuple[str, ...]
) -> None:
    running(3)
    done = desk.init("--from", *given, *FLAGS[2:])
    assert done.exit_code == 0, done.output
    assert (desk.settings().ssh.user, desk.settings().ssh.port) == ("ubuntu", 2222)


def test_a_worker_leads_to_no_swarm(desk: Desk, running: Callable[[int], Wires]) -> None:
    running(3)
    done = desk.init("--from", "10.77.1.41", *FLAGS[2:])
    assert (done.exit_code, desk.wrote_nothing()) == (1, True)
    assert "code: no-leader" in done.stderr


def test_machines_of_a_swarm_are_no_new_cluster(desk: Desk, running: Callable[[int], Wires]) -> None:
    wires = running(3)
    done = desk.init(*FLAGS)
    assert (done.exit_code, desk.wrote_nothing(), wires.effects) == (1, True, [])
    assert "give --from ssh://root@10.77.1.11:22" in done.stderr
    assert "code: foreign-swarm" in done.stderr


@pytest.mark.parametrize(("reach", "code"), [(Reach.SILENT, "node-unreachable"), (Reach.DENIED, "access-denied")])
def test_nodes_that_cannot_be_used_are_refused(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, reach: Reach, code: str
) -> None:
    monkeypatch.setattr(preparing, "look", LOOK)
    seen = [NodeReport(node, reach, "why", state=LocalState.INACTIVE) for node in make.settings().nodes]
    monkeypatch.setattr(preparing.nodes, "survey", lambda *_, **__: make.survey(seen))
    done = desk.init(*FLAGS)
    assert (done.exit_code, desk.wrote_nothing()) == (1, True)
    assert f"code: {code}" in done.stderr


def test_the_unlock_key_of_an_autolocked_swarm_goes_into_escrow(
    desk: Desk, running: Callable[[int], Wires], monkeypatch: pytest.MonkeyPatch
) -> None:
    running(3)
    real, locked = preparing.ask_manager, SwarmFacts({"EncryptionConfig": {"AutoLockManagers": True}})
    monkeypatch.setattr(preparing, "ask_manager", lambda url, ssh: replace(real(url, ssh), swarm=locked))
    done = desk.init("--from", "10.77.1.11", *FLAGS[2:])
    assert done.exit_code == 0, done.output
    made = desk.settings()
    assert made.swarm.autolock
    assert made.escrow.recipients == made.backup.recipients
    assert made.escrow.identity_file == desk.identity


def test_a_login_without_rights_is_refused(
    desk: Desk, running: Callable[[int], Wires], monkeypatch: pytest.MonkeyPatch
) -> None:
    running(3)
    real = preparing.nodes.ask
    monkeypatch.setattr(preparing.nodes, "ask", lambda *a, **k: replace(real(*a, **k), reach=Reach.NO_RIGHTS))
    done = desk.init("--from", "ops@10.77.1.11", *FLAGS[2:])
    assert (done.exit_code, desk.wrote_nothing()) == (1, True)
    assert "code: missing-rights" in done.stderr


def test_a_name_that_nobody_knows_is_refused(desk: Desk) -> None:
    done = desk.init("--from", "nobody.invalid", *FLAGS[2:])
    assert (done.exit_code, desk.wrote_nothing()) == (2, True)
    assert "--from: the name nobody.invalid cannot be resolved" in done.stderr
