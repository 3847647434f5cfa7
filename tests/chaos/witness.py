"""Asks the engine of each node about the swarm, without the code under test."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from tests.chaos.oracle import Case, Expected

ASK = (
    'ask() { curl -s -m "$1" --unix-socket /run/docker.sock "http://engine$2" | tr -d "\\n"; echo; }; '
    'for path in /info /nodes /swarm/unlockkey; do ask "$1" $path; done; ask 20 /containers/json; '
    "cd /var/lib/docker/swarm/certificates 2>/dev/null || exit 0; exec 2>/dev/null; head -n 1 swarm-node.key; cat swarm-node.crt; true"
)
PASSING = re.compile(r" is not Ready$| is not Reachable$|: leaders: ")
"""Matches faults that may be temporary.

If a message to a member takes over 2 s, raft lists the member as unreachable until the next message arrives (swarmkit,
manager/state/raft: SendTimeout).
"""
PATIENT, HASTY = 20, 2
"""The seconds to wait for an answer. A manager without a leader does not answer most questions."""


@dataclass(frozen=True)
class Entry:
    """One line of `docker node ls`."""

    node_id: str
    name: str
    role: str
    ready: bool
    leader: bool
    reachable: bool
    mark: str
    """The value of the label that the cases write."""


@dataclass(frozen=True)
class View:
    """The answers of one node."""

    engine: str
    state: str
    """The state in the engine's words. Empty if a manager without a leader does not answer."""
    node_id: str
    cluster_id: str
    entries: tuple[Entry, ...] = ()
    unlock_key: str = ""
    """A digest of the unlock key. Empty if the swarm is not autolocked."""
    sealed: bool = False
    """Whether the unlock key encrypts the node's key on its disk."""
    containers: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Picture:
    """The answers of every node at one moment."""

    views: Mapping[str, View]
    managers: tuple[str, ...] = field(default=())

    @property
    def clusters(self) -> frozenset[str]:
        """The IDs of all swarms to which any node belongs."""
        return frozenset(view.cluster_id for view in self.views.values() if view.cluster_id)

    @property
    def containers(self) -> dict[str, frozenset[str]]:
        """The running containers of the workers."""
        return {name: view.containers for name, view in self.views.items() if name not in self.managers}

    @property
    def mark(self) -> str:
        """The value of the label, from the first manager that lists nodes."""
        listed = next((view.entries for view in self.views.values() if view.entries), ())
        return next((entry.mark for entry in listed if entry.mark), "")

    @property
    def node_ids(self) -> dict[str, str]:
        return {name: view.node_id for name, view in self.views.items()}


def look(on: Callable[..., str], managers: Iterable[str], workers: Iterable[str], *, seconds: int = PATIENT) -> Picture:
    """Ask every node. ``on`` runs a command on a node and returns its output."""
    chiefs = tuple(managers)
    names = [*chiefs, *workers]
    with ThreadPoolExecutor(max_workers=len(names)) as pool:
        return Picture(dict(zip(names, pool.map(lambda name: _ask(on, name, seconds), names), strict=True)), chiefs)


def second_swarms(before: Picture, after: Picture) -> list[str]:
    """The swarms that did not exist before."""
    return [f"a second swarm: {other}" for other in sorted(after.clusters - before.clusters)]


def changed_containers(before: Picture, after: Picture) -> list[str]:
    """The workers whose containers are not the same as before."""
    was, now = before.containers, after.containers
    return [
        f"{name}: containers {sorted(was[name] ^ now[name])} came or went" for name in was if was[name] != now[name]
    ]


def touched(before: Picture, after: Picture) -> list[str]:
    """Describe what a refusal changed on nodes: their state, their identity, and the list of members."""
    changes = []
    for name, was in before.views.items():
        now = after.views[name]
        moved = was.state and now.state and was.state != now.state
        if moved or (was.node_id, was.cluster_id) != (now.node_id, now.cluster_id):
            changes.append(f"{name} was {was.state} {was.node_id}, is {now.state} {now.node_id}")
        if was.entries and now.entries and {e.node_id for e in was.entries} != {e.node_id for e in now.entries}:
            changes.append(f"{name} lists other nodes than before")
    return changes


