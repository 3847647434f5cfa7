"""The state of a cluster, as a table or as JSON."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from recovery.cli.screen import Cell, styled
from recovery.cli.show.contract import DEGRADED, ERROR, FINE, LOST, UNSEEN, VERSION
from recovery.copies.copy import Copy
from recovery.errors import RequorumError
from recovery.planning.changes import Changes
from recovery.planning.conditions import Condition, State, unmet
from recovery.planning.diagnosis import NO_QUORUM, Diagnosis, Kind
from recovery.planning.guidance import Guidance, guide
from recovery.planning.readiness import completed
from recovery.planning.standing import Standing, standing
from recovery.settings import Settings
from recovery.spans import span
from recovery.swarm.entries import Member, of_nobody
from recovery.swarm.found import Validity
from recovery.swarm.maintenance import Maintenance
from recovery.swarm.model import NodeReport, Reach, Survey

NO_CHANGES = Changes()
NONE: Mapping[str, Copy] = {}
HEADINGS = ("node", "zone", "role", "address", "swarm", "last copy", "remarks")
LEFT_OUT = (("address",), ("address", "zone"), ("address", "zone", "role"))
"""What a narrow terminal leaves out of the table of nodes: as little of this as it can."""
BETWEEN = 2
"""Letters between two columns."""


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
    last_proven: datetime | None
    standing: Standing
    drift: str = ""
    """How the machine differs from what Requorum puts on it."""
    maintenance: Maintenance | None = None
    certificate: Validity | None = None

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
    conditions: tuple[Condition, ...] = ()
    """The conditions of a recovery from here, if the swarm has a leader."""
    ca: Validity | None = None
    """From when until when the swarm's CA is valid."""

    @property
    def exit_code(self) -> int:
        """The exit code of the contract: fine, degraded, quorum lost or not seen; error if S3 or a node cannot tell."""
        return self._code(self.conditions)

    @property
    def exit_code_anywhere(self) -> int:
        """The exit code without the conditions of this machine. A machine that only watches needs no identity."""
        return self._code([one for one in self.conditions if not one.here])

    def _code(self, conditions: Sequence[Condition]) -> int:
        code = state_code(self.diagnosis, self.guidance)
        if code or not all(node.fine for node in self.nodes):
            return code or DEGRADED
        return conditions_code(conditions) if conditions or not self.store_error else ERROR


def state_code(diagnosis: Diagnosis, guidance: Guidance) -> int:
    """The exit code of the swarm itself: fine, degraded, quorum lost or not seen."""
    if diagnosis.kind in NO_QUORUM:
        return LOST
    if diagnosis.kind is Kind.ACCESS:
        return UNSEEN
    return FINE if guidance.well and not diagnosis.warnings else DEGRADED


def conditions_code(conditions: Sequence[Condition]) -> int:
    """The exit code of conditions: degraded if one failed, error if Requorum could not find out."""
    states = {one.state for one in conditions}
    return DEGRADED if State.FAILED in states else ERROR if State.UNKNOWN in states else FINE


def status(
    settings: Settings,
    survey: Survey,
    diagnosis: Diagnosis,
    copies: Mapping[str, Copy],
    error: RequorumError | None,
    changes: Changes = NO_CHANGES,
    unfinished: datetime | None = None,
    conditions: tuple[Condition, ...] = (),
    proven: Mapping[str, Copy] = NONE,
) -> Status:
    """The status in a survey, and the newest copy and the newest proven one of each manager, by its name.

    ``unfinished`` is as for `guide`.
    """
    guidance = guide(settings, survey, diagnosis, changed=changes.alters, unfinished=unfinished)
    guidance = completed(guidance, diagnosis.kind, conditions, error)
    members = survey.leader.members if survey.leader else ()
    nodes = tuple(
        replace(
            _node(report, survey, diagnosis, copies.get(report.node.name)),
            last_proven=_dated(proven.get(report.node.name)),
            drift=changes.drift_of(report.node.name),
        )
        for report in survey.reports
    )
    others = of_nobody(survey.nodes, members, survey.told)
    ca = survey.leader.ca if survey.leader else None
    return Status(settings.cluster, diagnosis, guidance, nodes, survey.taken, error, others, conditions, ca)


def _node(report: NodeReport, survey: Survey, diagnosis: Diagnosis, copied: Copy | None) -> NodeStatus:
    node, entry = report.node, survey.entry(report.node)
    state = (
        "unknown"
        if not (survey.leader and survey.leader.members)
        else "absent"
        if entry is None
        else "ready"
        if entry.ready
        else "down"
    )
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
        last_copy=_dated(copied),
        last_proven=None,
        standing=standing(report, survey, diagnosis),
        maintenance=Maintenance.of(entry),
        certificate=report.certificate,
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
        "caEnds": status.ca.ends.isoformat() if status.ca else None,
        "conditions": [one.json for one in status.conditions],
        "nodes": [_node_json(node, status.taken) for node in status.nodes],
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


def _node_json(node: NodeStatus, now: datetime) -> dict[str, Any]:
    """One node as JSON of the contract."""
    return {
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
        "lastCopyAge": _age(now, node.last_copy),
        "lastProvenCopy": node.last_proven.isoformat() if node.last_proven else None,
        "lastProvenCopyAge": _age(now, node.last_proven),
        "standing": str(node.standing.mark),
        "standingWord": node.standing.word,
        "drift": node.drift,
        "maintenance": _maintenance_json(node.maintenance, now),
        "certificateEnds": node.certificate.ends.isoformat() if node.certificate else None,
    }


