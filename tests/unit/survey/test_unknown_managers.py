"""Managers that the stack file does not name: who knows them, and whether one is up."""

import socket
import subprocess
from dataclasses import replace

from syrupy.assertion import SnapshotAssertion

from recovery.planning.diagnosis import diagnose
from recovery.survey import unknown_managers
from tests.unit import factories as make
from tests.unit.planning.test_diagnosis import W1, A, B, C, S, led


def test_the_script_tells_a_port_that_is_open_from_one_that_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        argv = ["sh", "-c", unknown_managers.KNOCK, "knock", "127.0.0.1", str(server.getsockname()[1])]
        assert subprocess.run(argv, check=False).returncode == 0
    assert subprocess.run(argv, check=False).returncode != 0


def test_only_addresses_that_no_node_has_are_unnamed() -> None:
    worker = replace(make.worker(W1), remotes=(f"{A.address}:2377", "10.77.9.9:2377"))
    assert unknown_managers.known(make.survey([make.gone(A), worker])) == (("10.77.9.9", worker),)
    assert not unknown_managers.known(make.survey([make.gone(A), replace(worker, remotes=(f"{A.address}:2377",))]))


def test_a_manager_that_votes_and_is_not_in_the_stack_file_is_told(snapshot: SnapshotAssertion) -> None:
    other = replace(
        make.members([A], leader="")[0],
        node_id="id-x",
        hostname="manager-x",
        address="10.77.9.9",
        manager_address="10.77.9.9:2377",
    )
    seen = [replace(led(A), members=(*led(A).members, other)), led(B), led(C), *map(make.worker, S.workers)]
    found = diagnose(make.survey(seen), make.CLUSTER, cluster="lab", copies=True)
    assert found.warnings == snapshot
    assert not diagnose(make.healthy(S), make.CLUSTER, cluster="lab", copies=True).warnings
