"""Proof that a swarm is what it must be; success is said only after it."""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, sleep

from recovery.engine import Engine
from recovery.errors import ProofFailed, RequorumError
from recovery.model import Inventory, Member
from recovery.settings import Settings
from recovery.survey import settled
from recovery.transport import Shell

SECONDS = 30.0
"""How long nodes may take to report Ready: node state is heard every 5 s, up to three times late."""
PAUSE = 0.2


@dataclass(frozen=True)
class Health:
    """A proven cluster: its ID, who leads, and every node."""

    cluster_id: str
    leader: str
    members: tuple[Member, ...]


def compare(cluster_id: str, expected: Inventory, found_id: str, found: Inventory, *, node: str) -> None:
    """Whether a restored swarm is the copied one. Raises: ProofFailed with what differs."""
    doing = "comparing the restored swarm with its copy"
    remedy = "the swarm made here was left again; run: requorum verify, then try again or take another copy"
    if found_id != cluster_id:
        raise ProofFailed(doing, f"its ID is {found_id}, the copy's is {cluster_id}", remedy=remedy, node=node)
    if missing := expected.missing_from(found):
        shown = "; ".join(f"{kind}: {', '.join(ids)}" for kind, ids in missing.items())
        raise ProofFailed(doing, f"missing {shown}", remedy=remedy, node=node)


def prove(settings: Settings, cluster_id: str, *, seconds: float = SECONDS) -> Health:
    """Wait until every node of the settings stands in the swarm, Ready, managers Reachable, and nothing stale beside them.

    Raises: ProofFailed with what is still missing after ``seconds``; Refused, StoreError.
    """
    leader = settled(settings, nodes=settings.managers).leader
    if leader is None:
        raise ProofFailed("proving the cluster", "no manager answers with a leader", remedy="requorum status")
    with Shell(leader.node, settings.ssh) as shell:
        engine = Engine(shell)
        members, faults = _settled(engine.members, settings, seconds)
    if leader.cluster_id != cluster_id:
        faults = (f"the swarm is {leader.cluster_id}, not {cluster_id}", *faults)
    if faults:
        raise ProofFailed(
            "proving the cluster", "; ".join(faults), remedy="requorum status; then run the same command again"
        )
    chief = next(member.hostname for member in members if member.leader)
    return Health(cluster_id, chief, members)


def faults(members: tuple[Member, ...], settings: Settings) -> tuple[str, ...]:
    """What keeps a node list from being the one that the settings describe."""
    found: list[str] = []
    for node in settings.nodes:
        entries = [member for member in members if member.stands_at(node)]
        ready = [member for member in entries if member.ready]
        if not ready:
            found.append(f"{node.name} is not Ready")
        elif len(entries) > 1:
            found.append(f"{node.name} has {len(entries)} entries")
        elif node.role == "manager" and not ready[0].reachable:
            found.append(f"{node.name} is not Reachable as a manager")
    return tuple(found)


def _settled(
    read: Callable[[], tuple[Member, ...]], settings: Settings, seconds: float
) -> tuple[tuple[Member, ...], tuple[str, ...]]:
    end = monotonic() + seconds
    while True:
        try:
            members = read()
            wrong = faults(members, settings)
        except RequorumError as error:
            members, wrong = (), (error.why,)
        if not wrong or monotonic() > end:
            return members, wrong
        sleep(PAUSE)
