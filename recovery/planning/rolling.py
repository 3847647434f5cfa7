"""In which order a walk takes the nodes of a swarm, and whether it may take the next ones. Pure.

Workers come first, in batches. Managers follow one at a time, and the leader is the last. What a walk has begun before it was
interrupted comes before everything else. A walk takes a node only while every other node is well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from recovery.errors import Refused
from recovery.planning.doctor import trouble
from recovery.swarm.engine_version import reaches
from recovery.swarm.entries import of_nobody
from recovery.swarm.model import ENTERED
from recovery.swarm.raft import quorum
from recovery.swarm.votes import survives_outage
from recovery.swarm.walk_mark import BEGUN, DRAIN, OVER, Mark

if TYPE_CHECKING:
    from recovery.swarm.entries import Member
    from recovery.swarm.machines import Node
    from recovery.swarm.model import NodeReport, Survey
    from recovery.swarm.workload import Service, Task


WITHOUT_QUORUM = "--without-quorum"
NO_QUORUM = (
    "the swarm has no leader until the node is back: no task is started, moved or replaced, and nothing can be changed. "
    "Containers keep running on other nodes"
)
"""What it costs to take a manager that the quorum needs."""


@dataclass(frozen=True)
class Walk:
    """What a walk does with each node, and how."""

    name: str
    """What the marks of its nodes say: the same for the same command, so that a command goes on where it stopped."""
    doing: str
    """The walk in errors, and in the lease."""
    effect: str
    """What happens to a node, as a preview shows it."""
    command: str
    """The command that begins the walk, and goes on with it."""
    batch: int = 1
    """How many workers are away at a time."""
    without_quorum: bool = False
    """Whether managers that the quorum needs are taken too."""
    anew: bool = False
    """Whether nodes that an interrupted run has taken are taken again."""
    version: str = ""
    """The engine's version that the walk brings. Nodes that have it, or a later one, are left out."""


@dataclass(frozen=True)
class Batch:
    """Nodes that are away at the same time, and the votes that are up before and then."""

    nodes: tuple[str, ...]
    effect: str
    up: int = 0
    """The managers that vote and are up, before. 0 for workers."""
    votes: int = 0

    @property
    def tolerates(self) -> int:
        """How many more managers could be lost while the node is away. Below 0, the quorum is lost until it is back."""
        return self.up - 1 - quorum(self.votes)

    @property
    def text(self) -> str:
        """The batch as a preview shows it."""
        votes = f", votes {self.up} -> {self.up - 1}, tolerates {max(self.tolerates, 0)}" if self.votes else ""
        lost = ", no quorum until it is back" if self.votes and self.tolerates < 0 else ""
        return f"{', '.join(self.nodes)}: {self.effect}{votes}{lost}"


def following(walk: Walk, survey: Survey) -> tuple[Node, ...]:
    """The nodes that the walk takes next, and that are away at the same time; none if all are done."""
    return next(_batches(walk, survey), ())


def batches(walk: Walk, survey: Survey) -> tuple[Batch, ...]:
    """What the walk has still to do, in its order, if every node comes back."""
    voters = [entry for entry in _listed(survey) if entry.votes]
    up = sum(entry.reachable for entry in voters)

    def shown(nodes: tuple[Node, ...]) -> Batch:
        effect = "; ".join(dict.fromkeys(_effect(walk, survey, node) for node in nodes))
        votes = _votes(survey, nodes[0])
        return Batch(tuple(node.name for node in nodes), effect, up if votes else 0, len(voters) if votes else 0)

    return tuple(shown(nodes) for nodes in _batches(walk, survey))


def notes(walk: Walk, survey: Survey, services: Collection[Service], tasks: Collection[Task]) -> Iterator[str]:
    """What else an operator should know before the walk begins."""
    done = [report.node.name for report in survey.reports if not _is_left(walk, survey, report)]
    if done and len(done) < len(survey.reports):
        yield f"done already: {', '.join(done)}"
    if others := of_nobody(survey.nodes, _listed(survey), survey.told):
        yield f"left alone, because the stack file does not name them: {', '.join(entry.hostname for entry in others)}"
    for service in services:
        homes = Counter(task.node_id for task in tasks if task.running and task.service_id == service.service_id)
        most = max(homes.values(), default=0)
        if service.replicas and most > 1:
            yield (
                f"{service.name} has {most} of its {service.replicas} tasks on one node, and swarm stops them together when the "
                "node is drained"
            )


def goes_on(walk: Walk, survey: Survey) -> bool:
    """Whether the walk has begun before."""
    return any(mark.walk == walk.name for mark in map(Mark.of, _listed(survey)) if mark)


def is_over(walk: Walk, survey: Survey) -> bool:
    """Whether the walk has taken every node, and only marks are left of it."""
    marks = [mark for entry in _listed(survey) if (mark := Mark.of(entry))]
    return not walk.anew and any((mark.walk, mark.state) == (walk.name, OVER) for mark in marks)


def of_others(walk: Walk, survey: Survey) -> tuple[Member, ...]:
    """The entries that another walk has marked, which did not end; those of this walk too, if it begins anew."""
    marked = ((entry, Mark.of(entry)) for entry in _listed(survey))
    return tuple(entry for entry, mark in marked if mark and (walk.anew or mark.walk != walk.name))


