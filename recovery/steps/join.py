"""Carries out JOIN: brings a node into the swarm, under its own identity if possible, and settles its entry.

Membership changes one at a time, and only if the quorum survives the change. Requorum fetches a join token when it needs
one, and stores it nowhere.
"""

from contextlib import ExitStack, nullcontext

from recovery.copies.choice import newest_good
from recovery.errors import ProofFailed
from recovery.node.engine import Engine
from recovery.planning.entries import is_forsaken, stale
from recovery.planning.steps import Step
from recovery.planning.votes import replaces
from recovery.steps import lending, swarm_directory, votes
from recovery.steps.gossip import READY_SECONDS, rouse
from recovery.steps.run import Run
from recovery.swarm.drained import NOTE, noted
from recovery.swarm.entries import Member, entries_of
from recovery.swarm.machines import Node
from recovery.swarm.maintenance import DRAINED, Maintenance
from recovery.swarm.model import NodeReport
from recovery.swarm.votes import given_up
from recovery.waiting import until

PAUSE = 0.1


def join_swarm(run: Run, step: Step) -> None:
    """Make the node a member, or finish its return; then `settle` its entry.

    While a manager gets its vote, the raft log is short (docs/decisions/022-a-short-log-before-a-join.md).
    Raises: ProofFailed if the node does not become Ready; TransportError, EngineError, StoreError.
    """
    node = run.settings.node(step.node)
    report, leader = run.survey.of(node.name), run.leader(besides=node.name)
    engine = Engine(run.shell(leader.node))
    with ExitStack() as short_log:
        entry = next((member for member in leader.members if member.node_id == report.node_id), None)
        misplaced = entry is not None and entry.is_misplaced(node, report.advertised)
        if node.role == "manager" and not (report.in_swarm and entry and entry.votes and not misplaced):
            votes.make_room(engine, run.survey)
            short_log.enter_context(engine.short_log())
        node_id = report.node_id if report.in_swarm else _join(run, node, engine, leader)
        settle(run, node, node_id, leader)
    run.joined[node.name] = node_id


def settle(run: Run, node: Node, node_id: str, leader: NodeReport) -> None:
    """Give the node's entry the role, availability and labels of the settings. Remove its old entries when it is Ready.

    Raises: ProofFailed if the node does not become Ready; TransportError, EngineError.
    """
    engine = Engine(run.shell(leader.node))
    _shape(run, engine, node, node_id, leader)
    _await_ready(run, engine, node, node_id)
    if node.role == "manager":
        engine.usual_log()
    for entry in stale(engine.members(), node, node_id, run.settings.nodes, run.survey.told):
        engine.remove_member(entry.node_id)


def _join(run: Run, node: Node, leader_engine: Engine, leader: NodeReport) -> str:
    """Let the node's engine join. Returns its node ID."""
    engine = Engine(run.shell(node))
    for entry in stale(leader.members, node, None, run.settings.nodes, run.survey.told):
        if entry.votes:
            votes.demote(leader_engine, entry)
    for entry in given_up(leader.members, run.survey):
        if replaces(node, entry) and (now := leader_engine.member(entry.node_id)):
            if now.votes:
                votes.demote(leader_engine, now)
            leader_engine.remove_member(now.node_id)
    identity = _restore_identity(run, node, engine, leader) if node.role == "manager" else None
    if identity:
        # If its certificate said manager and its entry worker, its engine would become first a manager, then a worker.
        leader_engine.update_member(identity, role="manager")
    run.say(f"{node.name} joins as a {node.role}" + (" under its own identity" if identity else ""))
    engine.join([leader.node], leader_engine.join_token(node.role))
    node_id = _joined(engine, node)
    if identity and node_id != identity:
        raise ProofFailed(
            f"rejoining {node.name}",
            f"its node ID is now {node_id}, not {identity}",
            remedy="compare the nodes with the stack file: requorum status",
            node=node.name,
            code="proof-failed",
        )
    return node_id


