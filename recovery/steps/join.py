"""One node's place in the swarm: joining, rejoining under its identity, changing, leaving.

Membership changes one at a time, and only where the quorum survives the change. Join
tokens are fetched when they are used and kept nowhere.
"""

from collections.abc import Callable
from contextlib import ExitStack
from time import monotonic, sleep

from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog
from recovery.copies.choice import newest_good
from recovery.copies.escrow import Escrow
from recovery.copies.taking import take_one, take_safety
from recovery.errors import ProofFailed, Refused
from recovery.node.engine import SECONDS as ENGINE_SECONDS
from recovery.node.engine import Engine
from recovery.node.ssh import Shell
from recovery.planning.entries import is_forsaken, stale
from recovery.planning.steps import Action
from recovery.s3 import cluster_lease
from recovery.s3.store import Store
from recovery.settings import Settings
from recovery.steps import journal, swarm_directory, unlock, votes
from recovery.steps.gossip import READY_SECONDS, rouse
from recovery.steps.outcome import JoinResult
from recovery.steps.redirect import redirect_worker
from recovery.survey import lost
from recovery.survey.nodes import ask, stable_survey
from recovery.swarm.machines import Node
from recovery.swarm.model import LocalState, Member, NodeReport, Reach

PAUSE = 0.1
AGAIN = "then run the same command again"


def ensure(
    settings: Settings, node: Node, *, dropped_labels: tuple[str, ...] = (), say: Callable[[str], None]
) -> JoinResult:
    """Make the node a member with the wanted role, availability and labels. Safe to run again.

    Raises: Refused when the swarm has no leader, the node belongs to another swarm, or another operator holds the lease;
    ProofFailed when it does not become Ready; TransportError, EngineError, StoreError.
    """
    with cluster_lease.hold(Store(settings.backup.sites), settings.keys, f"joining {node.name}", say=say):
        place = _ensure(settings, node, dropped_labels, say)
    lost.withdraw(Cluster(settings), node)
    return place


def _ensure(settings: Settings, node: Node, dropped_labels: tuple[str, ...], say: Callable[[str], None]) -> JoinResult:
    leader = _leader(settings, f"joining {node.name}")
    with Shell(leader.node, settings.ssh) as to_leader, Shell(node, settings.ssh) as to_node, ExitStack() as noted:
        chief = Engine(to_leader)
        seen = _asked(to_node)
        orphan = node.role == "manager" and seen.is_left_behind(leader)
        if orphan or seen.known_lost or seen.left_over:
            noted.enter_context(journal.step(settings, Action.JOIN, node.name, say))
        elif seen.state is LocalState.LOCKED:
            noted.enter_context(journal.step(settings, Action.UNLOCK, node.name, say))
        if orphan:
            say(f"{node.name} leaves the old swarm state and rejoins: it is not a member of the forced new cluster")
            if seen.raft:
                take_safety(Cluster(settings).store, settings, to_node)
            Engine(to_node).leave()
            seen = _asked(to_node)
        if seen.left_over:
            say(f"{node.name} is in no swarm and has an old log: Requorum moves the log aside and keeps it")
            take_safety(Cluster(settings).store, settings, to_node)
            swarm_directory.set_aside(to_node, Engine(to_node))
            seen = _asked(to_node)
        if seen.state is LocalState.LOCKED:
            _require_ours(seen, leader)
            unlock.start(settings, node, to_node, say=say)
            seen = _asked(to_node)
        if seen.in_swarm:
            _require_ours(seen, leader)
            if node.role == "worker" and seen.is_stranded(settings.managers):
                noted.enter_context(journal.step(settings, Action.REDIRECT, node.name, say))
                say(f"{node.name} knows no current manager: Requorum directs it to {leader.node.address}")
                redirect_worker(settings, to_node, seen, leader.node)
            place = JoinResult(seen.node_id, leader.cluster_id)
        elif seen.known_lost:
            if node.role == "manager":
                noted.enter_context(chief.short_log())
            place = _join(settings, node, to_node, chief, leader, say)
        else:
            raise Refused(
                f"joining {node.name}",
                f"{seen.reach}: {seen.detail}",
                remedy="check its Docker engine on the node: systemctl status docker",
                node=node.name,
                code="engine-silent",
            )
        _shape(settings, chief, node, to_node, place.node_id, dropped_labels, leader, say)
        _await_ready(settings, chief, node, place.node_id, say)
        if node.role == "manager":
            chief.usual_log()
        _drop_stale(settings, chief, node, place.node_id)
    return place


def _asked(shell: Shell) -> NodeReport:
    """The report of a node. An engine whose swarm has just changed may search for its old leader before it answers."""
    seen = ask(shell)
    return seen if seen.reach is Reach.ANSWERS else ask(shell, seconds=ENGINE_SECONDS)


def _leader(settings: Settings, doing: str) -> NodeReport:
    leader = stable_survey(Cluster(settings), nodes=settings.managers).leader
    if leader is None:
        raise Refused(
            doing,
            "no manager with a leader answers",
            remedy="find out which managers are down: requorum status",
            code="no-leader",
        )
    return leader


