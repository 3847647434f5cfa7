"""One node's place in the swarm: joining, rejoining under its identity, changing, leaving.

Membership changes one at a time, and only where the quorum survives the change. Join
tokens are fetched when they are used and kept nowhere.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from time import monotonic, sleep

from recovery import autolock, backup, journal, operators, restore, votes, words
from recovery.catalog import Catalog, newest_good
from recovery.detour import detour
from recovery.engine import SECONDS as ENGINE_SECONDS
from recovery.engine import SWARM_PORT, Engine
from recovery.errors import ProofFailed, Refused, RequorumError, Silent, TransportError
from recovery.escrow import Escrow
from recovery.model import LocalState, Member, Reach, Report, Survey
from recovery.settings import Node, Role, Settings
from recovery.steps import Action
from recovery.survey import ask, settled
from recovery.transport import Shell

PAUSE = 0.1


class Standing(StrEnum):
    """What a node is to the swarm."""

    MEMBER = "member"
    LOCKED = "locked"
    LOST = "lost"
    """Known to be no member any more, or only of what was before a forced new cluster."""


@dataclass(frozen=True)
class Place:
    """A node's entry in the swarm."""

    node_id: str
    cluster_id: str


def ensure(
    settings: Settings, node: Node, *, dropped_labels: tuple[str, ...] = (), say: Callable[[str], None]
) -> Place:
    """Make the node a member with the wanted role, availability and labels. Safe to run again.

    Raises: Refused when the swarm has no leader, the node belongs to another one or somebody else is at it;
    ProofFailed when it does not become Ready; TransportError, EngineError, StoreError.
    """
    with operators.alone(settings, f"joining {node.name}", say=say):
        place = _ensure(settings, node, dropped_labels, say)
    words.forget(settings, node)
    return place


def is_orphan(seen: Report, leader: Report) -> bool:
    """Whether a manager of our swarm was left behind when a new cluster was forced.

    It has no vote, and either still its log, or has thrown it away on being told that it is no member, and
    waits, in the swarm, first not Ready and then Ready, for a vote that nobody gives it. Where the one that was
    forced led it before, it goes on listing nodes through that one for up to 20 s: that it is led says nothing.
    """
    if not seen.in_swarm or seen.cluster_id != leader.cluster_id:
        return False
    entry = next((member for member in leader.members if member.node_id == seen.node_id), None)
    return entry is not None and not entry.votes and (seen.raft or not entry.ready or entry.role == "manager")


def dismiss(settings: Settings, before: Survey, leader: Node, *, say: Callable[[str], None]) -> None:
    """Have the managers that a forced new cluster left behind leave their old one, side by side.

    ``before`` is from before ``leader`` was forced; a safety copy of each was taken since. An engine that looks for the
    leader of before lets nobody leave for up to 20 s, and every question about its swarm makes it look again: so they
    are not asked once more. One that does not leave stops no other: that is said, and it leaves when it is to join.

    Raises: TransportError when the leader does not answer.
    """
    with Shell(leader, settings.ssh) as shell:
        now = ask(shell, seconds=ENGINE_SECONDS)
    orphans = [seen.node for seen in before.managers if seen.raft and is_orphan(seen, now)]

    def one(node: Node) -> None:
        say(f"{node.name} is of before the forced new cluster: it leaves")
        try:
            with journal.step(settings, Action.LEAVE, node.name, say), Shell(node, settings.ssh) as shell:
                Engine(shell).leave()
        except RequorumError as error:
            say(f"{node.name} has not left, and is to when it rejoins: {error}")

    with ThreadPoolExecutor(max_workers=max(len(orphans), 1)) as pool:
        list(pool.map(one, orphans))


def standing(seen: Report, leader: Report | None) -> tuple[Standing, Role]:
    """How a node stands to the swarm that has that leader, and the role it has in it, as far as is known.

    A silent one is taken for the member that it was, in the role that it is given here.
    """
    role = seen.node.role
    if (seen.known_lost and seen.reach is not Reach.NAMED) or seen.left_over:
        return Standing.LOST, role
    if role == "manager" and leader is not None and is_orphan(seen, leader):
        return Standing.LOST, role
    return Standing.LOCKED if seen.state is LocalState.LOCKED else Standing.MEMBER, role_now(seen)


def role_now(seen: Report) -> Role:
    """The role that a report amounts to."""
    if seen.reach is not Reach.ANSWERS or seen.state is not LocalState.ACTIVE:
        return seen.node.role
    return "manager" if votes.manages(seen) else "worker"


def remove(settings: Settings, node: Node, node_id: str, *, say: Callable[[str], None]) -> None:
    """Take the node out of the swarm: demote, drain, leave, remove; a safety copy first when a manager goes for good.

    While the settings still name the node, the whole cluster is being destroyed: then a manager without
    which the quorum would not survive stays, and `quorum.dissolve`, which comes last, ends the swarm.

    Raises: Refused when only this node is to go and there is no leader, or would be none without it;
    StoreError; EngineError.
    """
    with operators.alone(settings, f"taking out {node.name}", say=say):
        _remove(settings, node, node_id, say)


