"""Proof that a swarm is what it must be. Requorum reports success only after it."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from recovery.cluster import Cluster
from recovery.errors import ProofFailed, RequorumError, TransportError
from recovery.node.engine import Engine
from recovery.planning import checks
from recovery.planning.checks import Before, Check, Result
from recovery.steps import votes
from recovery.steps.gossip import READY_SECONDS, reopen, rouse
from recovery.survey.nodes import stable_survey
from recovery.survey.workload import await_gossip, inventory_of, node_workloads, running_workload
from recovery.swarm.machines import Node
from recovery.swarm.model import Member, NodeReport, NodeWorkload, Reach, Service, Survey, Workload
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

    Silent nodes are not proven, and ``say`` reports them. What an interrupted join left behind is repaired. The engine of a
    manager that votes and does not report is restarted. Then gossip, containers, addresses, tasks and names are checked.
    ``before`` is the state that a recovery started from; None if there is no recovery.

    Raises: ProofFailed with what is still missing after `gossip.READY_SECONDS` and then `votes.SECONDS`; HostError,
    TransportError, EngineError, and as `gossip.reopen`.
    """
    seen = stable_survey(cluster)
    leader = _leader(seen)
    silent = [r.node for r in seen.reports if not r.in_swarm and (r.reach is Reach.NAMED or not r.known_lost)]
    for node in silent:
        say(f"{node.name} is not part of the proof: it does not answer")
    proven = [node for node in cluster.settings.nodes if node not in silent]
    members = _standing(cluster, leader, cluster_id, proven, say)
    if before and reopen(cluster, proven, say=say):
        leader = _leader(stable_survey(cluster, nodes=cluster.settings.managers))
        members = _standing(cluster, leader, cluster_id, proven, say)
    found = gather(cluster, leader.node, members, proven, before)
    for check in found:
        if check.result is Result.WARNING:
            say(check.text)
    if failed := [check.text for check in found if check.result is Result.FAILED]:
        raise ProofFailed(
            "proving the cluster",
            "; ".join(failed),
            remedy="repair what failed, then run the same command again",
            code="proof-failed",
        )
    chief = next(member.hostname for member in members if member.leader)
    stands = (
        Check("cluster ID", "swarm", Result.OK, cluster_id),
        *(Check("membership", node.name, Result.OK, STANDS[node.role]) for node in proven),
        *(Check("membership", node.name, Result.UNCHECKED, "it does not answer") for node in silent),
    )
    return Health(cluster_id, chief, (*stands, *found))


def faults(members: tuple[Member, ...], nodes: Sequence[Node]) -> tuple[str, ...]:
    """Which of the nodes a node list lacks, lists twice, or shows as not Ready or not Reachable."""
    found: list[str] = []
    for node in nodes:
        entries = [member for member in members if member.stands_at(node)]
        ready = [member for member in entries if member.ready]
        if not ready:
            found.append(f"{node.name} is not Ready")
        elif len(entries) > 1:
            found.append(f"{node.name} has {len(entries)} entries")
        elif node.role == "manager" and not ready[0].reachable:
            found.append(f"{node.name} is not Reachable as a manager")
    return tuple(found)


def _leader(seen: Survey) -> NodeReport:
    if seen.leader is None:
        raise ProofFailed(
            "proving the cluster",
            "no manager with a leader answers",
            remedy="find out which managers are down: requorum status",
            code="no-leader",
        )
    return seen.leader


def _standing(
    cluster: Cluster, leader: NodeReport, cluster_id: str, nodes: Sequence[Node], say: Callable[[str], None]
) -> tuple[Member, ...]:
    """The swarm's node list, once it has no `faults` and the swarm has the right ID. Raises: as `prove`."""
    with cluster.shell(leader.node) as shell:
        engine = Engine(shell)
        members, wrong = _settled(engine.members, nodes, READY_SECONDS)
        if wrong:
            rouse(cluster, nodes, say=say)
            members, wrong = _settled(engine.members, nodes, votes.SECONDS)
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
    read: Callable[[], tuple[Member, ...]], nodes: Sequence[Node], seconds: float
) -> tuple[tuple[Member, ...], tuple[str, ...]]:
    """The node list, and its faults, once it has none or after ``seconds``."""

    def look() -> tuple[tuple[Member, ...], tuple[str, ...]]:
        try:
            members = read()
        except RequorumError as error:
            return (), (error.why,)
        return members, faults(members, nodes)

    return until(look, seconds, holds=lambda last: not last[1], pause=PAUSE)


def gather(
    cluster: Cluster,
    leader: Node,
    members: Sequence[Member],
    nodes: Sequence[Node],
    before: Before | None,
) -> tuple[Check, ...]:
    """Every check of ``nodes`` except membership. Tasks that must run have at most `votes.SECONDS` to start.

    Raises: TransportError, EngineError of the leader.
    """
    ready = {member.node_id for member in members if member.ready}

    def runs(workload: Workload) -> bool:
        return not any(check.result is Result.FAILED for check in checks.tasks(workload, ready, before))

    with ThreadPoolExecutor(max_workers=2) as pool:
        asked = pool.submit(running_workload, cluster, leader, runs, seconds=votes.SECONDS)
        held = pool.submit(inventory_of, cluster, leader) if before and before.inventory else None
        looks = node_workloads(cluster, nodes)
        named = _name(cluster, nodes, looks, asked.result().services)
    workload = replace(asked.result(), inventory=held.result() if held else None)
    # If containers were replaced, the new ones may have started while this waited for their tasks.
    looks |= node_workloads(cluster, [node for node in nodes if before and checks.differs(node, looks, before)])
    looks = await_gossip(cluster, nodes, looks)
    return (*checks.judge(nodes, looks, workload, ready, before), *named)


def _name(
    cluster: Cluster, nodes: Sequence[Node], looks: Mapping[str, NodeWorkload], services: Sequence[Service]
) -> tuple[Check, ...]:
    """Resolve the name of one service in a container of that service, on a worker."""
    known = {service.name for service in services if service.networks}
    found = (
        (node, container, service)
        for node in nodes
        if node.name in looks
        for container, service in looks[node.name].containers.items()
        if service in known
    )
    chosen = next(found, None)
    if chosen is None:
        return ()
    node, container, name = chosen
    try:
        with cluster.shell(node) as shell:
            told = shell.run(["docker", "exec", container, "nslookup", name], seconds=15, check=False)
    except TransportError as error:
        return (Check("names", name, Result.UNCHECKED, error.why),)
    return (checks.resolves(name, container, told.status, told.stdout.decode(errors="replace") + told.stderr),)