def _joined(engine: Engine, node: Node) -> str:
    """Wait until an engine that joins has a node ID. Raises: ProofFailed after `votes.SECONDS`."""

    def failure(_: str) -> ProofFailed:
        why = f"the swarm gave it no node ID within {votes.SECONDS:.0f} s"
        remedy = "look at the swarm (requorum status), then run the same command again"
        return ProofFailed(f"joining {node.name}", why, remedy=remedy, node=node.name, code="swarm-timeout")

    def node_id() -> str:
        return str(engine.info()["Swarm"].get("NodeID") or "")

    return until(node_id, votes.SECONDS, pause=PAUSE, otherwise=failure)


def _restore_identity(run: Run, node: Node, engine: Engine, leader: NodeReport) -> str | None:
    """Put the manager's certificates back if it has a good copy. Returns its old node ID, or None without a good copy.

    The old identity must be listed at the manager's address, or no machine may use it now. Its entry must have no vote.
    Otherwise the swarm would give the old raft ID to an empty log (moby#29180).
    """
    forsaken = {m.node_id for m in leader.members if is_forsaken(m, run.settings.nodes)}
    identities = forsaken | {m.node_id for m in entries_of(node, leader.members, run.survey.told)}
    cas = frozenset({leader.ca_sha256} - {""})
    catalog = run.cluster.catalog()  # this run may have taken a safety copy of the node
    with newest_good(catalog, run.cluster.escrow, [node.name], leader.cluster_id, cas, whole=False) as search:
        if search.choice is None or search.archive is None or search.choice.manifest.node_id not in identities:
            return None
        manifest, shell = search.choice.manifest, run.shell(node)
        swarm_directory.place(shell, engine, search.archive, manifest, swarm_directory.CERTIFICATES, key=search.key)
        return manifest.node_id


def _shape(run: Run, engine: Engine, node: Node, node_id: str, leader: NodeReport) -> None:
    """Give the node's entry the values of the settings, and let it inherit the rest from its old entry.

    In maintenance, it keeps its availability.

    A worker with a vote is a stand-in for a manager. It stays a stand-in until DEMOTE.
    """
    role: str | None = node.role
    entry = engine.member(node_id)
    if entry and entry.votes and node.role == "worker":
        if absent := votes.not_voting(run.settings, engine.members(), run.survey.told):
            run.say(f"{node.name} stays a manager until {', '.join(absent)} can vote again")
        role = None
    before = stale(leader.members, node, node_id, run.settings.nodes, run.survey.told)
    without = (*run.dropped_labels, NOTE)
    inherited = {key: value for old in before for key, value in old.labels.items() if key not in without}
    earlier = (noted(old) or old.availability for old in before)
    availability: str | None = node.availability or noted(entry) or next(earlier, None)
    if Maintenance.of(entry):
        availability = None
    elif any(Maintenance.of(old) for old in before):
        availability = DRAINED
    labels = {**inherited, **node.labels}
    was_there = entry and entry.node_id in {one.node_id for one in leader.members}
    with (
        lending.moving(engine, entry, say=run.say) if entry and was_there and availability == DRAINED else nullcontext()
    ):
        engine.update_member(node_id, role=role, availability=availability, labels=labels, without=without)


def _await_ready(run: Run, engine: Engine, node: Node, node_id: str) -> None:
    def stands(entry: Member) -> bool:
        reachable = entry.reachable and not entry.is_misplaced(node, run.survey.of(node.name).advertised)
        return entry.ready and (reachable or node.role == "worker")

    doing, otherwise = f"joining {node.name}", "it is not Ready"
    if node.role == "manager":
        try:
            votes.await_entry(engine, node_id, stands, doing, otherwise, seconds=READY_SECONDS)
        except ProofFailed:
            rouse(run.cluster, [node], say=run.say)
    votes.await_entry(engine, node_id, stands, doing, otherwise)
