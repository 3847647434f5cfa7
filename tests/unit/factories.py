"""Values for tests of pure functions: settings, reports, copies."""

import atexit
import shutil
import tempfile
from base64 import b64encode
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import asyncssh
import pyrage
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from recovery.copies.copy import Copy
from recovery.copies.manifest import FileEntry, Manifest, Signature
from recovery.onnode.copying import statement
from recovery.settings import Settings, parse
from recovery.swarm.entries import Member
from recovery.swarm.machines import Node
from recovery.swarm.model import LocalState, NodeReport, Reach, Survey
from recovery.swarm.wal import Position
from recovery.swarm.workload import Inventory
from tests.unit.swarm.test_key_file import PRIVATE

IDENTITY = pyrage.x25519.Identity.generate()
"""Opens the copies of the settings here."""


FOLDER = Path(tempfile.mkdtemp(prefix="requorum-tests-"))
atexit.register(shutil.rmtree, FOLDER)


def _identity_file() -> str:
    file = FOLDER / "identity"
    file.write_text(f"{IDENTITY}\n")
    return str(file)


def ssh_key(name: str = "key", algorithm: str = "ssh-ed25519") -> Path:
    """A private SSH key of that name, which is made once. Its public half is beside it."""
    file = FOLDER / name
    if not file.exists():
        key = asyncssh.generate_private_key(algorithm)
        key.write_private_key(str(file))
        file.chmod(0o600)
        key.write_public_key(f"{file}.pub")
    return file


NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CLUSTER = "cluster-one"
RAW: dict[str, Any] = {
    "cluster": "lab",
    "subnet": "10.77.0.0/16",
    "managers": [{"address": "10.77.1.11"}, {"address": "10.77.2.12"}, {"address": "10.77.3.13"}],
    "workers": [{"name": "worker-1", "address": "10.77.1.21"}, {"name": "worker-2", "address": "10.77.2.22"}],
    "hosts": {"driver": "docker", "image": "node:1", "endpoint": "unix:///engine.sock", "identities": "/ssh"},
    "ssh": {"privateKeyFile": str(ssh_key()), "knownHostsFile": "/ssh/known_hosts"},
    "backup": {"bucket": "copies", "recipients": [str(IDENTITY.to_public())], "identityFile": _identity_file()},
}


ADDRESSES = dict(
    zip(("manager-a", "manager-b", "manager-c"), (entry["address"] for entry in RAW["managers"]), strict=True)
)
"""Where the managers are, by name."""


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
) -> NodeReport:
    return NodeReport(
        node,
        Reach.ANSWERS,
        machine=f"machine-{node.name}",
        marked="lab",
        engine="20.10.24",
        state=LocalState.ACTIVE,
        control=True,
        node_id=f"id-{node.name}",
        cluster_id=cluster,
        ca_sha256=ca_sha256(cluster),
        raft=True,
        members=members(nodes, leader=leader, unreachable=unreachable),
    )


def leaderless(node: Node) -> NodeReport:
    return NodeReport(
        node,
        Reach.ANSWERS,
        marked="lab",
        state=LocalState.ACTIVE,
        node_id=f"id-{node.name}",
        cluster_id=CLUSTER,
        raft=True,
    )


def damaged(node: Node, damage: str = "a wrong checksum") -> NodeReport:
    """A manager whose engine does not come up with its log."""
    return replace(leaderless(node), state=LocalState.ERROR, damage=damage)


def halted(node: Node) -> NodeReport:
    """A manager whose engine does not start, because nothing of its log can be read."""
    there = replace(damaged(node, "it holds no entry"), reach=Reach.NO_ENGINE)
    return replace(there, state=LocalState.INACTIVE, detail="its engine does not answer")


def full(node: Node) -> NodeReport:
    """A manager whose disk is full."""
    return replace(leaderless(node), state=LocalState.ERROR, full="12 MiB are free, and Docker needs 64 MiB")


