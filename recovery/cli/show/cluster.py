"""The state of a cluster, as a tree or as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from rich.markup import escape
from rich.tree import Tree

from recovery.cli.show.contract import DEGRADED, ERROR, FINE, LOST, UNSEEN, VERSION, span
from recovery.copies.copy import Copy
from recovery.errors import RequorumError
from recovery.planning.changes import Changes
from recovery.planning.diagnosis import NO_QUORUM, Diagnosis, Kind
from recovery.planning.guidance import Guidance, guide
from recovery.settings import Settings
from recovery.swarm.entries import Member, of_nobody
from recovery.swarm.model import NodeReport, Reach, Survey

NO_CHANGES = Changes()


@dataclass(frozen=True)
class NodeStatus:
    """One node as status shows it."""

    name: str
    zone: str
    role: str
    address: str
    reach: str
    detail: str
    engine: str
    node_id: str
    state: str
    availability: str
    leader: bool
    reachability: str
    last_copy: datetime | None
    drift: str = ""
    """How the machine differs from what Requorum puts on it."""

    @property
    def fine(self) -> bool:
        """Whether the node is Ready and, as a manager, Reachable."""
        return self.state == "ready" and (self.role == "worker" or self.reachability == "reachable")


@dataclass(frozen=True)
class Status:
    """A cluster as it is right now."""

    cluster: str
    diagnosis: Diagnosis
    guidance: Guidance
    nodes: tuple[NodeStatus, ...]
    taken: datetime
    store_error: RequorumError | None = None
    others: tuple[Member, ...] = ()
    """The entries of the swarm's node list that the stack file does not name."""

    @property
    def exit_code(self) -> int:
        """The exit code of the contract: fine, degraded, quorum lost or not seen; error if S3 could not be read."""
        if self.diagnosis.kind in NO_QUORUM:
            return LOST
        if self.diagnosis.kind is Kind.ACCESS:
            return UNSEEN
        if self.diagnosis.kind is not Kind.HEALTHY or self.diagnosis.warnings or not all(n.fine for n in self.nodes):
            return DEGRADED
        return ERROR if self.store_error else FINE


def status(
    settings: Settings,
    survey: Survey,
    diagnosis: Diagnosis,
    copies: Mapping[str, Copy],
    error: RequorumError | None,
    changes: Changes = NO_CHANGES,
    unfinished: datetime | None = None,
) -> Status:
    """The status in a survey and the newest copy of each manager, by its name. ``unfinished`` is as for `guide`."""
    guidance = guide(settings, survey, diagnosis, changed=changes.alters, unfinished=unfinished)
    members = survey.leader.members if survey.leader else ()
    nodes = tuple(
        replace(
            _node(report, survey.entry(report.node), bool(members), copies.get(report.node.name)),
            drift=changes.drift_of(report.node.name),
        )
        for report in survey.reports
    )
    others = of_nobody(survey.nodes, members, survey.told)
    return Status(settings.cluster, diagnosis, guidance, nodes, survey.taken, error, others)


def _node(report: NodeReport, entry: Member | None, listed: bool, copied: Copy | None) -> NodeStatus:
    node = report.node
    state = "unknown" if not listed else "absent" if entry is None else "ready" if entry.ready else "down"
    return NodeStatus(
        name=node.name,
        zone=node.zone,
        role=entry.role if entry else node.role,
        address=str(node.address),
        reach=str(report.reach),
        detail=report.detail,
        engine=report.engine,
        node_id=entry.node_id if entry else report.node_id,
        state=state,
        availability=entry.availability if entry else "",
        leader=bool(entry and entry.leader),
        reachability="" if not (entry and entry.manager_address) else "reachable" if entry.reachable else "unreachable",
        last_copy=copied.dated if copied else None,
    )


def as_json(status: Status) -> dict[str, Any]:
    """The status as JSON of the contract. Times are UTC in ISO 8601, ages are whole seconds."""
    return {
        "version": VERSION,
        "cluster": status.cluster,
        "clusterId": status.diagnosis.cluster_id,
        "diagnosis": str(status.diagnosis.kind),
        **status.guidance.json,
        "evidence": list(status.diagnosis.evidence),
        "warnings": list(status.diagnosis.warnings),
        "quorum": None
        if status.diagnosis.kind is Kind.ACCESS
        else status.diagnosis.kind not in NO_QUORUM | {Kind.ABSENT},
        "exitCode": status.exit_code,
        "taken": status.taken.isoformat(),
        "storeError": str(status.store_error) if status.store_error else None,
        "storeErrorCode": status.store_error.code if status.store_error else None,
        "nodes": [
            {
                "name": node.name,
                "zone": node.zone,
                "role": node.role,
                "address": node.address,
                "reach": node.reach,
                "detail": node.detail,
                "engine": node.engine,
                "nodeId": node.node_id,
                "state": node.state,
                "availability": node.availability,
                "leader": node.leader,
                "reachability": node.reachability,
                "lastCopy": node.last_copy.isoformat() if node.last_copy else None,
                "lastCopyAge": _age(status.taken, node.last_copy),
                "drift": node.drift,
            }
            for node in status.nodes
        ],
        "others": [
            {
                "name": other.hostname,
                "address": _address(other),
                "role": other.role,
                "nodeId": other.node_id,
                "state": "ready" if other.ready else "down",
                "availability": other.availability,
            }
            for other in status.others
        ],
    }


def as_tree(status: Status) -> Tree:
    """The status as a tree of zones and their nodes."""
    colour = {FINE: "green", DEGRADED: "yellow", UNSEEN: "yellow"}.get(status.exit_code, "red")
    identity = f" ({status.diagnosis.cluster_id})" if status.diagnosis.cluster_id else ""
    tree = Tree(f"cluster [bold]{status.cluster}[/]{identity}: [{colour}]{escape(status.guidance.state)}[/]")
    for zone in sorted({node.zone for node in status.nodes}):
        branch = tree.add(f"zone {zone}")
        for node in status.nodes:
            if node.zone == zone:
                branch.add(_line(node, status.taken))
    for line in status.guidance.text if status.guidance.meaning else ():
        tree.add(f"[{colour}]{escape(line)}[/]")
    for warning in status.diagnosis.warnings:
        tree.add(f"[yellow]{escape(warning)}[/]")
    for node in status.nodes:
        if node.drift:
            tree.add(f"[yellow]drift: {escape(f'{node.name}: {node.drift}')}. next: pulumi up[/]")
    for other in status.others:
        stands = f"{other.role}, {'ready' if other.ready else 'down'}"
        tree.add(escape(f"not named: {other.hostname} at {_address(other)} ({stands}), left alone"))
    if status.store_error:
        tree.add(f"[red]Requorum cannot list the copies: {escape(status.store_error.why)}[/]")
    for line in status.guidance.next:
        tree.add(f"[bold]{escape(line)}[/]")
    return tree


def _line(node: NodeStatus, now: datetime) -> str:
    standing = "leader" if node.leader else node.reachability
    words = [node.role, standing, node.state, node.availability if node.availability != "active" else ""]
    if node.reach != Reach.ANSWERS:
        words.append(f"[red]{node.reach}[/]")
    if node.role == "manager":
        age = _age(now, node.last_copy)
        words.append(f"last copy {span(age)} ago" if age is not None else "[yellow]no copy[/]")
    return f"{node.name}  {node.address}  " + ", ".join(word for word in words if word)


def _address(entry: Member) -> str:
    return entry.raft_address or entry.address


def _age(now: datetime, then: datetime | None) -> int | None:
    return None if then is None else int((now - then).total_seconds())
