"""Asks the nodes and the leader for what a proof judges (`recovery/evidence.py`), side by side.

The one thing it changes, and that before (`mend`): a manager's engine that does not listen for gossip is restarted.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import monotonic, sleep

from recovery import autolock, evidence, journal, votes
from recovery.engine import RESTART, Engine
from recovery.errors import RequorumError, TransportError
from recovery.evidence import Before, Check, Look, Result, Workload
from recovery.model import Inventory, LocalState, Member, Service
from recovery.settings import Node, Settings
from recovery.survey import ask, settled
from recovery.transport import Shell

Say = Callable[[str], None]
GOSSIP_SECONDS = 15.0
"""How long after a node is Ready its gossip port may still be opening: less than the restart takes that it is spared."""
PAUSE = 0.3
LABEL = "com.docker.swarm.service.name"
"""The engine's own, on every container of a service."""
LOOK = (
    "if found=$(ss -Hlnt 'sport = :7946' 2>/dev/null); then [ -n \"$found\" ] && echo open || echo closed; else echo unknown; fi; "
    '[ -z "$1" ] || timeout 10 docker ps --no-trunc --filter "label=$1" --format "{{.ID}} {{.Label \\"$1\\"}}"'
)
"""Prints whether the gossip port is listened on, then, for a worker, each container of a service with the service's name."""


def containers(settings: Settings, workers: Sequence[Node]) -> dict[str, Mapping[str, str]]:
    """The service containers that run on each worker that answers: ID to service."""
    return {name: look.containers for name, look in _looks(settings, workers).items()}


def mend(settings: Settings, nodes: Sequence[Node], *, say: Say) -> bool:
    """Restart the engines of managers that do not listen for gossip, one after the other; whether any was restarted.

    Where one was, somebody else may lead by now, who has heard of no node yet: what was seen of the swarm before is worth
    nothing. Raises: as `autolock.start`, of one that came up locked; TransportError.
    """
    managers = [node for node in nodes if node.role == "manager"]
    looks = _opened(settings, managers, _looks(settings, managers))
    restarted = [node.name for node in _closed(managers, looks) if _restart(settings, node, say)]
    return restarted != []


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
    with ThreadPoolExecutor(max_workers=2) as pool:
        asked = pool.submit(_workload, settings, leader, ready, before)
        held = pool.submit(_inventory, settings, leader) if before and before.inventory else None
        looks = _looks(settings, nodes)
        named = _name(settings, nodes, looks, asked.result().services)
    workload = replace(asked.result(), inventory=held.result() if held else None)
    # Where containers were replaced, the new ones may have come up while their tasks were waited for.
    looks |= _looks(settings, [node for node in nodes if before and evidence.differs(node, looks, before)])
    looks = _opened(settings, nodes, looks)
    return (*evidence.judge(nodes, looks, workload, ready, before), *named)


def _looks(settings: Settings, nodes: Sequence[Node]) -> dict[str, Look]:
    def one(node: Node) -> Look | None:
        try:
            with Shell(node, settings.ssh) as shell:
                return _look(shell)
        except TransportError:
            return None

    with ThreadPoolExecutor(max_workers=max(len(nodes), 1)) as pool:
        return {node.name: look for node, look in zip(nodes, pool.map(one, nodes), strict=True) if look}


def _look(shell: Shell) -> Look:
    label = LABEL if shell.node.role == "worker" else ""
    port, *lines = shell.run(["sh", "-c", LOOK, "look", label], seconds=15).stdout.decode().splitlines()
    running = dict(line.split(" ", 1) for line in lines)
    return Look({"open": True, "closed": False}.get(port), running)


def _workload(settings: Settings, leader: Node, ready: set[str], before: Before | None) -> Workload:
    end = monotonic() + votes.SECONDS
    with Shell(leader, settings.ssh) as shell:
        engine = Engine(shell)
        while True:
            found = Workload(engine.services(), engine.tasks())
            judged = evidence.tasks(found, ready, before)
            if monotonic() > end or not any(check.result is Result.FAILED for check in judged):
                return found
            sleep(PAUSE)


def _inventory(settings: Settings, leader: Node) -> Inventory:
    with Shell(leader, settings.ssh) as shell:
        return Engine(shell).inventory()


def _name(
    settings: Settings, nodes: Sequence[Node], looks: Mapping[str, Look], services: Sequence[Service]
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
    return (evidence.resolves(name, container, told.status, told.stdout.decode(errors="replace") + told.stderr),)


def _closed(nodes: Sequence[Node], looks: Mapping[str, Look]) -> list[Node]:
    return [node for node in nodes if node.name in looks and looks[node.name].listening is False]


def _opened(settings: Settings, nodes: Sequence[Node], looks: dict[str, Look]) -> dict[str, Look]:
    """The looks, once ports that were closed have had a moment to open."""
    end = monotonic() + GOSSIP_SECONDS
    while (closed := _closed(nodes, looks)) and monotonic() < end:
        sleep(PAUSE)
        looks = {**looks, **_looks(settings, closed)}
    return looks


def _restart(settings: Settings, node: Node, say: Say) -> bool:
    """Restart a manager's engine, where the others hold the quorum, and wait for it; whether it was restarted."""
    if why := _objection(settings, node):
        say(f"{node.name} does not listen for gossip; its engine is not restarted: {why}")
        return False
    say(f"{node.name} does not listen for gossip: its engine is restarted")
    with journal.step(settings, "restart", node.name, say), Shell(node, settings.ssh) as shell:
        shell.run(["sh", "-c", RESTART], seconds=autolock.RESTART_SECONDS)
        end = monotonic() + votes.SECONDS
        while monotonic() < end:
            if ask(shell).state is LocalState.LOCKED:
                autolock.start(settings, node, shell, say=say)
            if _is_back(settings, node):
                break
            sleep(PAUSE)
    return True


def _objection(settings: Settings, node: Node) -> str:
    """Why a manager's engine must not be restarted; empty where it may."""
    leader = settled(settings, nodes=settings.managers).leader
    if leader is None or not evidence.may_restart(node, leader.members):
        return "the quorum would be lost"
    try:
        autolock.require_key(settings, node)
    except RequorumError as error:
        return f"it would stay locked ({error.why})"
    return ""


def _is_back(settings: Settings, node: Node) -> bool:
    leader = settled(settings, nodes=settings.managers).leader
    look = _looks(settings, [node]).get(node.name)
    reachable = leader and any(member.reachable for member in leader.members if member.stands_at(node))
    return bool(reachable and look and look.listening)