def objection(walk: Walk, survey: Survey, batch: Sequence[Node]) -> Refused | None:
    """Why the walk may not take these nodes now; None if it may."""
    doing = walk.doing
    if survey.leader is None:
        why = "no manager reports a leader"
        return Refused(doing, why, remedy="requorum doctor", code="no-leader")
    for node in batch:
        report = survey.of(node.name)
        if _mark(walk, survey, node) and report.reach not in ENTERED:
            why = f"it did not come back: {trouble(report, survey) or report.reach}"
            remedy = f"requorum doctor, which says how to bring it back. The walk then goes on: {walk.command}"
            return Refused(doing, why, remedy=remedy, node=node.name, code="node-not-back")
    return _unwell(walk, survey, batch) or _quorum_at_risk(walk, survey, batch)


def whole(services: Collection[Service], tasks: Collection[Task], ready: Collection[str]) -> frozenset[str]:
    """The names of the replicated services that have all their tasks running on nodes that are Ready, by their IDs."""
    return frozenset(
        service.name
        for service in services
        if service.replicas is not None
        and sum(t.running and t.service_id == service.service_id and t.node_id in ready for t in tasks)
        >= service.replicas
    )


def _unwell(walk: Walk, survey: Survey, batch: Sequence[Node]) -> Refused | None:
    """The first node that the walk would not take now, and that is not well."""
    taken = {node.name for node in batch}
    for report in survey.reports:
        name = report.node.name
        there = report.in_swarm and survey.entry(report.node)
        fault = trouble(report, survey) or ("" if there else "it is not in the swarm")
        if fault and not (name in taken and _mark(walk, survey, report.node)):
            remedy = f"requorum doctor. When every node is well: {walk.command}"
            return Refused(walk.doing, fault, remedy=remedy, node=name, code="node-unwell")
    for entry in of_nobody(survey.nodes, _listed(survey), survey.told):
        if entry.votes and not entry.reachable:
            why = f"{entry.hostname}, a manager that the stack file does not name, is not reachable"
            return Refused(walk.doing, why, remedy="requorum status", code="node-unwell")
    return None


def _quorum_at_risk(walk: Walk, survey: Survey, batch: Sequence[Node]) -> Refused | None:
    for node in batch:
        safe = not _votes(survey, node) or survives_outage(node, _listed(survey), survey.told)
        if not (safe or walk.without_quorum):
            return Refused(
                walk.doing,
                f"while it is away, {NO_QUORUM}",
                remedy=f"have three managers. Or accept that with the option {WITHOUT_QUORUM}",
                node=node.name,
                code="quorum-at-risk",
            )
    return None


def _batches(walk: Walk, survey: Survey) -> Iterator[tuple[Node, ...]]:
    """The nodes that are left, as they are away together: those that are begun, workers, managers, the leader."""
    if is_over(walk, survey):
        return
    left = [report.node for report in survey.reports if _is_left(walk, survey, report)]
    begun = [node for node in left if _mark(walk, survey, node)]
    managers = [node for node in left if _votes(survey, node)]
    if workers := tuple(node for node in begun if node not in managers):
        yield workers
    yield from ((node,) for node in begun if node in managers)
    fresh = [node for node in left if node not in begun and node not in managers]
    yield from (tuple(fresh[at : at + walk.batch]) for at in range(0, len(fresh), walk.batch))
    yield from ((node,) for node in sorted(managers, key=lambda node: _leads(survey, node)) if node not in begun)


def _is_left(walk: Walk, survey: Survey, report: NodeReport) -> bool:
    mark = Mark.of(survey.entry(report.node))
    if mark and mark.walk == walk.name and not walk.anew:
        return mark.state == BEGUN
    return not (walk.version and reaches(report.engine, walk.version))


def _mark(walk: Walk, survey: Survey, node: Node) -> Mark | None:
    """The mark of a node that the walk has begun."""
    mark = Mark.of(survey.entry(node))
    return mark if mark and mark.walk == walk.name and mark.state == BEGUN else None


def _effect(walk: Walk, survey: Survey, node: Node) -> str:
    """What happens to a node. One that is drained before stays so."""
    entry, mark = survey.entry(node), _mark(walk, survey, node)
    report = survey.of(node.name)
    acts = f"{walk.effect} ({report.engine or 'unknown'} -> {walk.version})" if walk.version else walk.effect
    if entry and entry.availability == DRAIN and not (mark and mark.lent):
        return f"{acts}, drained before and after"
    before = entry.availability if entry and entry.availability != DRAIN else "as before"
    return f"drain, {acts}, then {before} again"


def _votes(survey: Survey, node: Node) -> bool:
    entry = survey.entry(node)
    return entry.votes if entry else node.role == "manager"


def _leads(survey: Survey, node: Node) -> bool:
    entry = survey.entry(node)
    return entry is not None and entry.leader


def _listed(survey: Survey) -> tuple[Member, ...]:
    return survey.leader.members if survey.leader else ()