def _ensure(settings: Settings, node: Node, dropped_labels: tuple[str, ...], say: Callable[[str], None]) -> Place:
    leader = _leader(settings, f"joining {node.name}")
    with Shell(leader.node, settings.ssh) as to_leader, Shell(node, settings.ssh) as to_node, ExitStack() as noted:
        chief = Engine(to_leader)
        seen = _asked(to_node)
        orphan = node.role == "manager" and is_orphan(seen, leader)
        if orphan or seen.known_lost or seen.left_over:
            noted.enter_context(journal.step(settings, Action.JOIN, node.name, say))
        elif seen.state is LocalState.LOCKED:
            noted.enter_context(journal.step(settings, Action.UNLOCK, node.name, say))
        if orphan:
            say(f"{node.name} is of before the forced new cluster: it leaves and rejoins")
            if seen.raft:
                backup.take_safety(settings, to_node)
            Engine(to_node).leave()
            seen = _asked(to_node)
        if seen.left_over:
            say(f"{node.name} is in no swarm and has an old log: it is kept aside")
            backup.take_safety(settings, to_node)
            restore.set_aside(to_node, Engine(to_node))
            seen = _asked(to_node)
        if seen.state is LocalState.LOCKED:
            _require_ours(seen, leader)
            autolock.start(settings, node, to_node, say=say)
            seen = _asked(to_node)
        if seen.in_swarm:
            _require_ours(seen, leader)
            if node.role == "worker" and seen.is_stranded(settings.managers):
                noted.enter_context(journal.step(settings, Action.REDIRECT, node.name, say))
                say(f"{node.name} knows no manager any more: it is led to {leader.node.address}")
                _redirect(settings, to_node, seen, leader.node)
            place = Place(seen.node_id, leader.cluster_id)
        elif seen.known_lost:
            if node.role == "manager":
                noted.enter_context(chief.short_log())
            place = _join(settings, node, to_node, chief, leader, say)
        else:
            raise Refused(
                f"joining {node.name}",
                f"{seen.reach}: {seen.detail}",
                remedy="see its engine: systemctl status docker",
                node=node.name,
            )
        _shape(settings, chief, node, to_node, place.node_id, dropped_labels, leader, say)
        _await_ready(chief, node, place.node_id)
        _drop_stale(settings, chief, node, place.node_id)
    return place


def _asked(shell: Shell) -> Report:
    """What a node says. An engine that has just left, or been left, may look for its old leader before it answers."""
    seen = ask(shell)
    return seen if seen.reach is Reach.ANSWERS else ask(shell, seconds=ENGINE_SECONDS)


def _remove(settings: Settings, node: Node, node_id: str, say: Callable[[str], None]) -> None:
    destroying = node.name in {named.name for named in settings.nodes}
    remaining = tuple(manager for manager in settings.managers if manager.name != node.name)
    leader = settled(settings, nodes=remaining).leader
    if leader is None:
        if destroying:
            return
        raise Refused(
            f"taking {node.name} out of the swarm", "no manager answers with a leader", remedy="requorum status"
        )
    with Shell(leader.node, settings.ssh) as shell:
        chief = Engine(shell)
        entry = chief.member(node_id)
        if entry is None:
            return
        if entry.votes:
            if destroying and not votes.survives_without(entry, chief.members()):
                return
            if not destroying:
                backup.take_one(settings, leader.node)
            say(f"demoting {node.name}")
            votes.demote(chief, entry)
        say(f"taking {node.name} out of the swarm")
        chief.update_member(node_id, availability="drain")
        _leave(settings, node)
        chief.remove_member(node_id)


def _leader(settings: Settings, doing: str) -> Report:
    leader = settled(settings, nodes=settings.managers).leader
    if leader is None:
        raise Refused(doing, "no manager answers with a leader", remedy="requorum status")
    return leader


def _require_ours(seen: Report, leader: Report) -> None:
    doing, name = f"joining {seen.node.name}", seen.node.name
    if seen.cluster_id != leader.cluster_id:
        raise Refused(
            doing,
            f"it belongs to swarm {seen.cluster_id}, this cluster is {leader.cluster_id}",
            remedy="docker swarm leave --force, there; then run again",
            node=name,
        )
    if seen.node_id not in {member.node_id for member in leader.members}:
        raise Refused(
            doing,
            "it was removed from the swarm",
            remedy="docker swarm leave --force, there; then run again",
            node=name,
        )


def _join(
    settings: Settings, node: Node, shell: Shell, chief: Engine, leader: Report, say: Callable[[str], None]
) -> Place:
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
            f"it came back as {node_id}, not as {identity}",
            remedy="requorum status",
            node=node.name,
        )
    return Place(node_id, leader.cluster_id)


