"""Proof that a swarm is as the settings describe it. Requorum reports success only after the proof."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from recovery.cluster import Cluster
from recovery.errors import ProofFailed, RequorumError, TransportError
from recovery.node.engine import Engine
from recovery.planning import checks
from recovery.planning.checks import Before, Check, Result
from recovery.planning.entries import stale
from recovery.steps import votes
from recovery.steps.gossip import READY_SECONDS, reopen, rouse
from recovery.survey.nodes import stable_survey
from recovery.survey.workload import await_gossip, inventory_of, node_workloads, running_workload
from recovery.swarm.client import DOCKER
from recovery.swarm.entries import NOBODY, Member, Told, entries_of, of_nobody
from recovery.swarm.machines import Node
from recovery.swarm.model import NodeReport, Reach, Survey
from recovery.swarm.workload import NodeWorkload, Service, Workload
from recovery.waiting import until

PAUSE = 0.2
STANDS = {"manager": "Ready, Reachable, one entry", "worker": "Ready, one entry"}


@dataclass(frozen=True)
class Health:
    """A proven cluster: its ID, and its leader."""

    cluster_id: str
    leader: str
    checks: tuple[Check, ...] = ()
    """The checks of the proof; none of them failed."""


def prove(cluster: Cluster, cluster_id: str, *, before: Before | None = None, say: Callable[[str], None]) -> Health:
    """Wait until every node of the settings is Ready in the swarm under one entry, and managers are Reachable.

    The proof leaves silent nodes out, and ``say`` reports them. It restores the usual log length after an interrupted join.
    It restarts the engine of a manager that votes and is not Ready. Then it checks gossip, containers, addresses, tasks and
    names. ``before`` is the state before a recovery; None if there is no recovery.

    Raises: ProofFailed with everything that is still missing after `gossip.READY_SECONDS` and then `votes.SECONDS`;
    HostError, TransportError, EngineError, and as `gossip.reopen`.
    """
    survey = stable_survey(cluster)
    leader = _leader(survey)
    silent = [r.node for r in survey.reports if not r.in_swarm and (r.reach is Reach.NAMED or not r.known_lost)]
    for node in silent:
        say(f"{node.name} is not part of the proof, because it does not answer")
    nodes = [node for node in cluster.settings.nodes if node not in silent]
    members = _standing(cluster, leader, cluster_id, nodes, survey.told, say)
    if before and reopen(cluster, nodes, say=say):
        leader = _leader(stable_survey(cluster, nodes=cluster.settings.managers))
        members = _standing(cluster, leader, cluster_id, nodes, survey.told, say)
    results = gather(cluster, leader.node, members, nodes, before)
    for check in results:
        if check.result is Result.WARNING:
            say(check.text)
    if failures := [check.text for check in results if check.result is Result.FAILED]:
        raise ProofFailed(
            "proving the cluster",
            "; ".join(failures),
            remedy="repair what failed, then run the same command again",
            code="proof-failed",
        )
    leader_name = next(member.hostname for member in members if member.leader)
    membership = (
        Check("cluster ID", "swarm", Result.OK, cluster_id),
        *(Check("membership", node.name, Result.OK, STANDS[node.role]) for node in nodes),
        *(Check("membership", node.name, Result.UNCHECKED, "it does not answer") for node in silent),
        *checks.not_named(of_nobody(cluster.settings.nodes, members, survey.told)),
    )
    return Health(cluster_id, leader_name, (*membership, *results))


def faults(members: tuple[Member, ...], nodes: Sequence[Node], told: Told = NOBODY) -> tuple[str, ...]:
    """Which of the nodes a node list lacks, lists twice, or shows as not Ready or not Reachable."""
    reasons: list[str] = []
    for node in nodes:
        entries = entries_of(node, members, told)
        ready = [member for member in entries if member.ready]
        if not ready:
            reasons.append(f"{node.name} is not Ready")
        elif old := [one for one in stale(members, node, ready[0].node_id, nodes, told) if one.stands_at(node)]:
            reasons.append(f"{node.name} has {1 + len(old)} entries")
        elif node.role == "manager" and not ready[0].reachable:
            reasons.append(f"{node.name} is not Reachable as a manager")
    return tuple(reasons)


def _leader(survey: Survey) -> NodeReport:
    if survey.leader is None:
        raise ProofFailed(
            "proving the cluster",
            "no manager with a leader answers",
            remedy="find out which managers are down: requorum status",
            code="no-leader",
        )
    return survey.leader


def _standing(
    cluster: Cluster,
    leader: NodeReport,
    cluster_id: str,
    nodes: Sequence[Node],
    told: Told,
    say: Callable[[str], None],
) -> tuple[Member, ...]:
    """The swarm's node list, when it has no `faults` and the swarm has the right ID. Raises: as `prove`."""
    with cluster.shell(leader.node) as shell:
        engine = Engine(shell)
        members, wrong = _settled(engine.members, nodes, told, READY_SECONDS)
        if wrong:
            rouse(cluster, nodes, say=say)
            members, wrong = _settled(engine.members, nodes, told, votes.SECONDS)
        if not wrong:
            engine.usual_log()
    if leader.cluster_id != cluster_id:
        wrong = (f"the swarm is {leader.cluster_id}, not {cluster_id}", *wrong)
    if wrong:
        raise ProofFailed(
            "proving the cluster",
            "; ".join(wrong),
            remedy="find out why (requorum doctor), then run the same command again",
            code="proof-failed",
        )
    return members


