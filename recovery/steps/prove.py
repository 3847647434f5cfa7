"""Proof that a swarm is what it must be; success is said only after it."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from time import monotonic, sleep

from recovery.errors import ProofFailed, RequorumError, TransportError
from recovery.node.engine import Engine
from recovery.node.ssh import Shell
from recovery.planning import checks
from recovery.planning.checks import Before, Check, Result
from recovery.settings import Settings
from recovery.steps import votes
from recovery.steps.gossip import reopen
from recovery.survey.nodes import stable_survey
from recovery.survey.workload import await_gossip, inventory_of, node_workloads, running_workload
from recovery.swarm.machines import Node
from recovery.swarm.model import Inventory, Member, NodeReport, NodeWorkload, Reach, Service, Survey, Workload

PAUSE = 0.2
STANDS = {"manager": "Ready, Reachable, one entry", "worker": "Ready, one entry"}


@dataclass(frozen=True)
class Health:
    """A proven cluster: its ID, and who leads."""

    cluster_id: str
    leader: str
    checks: tuple[Check, ...] = ()
    """What was looked at, and what it came to; none of them failed."""


def compare(cluster_id: str, expected: Inventory, found_id: str, found: Inventory, *, node: str) -> None:
    """Whether a restored swarm is the copied one. Raises: ProofFailed with what differs."""
    doing = "comparing the restored swarm with its copy"
    remedy = "the swarm made here was left again; run: requorum verify, then try again or take another copy"
    if found_id != cluster_id:
        raise ProofFailed(doing, f"its ID is {found_id}, the copy's is {cluster_id}", remedy=remedy, node=node)
    if missing := expected.missing_from(found):
        shown = "; ".join(f"{kind}: {', '.join(ids)}" for kind, ids in missing.items())
        raise ProofFailed(doing, f"missing {shown}", remedy=remedy, node=node)
    if found.index < expected.index:
        why = f"its newest change is number {found.index}, the copy's was {expected.index}"
        raise ProofFailed(doing, why, remedy=remedy, node=node)


def prove(settings: Settings, cluster_id: str, *, before: Before | None = None, say: Callable[[str], None]) -> Health:
    """Wait until every node of the settings stands in the swarm under one entry, Ready, managers Reachable.

    Nodes that are silent are left out, and said so: nothing was done to them. What a join that was broken off left
    behind is brought in order. Then gossip, containers, addresses,
    tasks and names are looked at; ``before`` is what a recovery began from, None where none is under way.

    Raises: ProofFailed with what is still missing after `votes.SECONDS`; HostError, TransportError, EngineError, and as
    `gossip.reopen`.
    """
    seen = stable_survey(settings)
    leader = _leader(seen)
    silent = [r.node for r in seen.reports if not r.in_swarm and (r.reach is Reach.NAMED or not r.known_lost)]
    for node in silent:
        say(f"{node.name} is left out of the proof: it does not answer")
    proven = [node for node in settings.nodes if node not in silent]
    members = _standing(settings, leader, cluster_id, proven)
    if before and reopen(settings, proven, say=say):
        leader = _leader(stable_survey(settings, nodes=settings.managers))
        members = _standing(settings, leader, cluster_id, proven)
    found = gather(settings, leader.node, members, proven, before)
    for check in found:
        if check.result is Result.WARNING:
            say(check.text)
    if failed := [check.text for check in found if check.result is Result.FAILED]:
        raise ProofFailed(
            "proving the cluster", "; ".join(failed), remedy="mend what is named; then run the same command again"
        )
    chief = next(member.hostname for member in members if member.leader)
    stands = (
        Check("cluster ID", "swarm", Result.OK, cluster_id),
        *(Check("membership", node.name, Result.OK, STANDS[node.role]) for node in proven),
        *(Check("membership", node.name, Result.UNCHECKED, "it does not answer") for node in silent),
    )
    return Health(cluster_id, chief, (*stands, *found))


def faults(members: tuple[Member, ...], nodes: Sequence[Node]) -> tuple[str, ...]:
    """What keeps a node list from holding each of the nodes as it should."""
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
        raise ProofFailed("proving the cluster", "no manager answers with a leader", remedy="requorum status")
    return seen.leader


def _standing(settings: Settings, leader: NodeReport, cluster_id: str, nodes: Sequence[Node]) -> tuple[Member, ...]:
    """The node list, once it holds each of the nodes as it should, in the swarm that it should be. Raises: as `prove`."""
    with Shell(leader.node, settings.ssh) as shell:
        engine = Engine(shell)
        members, wrong = _settled(engine.members, nodes)
        if not wrong:
            engine.usual_log()
    if leader.cluster_id != cluster_id:
        wrong = (f"the swarm is {leader.cluster_id}, not {cluster_id}", *wrong)
    if wrong:
        raise ProofFailed(
            "proving the cluster", "; ".join(wrong), remedy="requorum status; then run the same command again"
        )
    return members


def _settled(
    read: Callable[[], tuple[Member, ...]], nodes: Sequence[Node]
) -> tuple[tuple[Member, ...], tuple[str, ...]]:
    end = monotonic() + votes.SECONDS
    while True:
        try:
            members = read()
            wrong = faults(members, nodes)
        except RequorumError as error:
            members, wrong = (), (error.why,)
        if not wrong or monotonic() > end:
            return members, wrong
        sleep(PAUSE)


def gather(
    settings: Settings,
    leader: Node,
    members: Sequence[Member],
    nodes: Sequence[Node],
    before: Before | None,
) -> tuple[Check, ...]:
    """Every check beside membership, of ``nodes``. Tasks that must run are waited for, at most `votes.SECONDS`.

    Raises: TransportError, EngineError of the leader.
    """
    ready = {member.node_id for member in members if member.ready}

    def runs(workload: Workload) -> bool:
        return not any(check.result is Result.FAILED for check in checks.tasks(workload, ready, before))

    with ThreadPoolExecutor(max_workers=2) as pool:
        asked = pool.submit(running_workload, settings, leader, runs, seconds=votes.SECONDS)
        held = pool.submit(inventory_of, settings, leader) if before and before.inventory else None
        looks = node_workloads(settings, nodes)
        named = _name(settings, nodes, looks, asked.result().services)
    workload = replace(asked.result(), inventory=held.result() if held else None)
    # Where containers were replaced, the new ones may have come up while their tasks were waited for.
    looks |= node_workloads(settings, [node for node in nodes if before and checks.differs(node, looks, before)])
    looks = await_gossip(settings, nodes, looks)
    return (*checks.judge(nodes, looks, workload, ready, before), *named)


def _name(
    settings: Settings, nodes: Sequence[Node], looks: Mapping[str, NodeWorkload], services: Sequence[Service]
) -> tuple[Check, ...]:
    """Look one service's name up, in a container of that service, on a worker."""
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
        with Shell(node, settings.ssh) as shell:
            told = shell.run(["docker", "exec", container, "nslookup", name], seconds=15, check=False)
    except TransportError as error:
        return (Check("names", name, Result.UNCHECKED, error.why),)
    return (checks.resolves(name, container, told.status, told.stdout.decode(errors="replace") + told.stderr),)