def _redirect(settings: Settings, shell: Shell, seen: Report, manager: Node) -> None:
    """Lead a stranded worker to a manager, from which it hears of the others."""
    end = monotonic() + votes.SECONDS
    detour(shell, {address.rsplit(":", 1)[0]: manager.address for address in seen.remotes})
    while ask(shell).is_stranded(settings.managers):
        if monotonic() > end:
            raise ProofFailed(
                f"leading it to {manager.address}",
                f"it heard of no manager within {votes.SECONDS:.0f} s",
                remedy=f"see whether it reaches {manager.address}:{SWARM_PORT}, then run the same command again; or "
                "docker swarm leave --force, there, which ends its containers, and run it again",
                node=shell.node.name,
            )
        sleep(PAUSE)


def _joined(engine: Engine, node: Node) -> str:
    """The node ID that a joining engine has got, once it has."""
    end = monotonic() + votes.SECONDS
    while not (node_id := str(engine.info()["Swarm"].get("NodeID") or "")):
        if monotonic() > end:
            raise ProofFailed(
                f"joining {node.name}",
                f"it got no node ID within {votes.SECONDS:.0f} s",
                remedy="requorum status; then run the same command again",
                node=node.name,
            )
        sleep(PAUSE)
    return node_id


def _restore_identity(settings: Settings, node: Node, shell: Shell, engine: Engine, leader: Report) -> str | None:
    """Put the manager's certificates back where a good copy of it serves; its node ID, or None.

    Its own is the identity that stands at its address, or the one in its copy that nobody uses where it was. Its entry
    has no vote any more: otherwise the old raft ID would be given to an empty log (moby#29180).
    """
    ours = {m.node_id for m in leader.members if m.stands_at(node) or _is_forsaken(settings, m)}
    catalog = Catalog(settings)
    cas = frozenset({leader.ca_sha256} - {""})
    escrow = Escrow(settings, catalog.store)
    with newest_good(catalog, escrow, [node.name], leader.cluster_id, cas, whole=False) as found:
        if found.choice is None or found.archive is None or found.choice.manifest.node_id not in ours:
            return None
        manifest = found.choice.manifest
        restore.place(shell, engine, found.archive, manifest, restore.CERTIFICATES, key=found.key)
        return manifest.node_id


def _shape(
    settings: Settings,
    chief: Engine,
    node: Node,
    here: Shell,
    node_id: str,
    dropped: tuple[str, ...],
    leader: Report,
    say: Callable[[str], None],
) -> None:
    """Bring the entry to what the settings say; what they do not say is inherited from the entry before, if that is another.

    A worker that votes stands in for a manager: it is demoted once every manager of the settings is back.
    """
    wanted: str | None = node.role
    entry = chief.member(node_id)
    if entry and entry.votes and node.role == "worker":
        if absent := votes.not_voting(settings, chief.members()):
            say(f"{node.name} stays a manager until {', '.join(absent)} can vote again")
            wanted = None
        else:
            backup.take_one(settings, leader.node)
            say(f"demoting {node.name}, which stood in for a manager")
            votes.demote(chief, entry, here)
    stale = _stale(settings, leader.members, node, node_id)
    inherited = {key: value for old in stale for key, value in old.labels.items() if key not in dropped}
    availability: str | None = node.availability or next((old.availability for old in stale), None)
    labels = {**inherited, **node.labels}
    chief.update_member(node_id, role=wanted, availability=availability, labels=labels, without=dropped)


def _await_ready(chief: Engine, node: Node, node_id: str) -> None:
    def stands(entry: Member) -> bool:
        return entry.ready and (entry.reachable or node.role == "worker")

    votes.await_entry(chief, node_id, stands, f"joining {node.name}", "it is not Ready")


def _stale(settings: Settings, members: tuple[Member, ...], node: Node, node_id: str | None) -> list[Member]:
    """Entries that an earlier machine left behind at the node's address, or, under the node's name, where it was before."""
    return [
        member
        for member in members
        if member.node_id != node_id
        and (member.stands_at(node) or (member.hostname == node.name and _is_forsaken(settings, member)))
    ]


def _is_forsaken(settings: Settings, entry: Member) -> bool:
    """Whether nobody uses an entry, and it is of a machine at an address that is no node's any more."""
    return not entry.ready and not entry.votes and not any(entry.stands_at(node) for node in settings.nodes)


def _demote_stale(settings: Settings, chief: Engine, node: Node, members: tuple[Member, ...]) -> None:
    for entry in _stale(settings, members, node, None):
        if entry.votes:
            votes.demote(chief, entry)


def _drop_stale(settings: Settings, chief: Engine, node: Node, node_id: str) -> None:
    for entry in _stale(settings, chief.members(), node, node_id):
        chief.remove_member(entry.node_id)


def _leave(settings: Settings, node: Node) -> None:
    try:
        with Shell(node, settings.ssh) as shell:
            if ask(shell).in_swarm:
                Engine(shell).leave()
    except (Silent, TransportError):
        return  # the machine is dead or gone: its entry is removed all the same