def _settled(
    read: Callable[[], tuple[Member, ...]], nodes: Sequence[Node], told: Told, seconds: float
) -> tuple[tuple[Member, ...], tuple[str, ...]]:
    """The node list, and its faults, once it has none or after ``seconds``."""

    def look() -> tuple[tuple[Member, ...], tuple[str, ...]]:
        try:
            members = read()
        except RequorumError as error:
            return (), (error.why,)
        return members, faults(members, nodes, told)

    return until(look, seconds, holds=lambda last: not last[1], pause=PAUSE)


def gather(
    cluster: Cluster,
    leader: Node,
    members: Sequence[Member],
    nodes: Sequence[Node],
    before: Before | None,
) -> tuple[Check, ...]:
    """Every check of ``nodes`` except membership. Required tasks have at most `votes.SECONDS` to start.

    Raises: TransportError, EngineError of the leader.
    """
    ready = {member.node_id for member in members if member.ready}

    def runs(workload: Workload) -> bool:
        return not any(check.result is Result.FAILED for check in checks.tasks(workload, ready, before))

    with ThreadPoolExecutor(max_workers=2) as pool:
        work = pool.submit(running_workload, cluster, leader, runs, seconds=votes.SECONDS)
        inventory = pool.submit(inventory_of, cluster, leader) if before and before.inventory else None
        looks = node_workloads(cluster, nodes)
        names = _name(cluster, nodes, looks, work.result().services)
    workload = replace(work.result(), inventory=inventory.result() if inventory else None)
    # If the swarm replaced containers, the new ones may have started during the wait for their tasks.
    looks |= node_workloads(cluster, [node for node in nodes if before and checks.differs(node, looks, before)])
    looks = await_gossip(cluster, nodes, looks)
    return (*checks.judge(nodes, looks, workload, ready, before), *checks.spread(workload, members), *names)


def _name(
    cluster: Cluster, nodes: Sequence[Node], looks: Mapping[str, NodeWorkload], services: Sequence[Service]
) -> tuple[Check, ...]:
    """Resolve the name of one service in a container of that service, on a worker."""
    names = {service.name for service in services if service.networks}
    candidates = (
        (node, container, service)
        for node in nodes
        if node.name in looks
        for container, service in looks[node.name].containers.items()
        if service in names
    )
    choice = next(candidates, None)
    if choice is None:
        return ()
    node, container, name = choice
    try:
        with cluster.shell(node) as shell:
            answer = shell.run([*DOCKER, "exec", container, "nslookup", name], seconds=15, check=False)
    except TransportError as error:
        return (Check("names", name, Result.UNCHECKED, error.why),)
    return (checks.resolves(name, container, answer.status, answer.stdout.decode(errors="replace") + answer.stderr),)