def recovered(case: Case, wanted: Expected, before: Picture, after: Picture, marks: Mapping[bool, str]) -> list[str]:
    """Describe how the cluster differs from the expected end. ``marks`` has the last change and the one before."""
    faults = []
    if len(after.clusters) != 1 or any(not view.cluster_id for view in after.views.values()):
        faults.append(f"cluster IDs: { {name: view.cluster_id for name, view in after.views.items()} }")
    for name in case.managers:
        faults += [f"as {name} lists it: {fault}" for fault in _faults(case, after, after.views[name])]
    if after.mark != marks[wanted.last_change]:
        faults.append(f"the mark is {after.mark!r} and not {marks[wanted.last_change]!r}")
    same_key = before.views[case.managers[0]].unlock_key == after.views[case.managers[0]].unlock_key
    if case.autolock and same_key == wanted.remade:
        faults.append(f"the unlock key is {'the same as' if same_key else 'another than'} before")
    for name, was in before.node_ids.items():
        if (after.node_ids[name] != was) != (name in wanted.renewed):
            faults.append(f"{name} {'has a new' if name not in wanted.renewed else 'kept its'} node ID")
    return faults


def passes(faults: Iterable[str]) -> bool:
    """Whether all faults may be temporary, so that another check is useful."""
    listed = list(faults)
    return bool(listed) and all(PASSING.search(fault) for fault in listed)


def _faults(case: Case, after: Picture, view: View) -> list[str]:
    names = sorted(entry.name for entry in view.entries)
    faults = [] if names == sorted(after.views) else [f"the nodes are {names}"]
    if sum(entry.leader for entry in view.entries) != 1:
        faults.append(f"leaders: {[entry.name for entry in view.entries if entry.leader]}")
    faults += [f"{entry.name} is not Ready" for entry in view.entries if not entry.ready]
    for entry in view.entries:
        if (entry.role == "manager") != (entry.name in case.managers):
            faults.append(f"{entry.name} is a {entry.role}")
        if entry.name in case.managers and not entry.reachable:
            faults.append(f"{entry.name} is not Reachable")
    if (view.sealed, bool(view.unlock_key)) != (case.autolock, case.autolock):
        faults.append(
            f"its key is {'sealed' if view.sealed else 'plain'}, {'an' if view.unlock_key else 'no'} unlock key"
        )
    return faults


def _ask(on: Callable[..., str], name: str, seconds: int) -> View:
    answers = on(name, "sh", "-c", ASK, "ask", str(seconds))
    info, nodes, unlock, containers, seal, certificate = [*answers.split("\n", 5), ""][:6]
    info_values, listed, key = (json.loads(text or "{}") for text in (info, nodes, unlock))
    membership = info_values.get("Swarm") or {}
    node_id, cluster_id = _identity(certificate)
    return View(
        engine=info_values.get("ServerVersion", ""),
        state=membership.get("LocalNodeState", ""),
        node_id=membership.get("NodeID") or node_id,
        cluster_id=(membership.get("Cluster") or {}).get("ID") or cluster_id,
        entries=tuple(_entry(entry) for entry in listed) if isinstance(listed, list) else (),
        unlock_key=hashlib.sha256(key["UnlockKey"].encode()).hexdigest() if key.get("UnlockKey") else "",
        sealed="ENCRYPTED" in seal,
        containers=frozenset(entry["Id"] for entry in json.loads(containers)),
    )


def _entry(entry: Mapping[str, Any]) -> Entry:
    manager = entry.get("ManagerStatus") or {}
    return Entry(
        node_id=entry["ID"],
        name=entry["Description"].get("Hostname", ""),
        role=entry["Spec"]["Role"],
        ready=entry["Status"]["State"] == "ready",
        leader=bool(manager.get("Leader")),
        reachable=manager.get("Reachability") == "reachable",
        mark=(entry["Spec"].get("Labels") or {}).get("chaos", ""),
    )


def _identity(certificate: str) -> tuple[str, str]:
    """Node ID and cluster ID in a certificate. Workers, and managers without a leader, do not report the cluster ID."""
    if not certificate.startswith("-----BEGIN"):
        return "", ""
    subject = x509.load_pem_x509_certificate(certificate.encode()).subject
    names = (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)
    node_id, cluster_id = (str(subject.get_attributes_for_oid(name)[0].value) for name in names)
    return node_id, cluster_id
