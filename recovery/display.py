"""What the operator is shown: the state of a cluster as a tree or as JSON, copies as a table.

JSON is a contract: `VERSION` changes when a key goes or changes its meaning (docs/json.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from recovery.assessment import Assessment
from recovery.copy import Copy
from recovery.diagnosis import NO_QUORUM, Diagnosis, Kind
from recovery.doctor import Case
from recovery.drill import Drill
from recovery.errors import DamagedCopy, RequorumError
from recovery.manifest import Manifest, Proof, Verdict
from recovery.marks import Mark
from recovery.model import Member, Reach, Report, Survey
from recovery.retention import C, Decision, Removal
from recovery.settings import Settings

VERSION = 1
FINE, ERROR, USAGE, DEGRADED, LOST = 0, 1, 2, 3, 4
"""Exit codes of every command."""
NO_MARKS: Mapping[Copy, Mark] = {}
"""Of copies that were just made."""


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

    @property
    def fine(self) -> bool:
        """Whether nothing is wanting here."""
        return self.state == "ready" and (self.role == "worker" or self.reachability == "reachable")


@dataclass(frozen=True)
class Status:
    """A cluster as it is right now."""

    cluster: str
    diagnosis: Diagnosis
    nodes: tuple[NodeStatus, ...]
    taken: datetime
    store_error: RequorumError | None = None

    @property
    def exit_code(self) -> int:
        """Of the contract: fine, degraded, or quorum lost; an error where S3 could not be read."""
        if self.diagnosis.kind in NO_QUORUM:
            return LOST
        if self.diagnosis.kind is not Kind.HEALTHY or self.diagnosis.warnings or not all(n.fine for n in self.nodes):
            return DEGRADED
        return ERROR if self.store_error else FINE


def status(
    settings: Settings, survey: Survey, diagnosis: Diagnosis, copies: Sequence[Copy], error: RequorumError | None
) -> Status:
    """The status that a survey and the list of copies (newest first) amount to."""
    members = survey.leader.members if survey.leader else ()
    newest = {copy.manager: copy.taken for copy in reversed(copies)}
    nodes = tuple(_node(report, members, newest.get(report.node.name)) for report in survey.reports)
    return Status(settings.cluster, diagnosis, nodes, survey.taken, error)


def _node(report: Report, members: Sequence[Member], copied: datetime | None) -> NodeStatus:
    node = report.node
    entry = next((member for member in members if member.stands_at(node)), None)
    state = "unknown" if not members else "absent" if entry is None else "ready" if entry.ready else "down"
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
        last_copy=copied,
    )


def as_json(status: Status) -> dict[str, Any]:
    """The status as the contract has it. Times are UTC in ISO 8601, ages whole seconds."""
    return {
        "version": VERSION,
        "cluster": status.cluster,
        "clusterId": status.diagnosis.cluster_id,
        "diagnosis": str(status.diagnosis.kind),
        "evidence": list(status.diagnosis.evidence),
        "warnings": list(status.diagnosis.warnings),
        "quorum": status.diagnosis.kind not in NO_QUORUM | {Kind.ABSENT},
        "exitCode": status.exit_code,
        "taken": status.taken.isoformat(),
        "storeError": str(status.store_error) if status.store_error else None,
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
            }
            for node in status.nodes
        ],
    }


def as_tree(status: Status) -> Tree:
    """The status for eyes: zones, and in them nodes."""
    colour = {FINE: "green", DEGRADED: "yellow"}.get(status.exit_code, "red")
    identity = f" ({status.diagnosis.cluster_id})" if status.diagnosis.cluster_id else ""
    tree = Tree(f"cluster [bold]{status.cluster}[/]{identity}: [{colour}]{status.diagnosis.kind}[/]")
    for zone in sorted({node.zone for node in status.nodes}):
        branch = tree.add(f"zone {zone}")
        for node in status.nodes:
            if node.zone == zone:
                branch.add(_line(node, status.taken))
    if status.diagnosis.kind is not Kind.HEALTHY:
        tree.add(f"[{colour}]{escape(status.diagnosis.evidence[0])}[/]")
    for warning in status.diagnosis.warnings:
        tree.add(f"[yellow]{escape(warning)}[/]")
    if status.store_error:
        tree.add(f"[red]copies unknown: {escape(status.store_error.why)}[/]")
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


def copies_table(
    copies: Sequence[tuple[Copy, Manifest | DamagedCopy]],
    now: datetime,
    marks: Mapping[Copy, Mark] = NO_MARKS,
    *,
    sites: bool = False,
) -> Table:
    """The copies for eyes, newest first; with ``sites``, where they lie."""
    longest = max((len(copy.name) for copy, _ in copies), default=0)
    table = Table(box=None)
    table.add_column("copy", no_wrap=True, min_width=longest)
    for heading in ("age", "kind", "size", "swarm", "objects", "proof", "kept", *(("sites",) if sites else ())):
        table.add_column(heading)
    for copy, manifest in copies:
        age = span(_age(now, copy.taken) or 0)
        kept = escape(marks[copy].text) if copy in marks else ""
        rest = (kept, *((" and ".join(copy.sites),) if sites else ()))
        if isinstance(manifest, DamagedCopy):
            table.add_row(copy.name, age, "", "", "", "", f"[red]{escape(manifest.why)}[/]", *rest)
            continue
        objects = sum(len(ids) for ids in manifest.inventory.objects.values())
        proof = manifest.verdict if manifest.verdict is not Verdict.FAILED else "[red]failed[/]"
        size = f"{manifest.size:,} B"
        table.add_row(copy.name, age, manifest.kind, size, manifest.cluster_id, str(objects), proof, *rest)
    return table


def copies_json(
    cluster: str, copies: Sequence[tuple[Copy, Manifest | DamagedCopy]], marks: Mapping[Copy, Mark] = NO_MARKS
) -> dict[str, Any]:
    """The copies as the contract has them."""
    shown = [{**_copy_json(copy, manifest), "keep": _mark_json(marks.get(copy))} for copy, manifest in copies]
    return {"version": VERSION, "cluster": cluster, "copies": shown}


def prune_table(decisions: Sequence[Decision[C]], now: datetime) -> Table:
    """What stays and what goes, and why, for eyes."""
    longest = max((len(decision.copy.name) for decision in decisions), default=0)
    table = Table(box=None)
    table.add_column("copy", no_wrap=True, min_width=longest)
    for heading in ("age", "", "why"):
        table.add_column(heading)
    for decision in decisions:
        age = span(_age(now, decision.copy.taken) or 0)
        fate = "keep" if decision.keep else "[red]remove[/]"
        table.add_row(decision.copy.name, age, fate, escape("; ".join(decision.reasons)))
    return table


def prune_json(
    cluster: str, decisions: Sequence[Decision[Copy]], removals: Sequence[Removal[Copy]], *, dry_run: bool
) -> dict[str, Any]:
    """What stays and what goes, why, and what came of it, as the contract has it."""
    errors = {removal.decision.copy: removal.error for removal in removals}
    return {
        "version": VERSION,
        "cluster": cluster,
        "dryRun": dry_run,
        "copies": [
            {
                "name": decision.copy.name,
                "key": decision.copy.key,
                "manager": decision.copy.manager,
                "taken": decision.copy.taken.isoformat(),
                "manifest": not decision.half,
                "keep": decision.keep,
                "reasons": list(decision.reasons),
                "removed": decision.copy in errors and error is None,
                "error": error.why if error else None,
            }
            for decision in decisions
            for error in [errors.get(decision.copy)]
        ],
    }


def _mark_json(mark: Mark | None) -> dict[str, Any] | None:
    if mark is None:
        return None
    return {"reason": mark.reason, "who": mark.who, "when": mark.when.isoformat() if mark.when else None}


def _copy_json(copy: Copy, manifest: Manifest | DamagedCopy) -> dict[str, Any]:
    common = {
        "name": copy.name,
        "key": copy.key,
        "manager": copy.manager,
        "taken": copy.taken.isoformat(),
        "sites": list(copy.sites),
    }
    if isinstance(manifest, DamagedCopy):
        return {**common, "error": manifest.why}
    return {
        **common,
        "error": None,
        "clusterId": manifest.cluster_id,
        "nodeId": manifest.node_id,
        "engine": manifest.engine,
        "kind": manifest.kind,
        "size": manifest.size,
        "rawBytes": manifest.raw_bytes,
        "stoppedSeconds": manifest.stopped_seconds,
        "sha256": manifest.sha256,
        "versionIndex": manifest.inventory.index,
        "inventory": {kind: sorted(ids) for kind, ids in manifest.inventory.objects.items()},
        "autolock": manifest.autolock,
        "recipients": list(manifest.recipients),
        "proof": _proof_json(manifest.proof),
    }


def drills_table(drills: Sequence[Drill]) -> Table:
    """What drills came to, for eyes."""
    table = Table(box=None)
    table.add_column("copy", no_wrap=True, min_width=max((len(done.copy.name) for done in drills), default=0))
    for heading in ("on", "engine", "back after", "would lose", "change", "result"):
        table.add_column(heading)
    for done in drills:
        proof = done.proof
        result = (
            str(proof.verdict)
            if proof.verdict is Verdict.PROVEN
            else f"[red]{proof.verdict}: {escape(proof.detail)}[/]"
        )
        lost = f"the last {span(int(done.rpo))}"
        table.add_row(
            done.copy.name, done.node, proof.engine, f"{done.rto:.1f} s", lost, str(proof.version_index), result
        )
    return table


def drills_json(cluster: str, drills: Sequence[Drill]) -> dict[str, Any]:
    """What drills came to, as the contract has it."""
    done = [
        {"copy": d.copy.name, "node": d.node, "rto": d.rto, "rpo": d.rpo, "proof": _proof_json(d.proof)} for d in drills
    ]
    return {"version": VERSION, "cluster": cluster, "drills": done}


def _proof_json(proof: Proof | None) -> dict[str, Any] | None:
    if proof is None:
        return None
    return {
        "verdict": str(proof.verdict),
        "at": proof.at.isoformat(),
        "detail": proof.detail,
        "engine": proof.engine,
        "seconds": proof.seconds,
        "recoverySeconds": proof.recovery_seconds,
        "versionIndex": proof.version_index,
    }


def plan_json(assessment: Assessment) -> dict[str, Any]:
    """Diagnosis and plan as the contract has them."""
    plan = assessment.plan
    return {
        "version": VERSION,
        "diagnosis": str(assessment.diagnosis.kind),
        "evidence": list(assessment.diagnosis.evidence),
        "id": plan.id,
        "copy": plan.copy,
        "survivor": plan.survivor,
        "unsure": plan.unsure,
        "losses": list(plan.losses),
        "refusal": asdict(plan.refusal) if plan.refusal else None,
        "steps": [{**asdict(step), "action": str(step.action)} for step in plan.steps],
    }


def doctor_code(diagnosis: Diagnosis, cases: Sequence[Case]) -> int:
    """Of the contract: fine, degraded, or quorum lost."""
    if diagnosis.kind in NO_QUORUM:
        return LOST
    return FINE if diagnosis.kind is Kind.HEALTHY and not (cases or diagnosis.warnings) else DEGRADED


def doctor_json(diagnosis: Diagnosis, cases: Sequence[Case]) -> dict[str, Any]:
    """The cases as the contract has them."""
    return {
        "version": VERSION,
        "diagnosis": str(diagnosis.kind),
        "warnings": list(diagnosis.warnings),
        "exitCode": doctor_code(diagnosis, cases),
        "cases": [
            {
                "node": case.node,
                "trouble": case.trouble,
                "proposals": [{**asdict(proposal), "remedy": str(proposal.remedy)} for proposal in case.proposals],
            }
            for case in cases
        ],
    }


def doctor_lines(diagnosis: Diagnosis, cases: Sequence[Case]) -> tuple[str, ...]:
    """The cases for eyes."""
    lines = [*diagnosis.warnings]
    for case in cases:
        lines.append(f"{case.node}: {case.trouble}")
        for number, proposal in enumerate(case.proposals, 1):
            refused = f" [not now: {proposal.refused}]" if proposal.refused else ""
            lines += [f"  {number}. {proposal.command}{refused}", f"     {proposal.effect}"]
    return tuple(lines) or ("nothing ails",)


def _age(now: datetime, then: datetime | None) -> int | None:
    return None if then is None else int((now - then).total_seconds())


def span(seconds: int) -> str:
    """A time in seconds in words, by the largest unit of which there are two."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