def worker(node: Node, *, cluster: str = CLUSTER) -> NodeReport:
    return NodeReport(
        node,
        Reach.ANSWERS,
        marked="lab",
        state=LocalState.ACTIVE,
        node_id=f"id-{node.name}",
        cluster_id=cluster,
        ca_sha256=ca_sha256(cluster),
    )


def empty(node: Node, *, marked: str = "") -> NodeReport:
    return NodeReport(node, Reach.ANSWERS, machine=f"machine-{node.name}", marked=marked, engine="20.10.24")


def gone(node: Node) -> NodeReport:
    return NodeReport(node, Reach.ABSENT)


def silent(node: Node) -> NodeReport:
    return NodeReport(node, Reach.SILENT, "timed out")


def survey(reports: Sequence[NodeReport]) -> Survey:
    return Survey(tuple(reports), NOW)


def healthy(of: Settings) -> Survey:
    return survey([manager(node, of.nodes) for node in of.managers] + [worker(node) for node in of.workers])


@cache
def authority(cluster_id: str) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """The key and the certificate of a swarm's CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"swarm-ca of {cluster_id}")])
    return key, issued(name, key, name, key, ca=True)


def ca(cluster_id: str = CLUSTER) -> bytes:
    """What ``swarm-root-ca.crt`` holds."""
    return authority(cluster_id)[1].public_bytes(serialization.Encoding.PEM)


def ca_sha256(cluster_id: str = CLUSTER) -> str:
    """Its digest."""
    return sha256(ca(cluster_id)).hexdigest()


@cache
def certificate(
    node_id: str,
    cluster_id: str,
    *,
    role: str = "swarm-manager",
    by: str = "",
    key: ec.EllipticCurvePrivateKey = PRIVATE,
) -> bytes:
    """A node certificate as swarmkit writes it: O is the cluster, OU the role, CN the node. ``by`` is another CA than its own."""
    names = [
        (NameOID.ORGANIZATION_NAME, cluster_id),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, role),
        (NameOID.COMMON_NAME, node_id),
    ]
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in names])
    issuer, root = authority(by or cluster_id)
    return issued(subject, key, root.subject, issuer, ca=False).public_bytes(serialization.Encoding.PEM)


def issued(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    by: ec.EllipticCurvePrivateKey,
    *,
    ca: bool,
) -> x509.Certificate:
    """A certificate for the key, under the name and key of its issuer."""
    return (
        x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key()).serial_number(1)
        .not_valid_before(NOW).not_valid_after(NOW + timedelta(days=36500))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True).sign(by, hashes.SHA256())
    )  # fmt: skip


def signed(made: Manifest, *, certificate_: bytes = b"", key: ec.EllipticCurvePrivateKey = PRIVATE) -> Manifest:
    """The manifest under the signature of its own manager, or under another."""
    pem = certificate_ or certificate(made.node_id, made.cluster_id)
    return replace(made, signature=Signature(pem.decode(), _signature(key, statement(made.to_dict()))))


@cache
def _signature(key: ec.EllipticCurvePrivateKey, text: bytes) -> str:
    return b64encode(key.sign(text, ec.ECDSA(hashes.SHA256()))).decode()


def manifest(
    name: str = "manager-a",
    *,
    address: str = "",
    ago: timedelta = timedelta(minutes=1),
    cluster: str = CLUSTER,
    **changes: Any,
) -> Manifest:
    values: dict[str, Any] = {
        "cluster_id": cluster,
        "node_id": f"id-{name}",
        "manager": name,
        "address": address or ADDRESSES.get(name, "10.77.9.9"),
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
        "ca_sha256": ca_sha256(cluster),
        "ca": ca(cluster).decode(),
        "position": Position(2, 44, 43),
        "autolock": False,
        "recipients": (str(IDENTITY.to_public()),),
    }
    return signed(Manifest(**{**values, **changes}))


def copy_of(made: Manifest) -> Copy:
    stamp = made.taken.strftime("%Y%m%dT%H%M%S%fZ")
    return Copy(
        f"requorum/lab/{made.manager}/swarm-{made.engine}-{made.manager}-{stamp}.tar.zst.age", made.manager, made.taken
    )
