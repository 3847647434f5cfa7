"""The report of one recovery: what was lost, what was done and how long it took, what the proof found. Pure.

It is made from the journal's entries since the last report. So it covers every run that the recovery took.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from recovery.copies.copy import taken
from recovery.planning.checks import Check, Result
from recovery.planning.diagnosis import Diagnosis, Kind
from recovery.planning.plan import Plan
from recovery.planning.steps import Action
from recovery.steps.entry import BEGUN, DONE, FAILED, PLAN, Entry

VERSION = 1
MAKES_QUORUM = frozenset({Action.FOUND, Action.RESTORE, Action.FORCE})
PULUMI, COMMAND_LINE = "pulumi", "command line"


@dataclass(frozen=True)
class RecoveryReport:
    """Everything that a report says; ``entries`` are of one recovery, oldest first."""

    cluster: str
    cluster_id: str
    leader: str
    entries: tuple[Entry, ...]
    proof: Entry
    """The step that ended the recovery."""
    how: str
    checks: tuple[Check, ...]

    @property
    def plans(self) -> tuple[Entry, ...]:
        """The plan of each run that had something to do."""
        return tuple(entry for entry in self.entries if entry.action == PLAN)

    @property
    def steps(self) -> tuple[Entry, ...]:
        """The steps that were taken, the proof last."""
        return (*(entry for entry in self.entries if entry.action != PLAN), self.proof)

    @property
    def decisive(self) -> Mapping[str, Any]:
        """The facts of the plan that restored the quorum: the last one with a copy or a survivor, else the first."""
        made = [plan.facts for plan in self.plans if plan.facts["copy"] or plan.facts["survivor"]]
        return next(reversed(made), next((plan.facts for plan in self.plans), {}))

    @property
    def lost(self) -> list[str]:
        """Every node that a plan found in no swarm. The nodes of a first build do not count as lost."""
        return sorted(
            {node for plan in self.plans if plan.facts["diagnosis"] != Kind.ABSENT for node in plan.facts["missing"]}
        )

    @property
    def ended(self) -> datetime:
        """When the proof ended."""
        return self.proof.begun + timedelta(seconds=self.proof.seconds or 0)

    @property
    def rto(self) -> dict[str, float | None]:
        """Seconds from the first effect until the cluster was proven, and until its quorum was back.

        The second is None if the quorum was never lost, or if the step that restored it was interrupted.
        """
        first = self.steps[0].begun
        made = [entry for entry in self.steps if entry.action in MAKES_QUORUM and entry.outcome == DONE]
        back = made[-1].begun + timedelta(seconds=made[-1].seconds or 0) if made else None
        return {
            "provenSeconds": round((self.ended - first).total_seconds(), 3),
            "quorumSeconds": round((back - first).total_seconds(), 3) if back else None,
        }

    @property
    def rpo(self) -> dict[str, int | None]:
        """What may be missing: the age of the restored copy when its restore was planned, or the entries of the
        survivor whose commit was never confirmed. Zero if nothing was restored or forced. None means unknown."""
        facts = self.decisive
        if copy := facts.get("copy"):
            planned = next(plan.begun for plan in reversed(self.plans) if plan.facts["copy"] == copy)
            return {"seconds": int((planned - taken(copy)).total_seconds()), "entries": None}
        return {"seconds": None, "entries": facts["unsure"]} if facts.get("survivor") else {"seconds": 0, "entries": 0}

    @property
    def verdict(self) -> str:
        """The result of the proof, in one to three words."""
        warned = sum(check.result is Result.WARNING for check in self.checks)
        return f"proven, {warned} warning{'s' if warned > 1 else ''}" if warned else "proven"


def opening(plan: Plan, diagnosis: Diagnosis, containers: Mapping[str, Mapping[str, str]], how: str) -> dict[str, Any]:
    """What the journal records of a plan before its first change."""
    return {
        "how": how,
        "diagnosis": str(diagnosis.kind),
        "evidence": list(diagnosis.evidence),
        "missing": list(diagnosis.missing),
        "silent": list(diagnosis.silent),
        "copy": plan.copy,
        "survivor": plan.survivor,
        "unsure": plan.unsure,
        "losses": list(plan.losses),
        "steps": [{"action": str(step.action), "node": step.node, "effect": step.effect} for step in plan.steps],
        "containers": {name: dict(found) for name, found in containers.items()},
    }


def containers_before(entries: Sequence[Entry]) -> dict[str, Mapping[str, str]]:
    """The containers of each worker, as recorded by the first plan that could ask the worker."""
    found: dict[str, Mapping[str, str]] = {}
    for entry in entries:
        found = {**entry.facts.get("containers", {}), **found}
    return found


def as_json(account: RecoveryReport, name: str) -> dict[str, Any]:
    """The report as JSON (docs/json.md)."""
    facts = account.decisive
    return {
        "version": VERSION,
        "name": name,
        "cluster": account.cluster,
        "clusterId": account.cluster_id,
        "leader": account.leader,
        "diagnosis": facts.get("diagnosis"),
        "lost": account.lost,
        "copy": facts.get("copy"),
        "survivor": facts.get("survivor"),
        "losses": facts.get("losses", []),
        "begun": account.steps[0].begun.isoformat(),
        "ended": account.ended.isoformat(),
        "rto": account.rto,
        "rpo": account.rpo,
        "verdict": account.verdict,
        "by": account.proof.who,
        "how": account.how,
        "runs": [
            {
                "begun": plan.begun.isoformat(),
                "by": plan.who,
                **{
                    key: plan.facts[key]
                    for key in ("how", "diagnosis", "evidence", "silent", "copy", "survivor", "steps")
                },
            }
            for plan in account.plans
        ],
        "steps": [
            {
                "action": entry.action,
                "node": entry.node,
                "begun": entry.begun.isoformat(),
                "seconds": entry.seconds,
                "outcome": OUTCOMES[entry.outcome],
                "error": entry.error,
                "by": entry.who,
            }
            for entry in account.steps
        ],
        "proof": [{**asdict(check), "result": str(check.result)} for check in account.checks],
    }


OUTCOMES = {BEGUN: "interrupted", DONE: "done", FAILED: "failed"}
"""The outcomes as the report names them. A step that began and never ended was interrupted: its run was killed."""


def as_markdown(document: Mapping[str, Any]) -> str:
    """The report as a page for readers, from its JSON."""
    rto, rpo = document["rto"], document["rpo"]
    quorum = f", quorum restored after {rto['quorumSeconds']:.1f} s" if rto["quorumSeconds"] is not None else ""
    lines = [
        f"# Cluster {document['cluster']}: {document['diagnosis'] or 'changed'}, {document['verdict']}",
        "",
        f"- swarm: {document['clusterId']}, leader {document['leader']}",
        f"- lost: {', '.join(document['lost']) or 'nothing'}",
        *([f"- restored from {document['copy']}"] if document["copy"] else []),
        *([f"- new cluster forced from {document['survivor']}"] if document["survivor"] else []),
        *(f"- note: {loss}" for loss in document["losses"]),
        f"- RTO: proven {rto['provenSeconds']:.1f} s after the first change{quorum}",
        f"- RPO: {_rpo(rpo)}",
        f"- by {document['by']} ({document['how']}), ended {document['ended']}",
    ]
    for number, run in enumerate(document["runs"], 1):
        lines += ["", f"## Run {number}: {run['diagnosis']}, {run['begun']}, by {run['by']} ({run['how']})", ""]
        lines += [f"{place}. {step['node']}: {step['effect']}" for place, step in enumerate(run["steps"], 1)]
        lines += ["", *(f"- {fact}" for fact in run["evidence"])]
    lines += ["", "## Steps", "", "| begun (UTC) | step | node | seconds | outcome |", "|---|---|---|---|---|"]
    for step in document["steps"]:
        seconds = "" if step["seconds"] is None else f"{step['seconds']:.2f}"
        outcome = step["outcome"] + (f": {_cell(step['error'])}" if step["error"] else "")
        lines.append(f"| {step['begun'][:23]} | {step['action']} | {step['node']} | {seconds} | {outcome} |")
    lines += ["", "## Proof", "", "| check | of | result | detail |", "|---|---|---|---|"]
    for check in document["proof"]:
        lines.append(f"| {check['check']} | {_cell(check['subject'])} | {check['result']} | {_cell(check['detail'])} |")
    return "\n".join(lines) + "\n"


def _rpo(rpo: Mapping[str, int | None]) -> str:
    if rpo["seconds"]:
        return f"{rpo['seconds']} s (the age of the restored copy)"
    if rpo["entries"]:
        return f"up to {rpo['entries']} log entries whose commit was never confirmed"
    return "no loss"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