def _maintenance_json(kept: Maintenance | None, now: datetime) -> dict[str, Any] | None:
    if kept is None:
        return None
    until = kept.until.isoformat() if kept.until else None
    return {"before": kept.before, "until": until, "over": kept.is_over(now)}


def as_table(status: Status, *, marked: Collection[str] = (), most: int | None = None) -> Group:
    """The status as a table of the nodes, between the state and what to run next.

    The names in ``marked`` have a star. If there are more than ``most`` nodes, those that are well are left out.
    """
    colour = {FINE: "green", DEGRADED: "yellow", UNSEEN: "yellow"}.get(status.exit_code, "red")
    identity = f" ({status.diagnosis.cluster_id})" if status.diagnosis.cluster_id else ""
    title = Text.assemble("cluster ", (status.cluster, "bold"), f"{identity}: ", (status.guidance.state, colour))
    shown = _foremost(status.nodes, marked, most)
    lines: list[RenderableType] = [title, _nodes(status, shown, marked)]
    if rest := len(status.nodes) - len(shown):
        lines.append(styled(f"and {rest} nodes more", "dim"))
    for line in status.guidance.text if status.guidance.meaning else ():
        lines.append(styled(line, colour))
    for warning in status.diagnosis.warnings:
        lines.append(styled(warning, "yellow"))
    for node in status.nodes:
        if node.drift:
            lines.append(styled(f"drift: {node.name}: {node.drift}. next: pulumi up", "yellow"))
    for other in status.others:
        stands = f"{other.role}, {'ready' if other.ready else 'down'}"
        lines.append(f"not named: {other.hostname} at {_address(other)} ({stands}), left alone")
    for fault in unmet(status.conditions):
        lines.append(styled(fault.line, "red" if fault.grave else "yellow"))
    if status.store_error and not status.conditions:
        lines.append(styled(f"Requorum cannot list the copies: {status.store_error.why}", "red"))
    for line in status.guidance.next:
        lines.append(styled(line, "bold"))
    return Group(*lines)


def _foremost(nodes: Sequence[NodeStatus], marked: Collection[str], most: int | None) -> Sequence[NodeStatus]:
    """The nodes that are worth a row: what changed, what is not well, the leader, managers."""
    order = sorted(nodes, key=lambda one: (one.name not in marked, one.fine, not one.leader, one.role == "worker"))
    return nodes if most is None else order[:most]


@dataclass(frozen=True)
class _Nodes:
    """The nodes as a table. A narrow terminal leaves out what tells least of their state, and never a part of a word."""

    rows: Sequence[Mapping[str, Cell]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        least = {heading: self._least(heading) for heading in HEADINGS}
        for without in ((), *LEFT_OUT):
            shown = [heading for heading in HEADINGS if heading not in without]
            if sum(least[heading] for heading in shown) + BETWEEN * (len(shown) - 1) <= options.max_width:
                yield self._table(shown)
                return
        yield self._table(shown, folded=True)

    def _least(self, heading: str) -> int:
        """How wide a column is at least. Only remarks may be wrapped."""
        texts = [heading, *(str(row[heading]) for row in self.rows)]
        return max(cell_len(part) for text in texts for part in (text.split() if heading == "remarks" else [text]))

    def _table(self, shown: Sequence[str], *, folded: bool = False) -> Table:
        table = Table(box=None, pad_edge=False)
        for heading in shown:
            table.add_column(heading, no_wrap=not folded and heading != "remarks", overflow="fold")
        for row in self.rows:
            table.add_row(*(row[heading] for heading in shown))
        return table


def _nodes(status: Status, shown: Sequence[NodeStatus], marked: Collection[str]) -> _Nodes:
    rows = []
    for node in sorted(shown, key=lambda node: node.zone):
        cells = dict(zip(HEADINGS, _cells(node, status.taken, known=status.store_error is None), strict=True))
        mark: dict[str, Cell] = {"node": styled(f"* {node.name}", "bold reverse")} if node.name in marked else {}
        rows.append({**cells, **mark})
    return _Nodes(rows)


def _cells(node: NodeStatus, now: datetime, *, known: bool) -> Sequence[Cell]:
    age = _age(now, node.last_copy)
    none = styled("no copy" if known else "unknown", "yellow")
    copied = f"{span(age)} ago" if age is not None else none
    reach = styled(node.reach, "red") if node.reach != Reach.ANSWERS else ""
    standing = node.reachability if node.reachability != "reachable" else ""
    availability = node.availability if node.availability != "active" else ""
    remarks = (reach, standing, availability, node.maintenance.text if node.maintenance else "")
    role = "leader" if node.leader else node.role
    manager = node.role == "manager"
    return (
        node.name,
        node.zone,
        role,
        node.address,
        node.state,
        copied if manager else "",
        Text(", ").join(Text(word) if isinstance(word, str) else word for word in remarks if word),
    )


def _address(entry: Member) -> str:
    return entry.raft_address or entry.address


def _dated(copy: Copy | None) -> datetime | None:
    return copy.dated if copy else None


def _age(now: datetime, then: datetime | None) -> int | None:
    return None if then is None else int((now - then).total_seconds())
