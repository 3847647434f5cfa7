"""Takes a node out of service for a while, and gives it its availability back.

What the node had is noted in its entry in the same write that drains it, so a run that is killed loses nothing.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from recovery.cluster import Cluster
from recovery.errors import Refused
from recovery.node.engine import Engine
from recovery.operations.leading import leading
from recovery.progress import Say
from recovery.steps import lending
from recovery.swarm.entries import Member
from recovery.swarm.machines import Node
from recovery.swarm.maintenance import DRAINED, NOTE, Maintenance
from recovery.swarm.placing import Load, without_place

DRAINING, UNDRAINING = "draining it", "ending its maintenance"


@dataclass(frozen=True)
class Drainable:
    """What a drain would do to a node."""

    kept: Maintenance
    load: Load
    node_id: str

    @property
    def intent(self) -> str:
        """What the operator consents to."""
        moving = Counter(task.needs.service for task in self.load.on(self.node_id) if not task.needs.everywhere)
        ending = Counter(task.needs.service for task in self.load.on(self.node_id) if task.needs.everywhere)
        parts = [f"its {_counted(moving)} move to other nodes"] if moving else []
        parts += [f"its {_counted(ending)} stop, because each node has one"] if ending else []
        return " and ".join(parts) or "no task runs on it"


def _counted(tasks: Counter[str]) -> str:
    return f"tasks of {', '.join(f'{service} ({count})' for service, count in sorted(tasks.items()))}"


def check(cluster: Cluster, node: Node, end: datetime | None = None) -> Drainable:
    """Check that the node may be drained, and return what that does. Raises: as `drain`."""
    with _member(cluster, node, DRAINING) as (engine, entry):
        return _drainable(engine, entry, node, end)


def drain(cluster: Cluster, node: Node, end: datetime | None, *, say: Say) -> Maintenance:
    """Note the node's availability, drain it, and wait until no task runs on it. Safe to run again.

    Without ``end``, the end that an earlier run noted stays. The lease is held only for the write, because tasks may take
    long to stop.

    Raises: Refused if the swarm has no leader, the node is no member, a service would have no place for its tasks, or another
    operator holds the lease; ProofFailed if its tasks do not end; EngineError; StoreError.
    """
    with _member(cluster, node, DRAINING) as (engine, entry):
        kept = _drainable(engine, entry, node, end).kept
        with cluster.hold(f"draining {node.name}", say=say):
            say(f"draining {node.name}. It gets {kept.before} back after its maintenance")
            engine.update_member(entry.node_id, availability=DRAINED, labels={NOTE: kept.label})
        if entry.ready:
            lending.await_empty(engine, entry, DRAINING, say=say)
        else:
            say(f"{node.name} is down, so nobody can tell when its tasks stop. The swarm runs them on other nodes")
    return kept


def undrain(cluster: Cluster, node: Node, *, say: Say) -> Maintenance | None:
    """Give the node the availability back that it had before its maintenance. None if it is in no maintenance.

    Raises: Refused if the swarm has no leader, the node is no member, or another operator holds the lease; EngineError;
    StoreError.
    """
    with _member(cluster, node, UNDRAINING) as (engine, entry):
        kept = Maintenance.of(entry)
        if kept:
            with cluster.hold(f"undraining {node.name}", say=say):
                engine.update_member(entry.node_id, availability=kept.before, without=(NOTE,))
        return kept


@contextmanager
def _member(cluster: Cluster, node: Node, doing: str) -> Iterator[tuple[Engine, Member]]:
    """The engine of a manager with a leader, and the node's entry. Raises: Refused."""
    with leading(cluster, doing, about=node.name) as (seen, engine):
        if (entry := seen.entry(node)) is None:
            why, remedy = "it is no member of the swarm", "let it join: pulumi up"
            raise Refused(doing, why, remedy=remedy, node=node.name, code="no-member")
        yield engine, engine.member(entry.node_id) or entry


def _drainable(engine: Engine, entry: Member, node: Node, end: datetime | None) -> Drainable:
    known, load = Maintenance.of(entry), engine.load()
    kept = Maintenance(known.before if known else entry.availability, end or (known.until if known else None))
    if homeless := without_place(load, entry.node_id):
        first = next(iter(homeless))
        raise Refused(
            DRAINING,
            "no other node can run its tasks of "
            + "; ".join(f"{service} ({reason})" for service, reason in homeless.items()),
            remedy=f"give another node what they need (docker service inspect {first}), or stop a service for this time: "
            f"docker service scale {first}=0, or docker service rm. Then run the same command again",
            node=node.name,
            code="no-place-for-tasks",
        )
    return Drainable(kept, load, entry.node_id)