def _require_ours(seen: NodeReport, leader: NodeReport) -> None:
    doing, name = f"joining {seen.node.name}", seen.node.name
    if seen.cluster_id != leader.cluster_id:
        raise Refused(
            doing,
            f"it belongs to swarm {seen.cluster_id}, and this cluster is swarm {leader.cluster_id}",
            remedy=f"if {name} may leave that swarm, run on it: docker swarm leave --force; {AGAIN}",
            node=name,
            code="foreign-swarm",
        )
    if seen.node_id not in {member.node_id for member in leader.members}:
        raise Refused(
            doing,
            "the swarm removed this node, and its engine does not know that",
            remedy=f"run on {name}: docker swarm leave --force; {AGAIN}",
            node=name,
            code="foreign-swarm",
        )


def _join(
    settings: Settings, node: Node, shell: Shell, chief: Engine, leader: NodeReport, say: Callable[[str], None]
) -> JoinResult:
    engine = Engine(shell)
    _demote_stale(settings, chief, node, leader.members)
    identity = _restore_identity(settings, node, shell, engine, leader) if node.role == "manager" else None
    if identity:
        # With its certificate saying manager and its entry worker, it would first turn into one and then the other.
        chief.update_member(identity, role="manager")
    say(f"{node.name} joins as a {node.role}" + (" under its own identity" if identity else ""))
    engine.join([leader.node], chief.join_token(node.role))
    node_id = _joined(engine, node)
    if identity and node_id != identity:
        raise ProofFailed(
            f"rejoining {node.name}",
            f"it came back with node ID {node_id}, not {identity}",
            remedy="compare the nodes with the stack file: requorum status",
            node=node.name,
            code="proof-failed",
        )
    return JoinResult(node_id, leader.cluster_id)


def _joined(engine: Engine, node: Node) -> str:
    """Wait for the node ID of an engine that joins. Raises: ProofFailed after `votes.SECONDS`."""
    end = monotonic() + votes.SECONDS
    while not (node_id := str(engine.info()["Swarm"].get("NodeID") or "")):
        if monotonic() > end:
            raise ProofFailed(
                f"joining {node.name}",
                f"the swarm gave it no node ID within {votes.SECONDS:.0f} s",
                remedy=f"look at the swarm (requorum status), {AGAIN}",
                node=node.name,
                code="swarm-timeout",
            )
        sleep(PAUSE)
    return node_id


def _restore_identity(settings: Settings, node: Node, shell: Shell, engine: Engine, leader: NodeReport) -> str | None:
    """Put the manager's certificates back if it has a good copy; its node ID, or None if it has none.

    Its identity is the one that the swarm lists at its address, or the one in its copy that no machine uses now. The entry
    of that identity must have no vote: otherwise the swarm would give the old raft ID to an empty log (moby#29180).
    """
    ours = {m.node_id for m in leader.members if m.stands_at(node) or is_forsaken(m, settings.nodes)}
    catalog = Catalog(settings)
    cas = frozenset({leader.ca_sha256} - {""})
    escrow = Escrow(settings, catalog.store)
    with newest_good(catalog, escrow, [node.name], leader.cluster_id, cas, whole=False) as found:
        if found.choice is None or found.archive is None or found.choice.manifest.node_id not in ours:
            return None
        manifest = found.choice.manifest
        swarm_directory.place(shell, engine, found.archive, manifest, swarm_directory.CERTIFICATES, key=found.key)
        return manifest.node_id


def _shape(
    settings: Settings,
    chief: Engine,
    node: Node,
    here: Shell,
    node_id: str,
    dropped: tuple[str, ...],
    leader: NodeReport,
    say: Callable[[str], None],
) -> None:
    """Give the node's entry the role, availability and labels of the settings, and inherit the rest from its old entry.

    A worker with a vote is a stand-in for a manager. It is demoted once every manager of the settings votes again.
    """
    wanted: str | None = node.role
    entry = chief.member(node_id)
    if entry and entry.votes and node.role == "worker":
        if absent := votes.not_voting(settings, chief.members()):
            say(f"{node.name} stays a manager until {', '.join(absent)} can vote again")
            wanted = None
        else:
            take_one(Catalog(settings), settings, leader.node)
            say(f"demoting {node.name}, a stand-in for a manager")
            votes.demote(chief, entry, here)
    before = stale(leader.members, node, node_id, settings.nodes)
    inherited = {key: value for old in before for key, value in old.labels.items() if key not in dropped}
    availability: str | None = node.availability or next((old.availability for old in before), None)
    labels = {**inherited, **node.labels}
    chief.update_member(node_id, role=wanted, availability=availability, labels=labels, without=dropped)


def _await_ready(settings: Settings, chief: Engine, node: Node, node_id: str, say: Callable[[str], None]) -> None:
    def stands(entry: Member) -> bool:
        return entry.ready and (entry.reachable or node.role == "worker")

    doing, otherwise = f"joining {node.name}", "it is not Ready"
    if node.role == "manager":
        try:
            votes.await_entry(chief, node_id, stands, doing, otherwise, seconds=READY_SECONDS)
        except ProofFailed:
            rouse(settings, [node], say=say)
    votes.await_entry(chief, node_id, stands, doing, otherwise)


def _demote_stale(settings: Settings, chief: Engine, node: Node, members: tuple[Member, ...]) -> None:
    for entry in stale(members, node, None, settings.nodes):
        if entry.votes:
            votes.demote(chief, entry)


def _drop_stale(settings: Settings, chief: Engine, node: Node, node_id: str) -> None:
    for entry in stale(chief.members(), node, node_id, settings.nodes):
        chief.remove_member(entry.node_id)
