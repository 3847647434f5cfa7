"""What the nodes say, asked of each one's own engine and not through the code under test."""

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
"""Faults that come and go by themselves: the raft lists a member that a message took over 2 s to reach as unreachable until the
next one does (swarmkit, manager/state/raft: SendTimeout)."""
PATIENT, HASTY = 20, 2
"""Seconds to wait for an answer; a manager without a leader gives none to most questions."""


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
    """Value of the label that the cases write."""


@dataclass(frozen=True)
class View:
    """One node."""

    engine: str
    state: str
    """As the engine tells it; empty where a manager without a leader does not answer."""
    node_id: str
    cluster_id: str
    entries: tuple[Entry, ...] = ()
    unlock_key: str = ""
    """A digest of the unlock key; empty where the swarm is not autolocked."""
    sealed: bool = False
    """Whether the node's own key on its disk is encrypted by the unlock key."""
    containers: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Picture:
    """Every node at one moment."""

    views: Mapping[str, View]
    managers: tuple[str, ...] = field(default=())

    @property
    def clusters(self) -> frozenset[str]:
        """IDs of all swarms that any node belongs to."""
        return frozenset(view.cluster_id for view in self.views.values() if view.cluster_id)

    @property
    def containers(self) -> dict[str, frozenset[str]]:
        """Running containers of the workers."""
        return {name: view.containers for name, view in self.views.items() if name not in self.managers}

    @property
    def mark(self) -> str:
        """What the label says, as the first manager that lists nodes has it."""
        listed = next((view.entries for view in self.views.values() if view.entries), ())
        return next((entry.mark for entry in listed if entry.mark), "")

    @property
    def node_ids(self) -> dict[str, str]:
        return {name: view.node_id for name, view in self.views.items()}


def look(on: Callable[..., str], managers: Iterable[str], workers: Iterable[str], *, seconds: int = PATIENT) -> Picture:
    """Ask every node; ``on`` runs a command on one and gives what it prints."""
    chiefs = tuple(managers)
    names = [*chiefs, *workers]
    with ThreadPoolExecutor(max_workers=len(names)) as pool:
        return Picture(dict(zip(names, pool.map(lambda name: _ask(on, name, seconds), names), strict=True)), chiefs)


def second_swarms(before: Picture, after: Picture) -> list[str]:
    """Swarms that were not there before."""
    return [f"a second swarm: {other}" for other in sorted(after.clusters - before.clusters)]


def changed_containers(before: Picture, after: Picture) -> list[str]:
    """Workers whose containers are others than before."""
    was, now = before.containers, after.containers
    return [
        f"{name}: containers {sorted(was[name] ^ now[name])} came or went" for name in was if was[name] != now[name]
    ]


def touched(before: Picture, after: Picture) -> list[str]:
    """What a refusal changed on a node: its place in a swarm, its identity, the list of members."""
    found = []
    for name, was in before.views.items():
        now = after.views[name]
        moved = was.state and now.state and was.state != now.state
        if moved or (was.node_id, was.cluster_id) != (now.node_id, now.cluster_id):
            found.append(f"{name} was {was.state} {was.node_id}, is {now.state} {now.node_id}")
        if was.entries and now.entries and {e.node_id for e in was.entries} != {e.node_id for e in now.entries}:
            found.append(f"{name} lists other nodes than before")
    return found


def recovered(case: Case, wanted: Expected, before: Picture, after: Picture, marks: Mapping[bool, str]) -> list[str]:
    """What keeps the cluster from being what the case must end in; ``marks`` has the last change and the one before it."""
    found = []
    if len(after.clusters) != 1 or any(not view.cluster_id for view in after.views.values()):
        found.append(f"cluster IDs: { {name: view.cluster_id for name, view in after.views.items()} }")
    for name in case.managers:
        found += [f"as {name} lists it: {fault}" for fault in _faults(case, after, after.views[name])]
    if after.mark != marks[wanted.last_change]:
        found.append(f"the mark is {after.mark!r} and not {marks[wanted.last_change]!r}")
    same_key = before.views[case.managers[0]].unlock_key == after.views[case.managers[0]].unlock_key
    if case.autolock and same_key == wanted.remade:
        found.append(f"the unlock key is {'the same as' if same_key else 'another than'} before")
    for name, was in before.node_ids.items():
        if (after.node_ids[name] != was) != (name in wanted.renewed):
            found.append(f"{name} {'has a new' if name not in wanted.renewed else 'kept its'} node ID")
    return found


def passes(faults: Iterable[str]) -> bool:
    """Whether all that is wrong may be right a moment later, and another look is due."""
    found = list(faults)
    return bool(found) and all(PASSING.search(fault) for fault in found)


def _faults(case: Case, after: Picture, view: View) -> list[str]:
    names = sorted(entry.name for entry in view.entries)
    found = [] if names == sorted(after.views) else [f"the nodes are {names}"]
    if sum(entry.leader for entry in view.entries) != 1:
        found.append(f"leaders: {[entry.name for entry in view.entries if entry.leader]}")
    found += [f"{entry.name} is not Ready" for entry in view.entries if not entry.ready]
    for entry in view.entries:
        if (entry.role == "manager") != (entry.name in case.managers):
            found.append(f"{entry.name} is a {entry.role}")
        if entry.name in case.managers and not entry.reachable:
            found.append(f"{entry.name} is not Reachable")
    if (view.sealed, bool(view.unlock_key)) != (case.autolock, case.autolock):
        found.append(
            f"its key is {'sealed' if view.sealed else 'plain'}, {'an' if view.unlock_key else 'no'} unlock key"
        )
    return found


def _ask(on: Callable[..., str], name: str, seconds: int) -> View:
    answers = on(name, "sh", "-c", ASK, "ask", str(seconds))
    info, nodes, unlock, containers, seal, certificate = [*answers.split("\n", 5), ""][:6]
    told, listed, key = (json.loads(text or "{}") for text in (info, nodes, unlock))
    own = told.get("Swarm") or {}
    node_id, cluster_id = _identity(certificate)
    return View(
        engine=told.get("ServerVersion", ""),
        state=own.get("LocalNodeState", ""),
        node_id=own.get("NodeID") or node_id,
        cluster_id=(own.get("Cluster") or {}).get("ID") or cluster_id,
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
    """Node ID and cluster ID: a worker's engine does not tell the cluster's, a manager's without a leader neither."""
    if not certificate.startswith("-----BEGIN"):
        return "", ""
    subject = x509.load_pem_x509_certificate(certificate.encode()).subject
    names = (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)
    node_id, cluster_id = (str(subject.get_attributes_for_oid(name)[0].value) for name in names)
    return node_id, cluster_id
