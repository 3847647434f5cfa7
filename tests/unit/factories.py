"""Values for tests of pure functions: settings, reports, copies."""

import atexit
import shutil
import tempfile
from collections.abc import Sequence
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyrage

from recovery.copy import Copy
from recovery.manifest import FileEntry, Manifest
from recovery.model import Inventory, LocalState, Member, Reach, Report, Survey
from recovery.settings import Node, Settings, parse
from recovery.wal import Position

IDENTITY = pyrage.x25519.Identity.generate()
"""Opens the copies of the settings here."""


def _identity_file() -> str:
    folder = tempfile.mkdtemp(prefix="requorum-tests-")
    atexit.register(shutil.rmtree, folder)
    file = Path(folder) / "identity"
    file.write_text(f"{IDENTITY}\n")
    return str(file)


NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CLUSTER = "cluster-one"
RAW: dict[str, Any] = {
    "cluster": "lab",
    "subnet": "10.77.0.0/16",
    "managers": [{"address": "10.77.1.11"}, {"address": "10.77.2.12"}, {"address": "10.77.3.13"}],
    "workers": [{"address": "10.77.1.21"}, {"address": "10.77.2.22"}],
    "hosts": {"driver": "docker", "image": "node:1", "endpoint": "unix:///engine.sock", "identities": "/ssh"},
    "ssh": {"privateKeyFile": "/ssh/key", "knownHostsFile": "/ssh/known_hosts"},
    "backup": {"bucket": "copies", "recipients": [str(IDENTITY.to_public())], "identityFile": _identity_file()},
}


def raw(**changes: Any) -> dict[str, Any]:
    return {**deepcopy(RAW), **changes}


def settings(managers: int = 3, **changes: Any) -> Settings:
    addresses = [{"address": f"10.77.{index % 3 + 1}.{11 + index}"} for index in range(managers)]
    return parse(raw(managers=addresses, **changes))


def members(nodes: Sequence[Node], *, leader: str, unreachable: Sequence[str] = ()) -> tuple[Member, ...]:
    return tuple(
        Member(
            node_id=f"id-{node.name}",
            hostname=node.name,
            address=str(node.address),
            role=node.role,
            availability="drain" if node.role == "manager" else "active",
            ready=node.name not in unreachable,
            leader=node.name == leader,
            reachable=node.role == "manager" and node.name not in unreachable,
            manager_address=f"{node.address}:2377" if node.role == "manager" else "",
        )
        for node in nodes
    )


def manager(
    node: Node,
    nodes: Sequence[Node],
    *,
    leader: str = "manager-a",
    unreachable: Sequence[str] = (),
    cluster: str = CLUSTER,
) -> Report:
    return Report(
        node,
        Reach.ANSWERS,
        machine=f"machine-{node.name}",
        marked="lab",
        engine="20.10.24",
        state=LocalState.ACTIVE,
        control=True,
        node_id=f"id-{node.name}",
        cluster_id=cluster,
        raft=True,
        members=members(nodes, leader=leader, unreachable=unreachable),
    )


def leaderless(node: Node) -> Report:
    return Report(
        node,
        Reach.ANSWERS,
        marked="lab",
        state=LocalState.ACTIVE,
        node_id=f"id-{node.name}",
        cluster_id=CLUSTER,
        raft=True,
    )


def worker(node: Node, *, cluster: str = CLUSTER) -> Report:
    return Report(
        node, Reach.ANSWERS, marked="lab", state=LocalState.ACTIVE, node_id=f"id-{node.name}", cluster_id=cluster
    )


def empty(node: Node, *, marked: str = "") -> Report:
    return Report(node, Reach.ANSWERS, machine=f"machine-{node.name}", marked=marked, engine="20.10.24")


def gone(node: Node) -> Report:
    return Report(node, Reach.ABSENT)


def silent(node: Node) -> Report:
    return Report(node, Reach.SILENT, "timed out")


def survey(reports: Sequence[Report]) -> Survey:
    return Survey(tuple(reports), NOW)


def healthy(of: Settings) -> Survey:
    return survey([manager(node, of.nodes) for node in of.managers] + [worker(node) for node in of.workers])


def manifest(
    name: str = "manager-a",
    *,
    address: str = "10.77.1.11",
    ago: timedelta = timedelta(minutes=1),
    cluster: str = CLUSTER,
    **changes: Any,
) -> Manifest:
    values: dict[str, Any] = {
        "cluster_id": cluster,
        "node_id": f"id-{name}",
        "manager": name,
        "address": address,
        "engine": "20.10.24",
        "taken": NOW - ago,
        "kind": "hot",
        "inventory": Inventory({"nodes": frozenset({"id-manager-a"}), "services": frozenset({"web"})}, 42),
        "files": (FileEntry("swarm/state.json", 2, "ab"),),
        "size": 100,
        "sha256": "cd",
        "archive_size": 90,
        "archive_sha256": "ce",
        "raw_bytes": 128_000_000,
        "ca_sha256": "ef",
        "position": Position(2, 42, 42),
        "autolock": False,
    }
    return Manifest(**{**values, **changes})


def copy_of(made: Manifest) -> Copy:
    stamp = made.taken.strftime("%Y%m%dT%H%M%S%fZ")
    return Copy(
        f"requorum/lab/{made.manager}/swarm-{made.engine}-{made.manager}-{stamp}.tar.zst.age", made.manager, made.taken
    )
