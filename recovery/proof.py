"""Proof that a swarm is what it must be; success is said only after it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic, sleep

from recovery import votes, witness
from recovery.engine import Engine
from recovery.errors import ProofFailed, RequorumError
from recovery.evidence import Before, Check, Result
from recovery.model import Inventory, Member, Reach, Report, Survey
from recovery.settings import Node, Settings
from recovery.survey import settled
from recovery.transport import Shell

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
    `witness.mend`.
    """
    seen = settled(settings)
    leader = _leader(seen)
    silent = [r.node for r in seen.reports if not r.in_swarm and (r.reach is Reach.NAMED or not r.known_lost)]
    for node in silent:
        say(f"{node.name} is left out of the proof: it does not answer")
    proven = [node for node in settings.nodes if node not in silent]
    members = _standing(settings, leader, cluster_id, proven)
    if before and witness.mend(settings, proven, say=say):
        leader = _leader(settled(settings, nodes=settings.managers))
        members = _standing(settings, leader, cluster_id, proven)
    found = witness.gather(settings, leader.node, members, proven, before)
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


def _leader(seen: Survey) -> Report:
    if seen.leader is None:
        raise ProofFailed("proving the cluster", "no manager answers with a leader", remedy="requorum status")
    return seen.leader


def _standing(settings: Settings, leader: Report, cluster_id: str, nodes: Sequence[Node]) -> tuple[Member, ...]:
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
