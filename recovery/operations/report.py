"""The report of one recovery: what was lost, what was done and how long it took, what the proof found. Pure.

It is made from the journal's entries since the last report. So it covers every run that the recovery took.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from recovery.copies.copy import taken
from recovery.operations.outage import Outage, outage_of
from recovery.planning.checks import Check, Result
from recovery.planning.diagnosis import Diagnosis, Kind
from recovery.planning.plan import Plan
from recovery.planning.steps import Action
from recovery.steps.entry import BEGUN, DONE, FAILED, PLAN, Entry
from recovery.swarm.machines import Node

VERSION = 1
OF_RUN = ("how", "diagnosis", "evidence", "silent", "copy", "survivor", "steps")
"""What a report tells of the plan of each run."""
MAKES_QUORUM = frozenset({Action.FOUND, Action.RESTORE, Action.FORCE})
PULUMI, COMMAND_LINE = "pulumi", "command line"
NOBODY: Mapping[str, datetime] = {}


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
    data: tuple[str, ...] = ()
    """The names of the services' data in the settings."""
    nodes: tuple[Node, ...] = ()

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
        first, back = self.steps[0].begun, self.quorum_back
        return {
            "provenSeconds": round((self.ended - first).total_seconds(), 3),
            "quorumSeconds": round((back - first).total_seconds(), 3) if back else None,
        }

    @property
    def quorum_back(self) -> datetime | None:
        """When the step ended that restored the quorum; None if there is none, or if it was interrupted."""
        made = [entry for entry in self.steps if entry.action in MAKES_QUORUM and entry.outcome == DONE]
        return made[-1].begun + timedelta(seconds=made[-1].seconds or 0) if made else None

    @property
    def outage(self) -> Outage | None:
        """The loss of the quorum, and its end; None if it was never lost."""
        return outage_of(self.plans, self.quorum_back)

    @property
    def rpo(self) -> dict[str, int | None]:
        """What may be missing: the age of the restored copy, or the entries of the survivor whose commit was never confirmed.

        A swarm without a quorum changes nothing, so the age counts up to the loss. It is exact if that is known, else a
        bound. Zero if nothing was restored or forced. None means unknown.
        """
        facts, outage = self.decisive, self.outage
        none = {"lossSeconds": None, "lossAtMost": None}
        if copy := facts.get("copy"):
            planned = next(plan.begun for plan in reversed(self.plans) if plan.facts["copy"] == copy)

            def age(moment: datetime | None) -> int | None:
                return max(0, int((moment - taken(copy)).total_seconds())) if moment else None

            until = (outage.began, outage.began or outage.not_after) if outage else (None, None)
            return {"seconds": age(planned), "entries": None, **dict(zip(none, map(age, until), strict=True))}
        if facts.get("survivor"):
            return {"seconds": None, "entries": facts["unsure"], **none}
        return {"seconds": 0, "entries": 0, **none}

    @property
    def consent(self) -> dict[str, str] | None:
        """Who consented to the plan that restored the quorum, when and how; None if it needed no consent, or in an old journal."""
        plan = next((plan for plan in reversed(self.plans) if plan.facts is self.decisive), None)
        if plan is None or not plan.facts.get("id"):
            return None
        given = str(plan.facts["consent"])
        return {"id": str(plan.facts["id"]), "given": given, "by": plan.who, "at": plan.begun.isoformat()}

    @property
    def next(self) -> list[dict[str, str]]:
        """What the operator should run after the recovery, and why."""
        restores = [
            {"command": f"requorum data restore {name}", "why": f"if the data of {name} were on a lost machine"}
            for name in (self.data if self.lost else ())
        ]
        agrees = (
            [{"command": "pulumi up", "why": "to bring the Pulumi state up to date"}]
            if self.how == COMMAND_LINE
            else []
        )
        drill = {"command": "requorum copies drill", "why": "to show that the new copies can be restored"}
        return [
            {"command": "requorum status", "why": "to see every node and its newest copy"},
            drill,
            *agrees,
            *restores,
        ]

    @property
    def places(self) -> list[dict[str, str]]:
        """The nodes of the settings, with their zones."""
        return [
            {"name": node.name, "zone": node.zone, "role": node.role, "address": str(node.address)}
            for node in self.nodes
        ]

    @property
    def verdict(self) -> str:
        """The result of the proof, in one to three words."""
        warned = sum(check.result is Result.WARNING for check in self.checks)
        return f"proven, {warned} warning{'s' if warned > 1 else ''}" if warned else "proven"


def consent_given(plan: Plan, recover: bool | str, how: str) -> str:
    """How the operator consented to a plan; empty if it needs no consent."""
    if not plan.id:
        return ""
    if recover == plan.id:
        return "by its ID"
    return "at the prompt, or by --yes" if how == COMMAND_LINE else "by recover: true"


def opening(
    plan: Plan,
    diagnosis: Diagnosis,
    containers: Mapping[str, Mapping[str, str]],
    how: str,
    *,
    consent: str = "",
    copied: datetime | None = None,
    leader_seen: Mapping[str, datetime] = NOBODY,
) -> dict[str, Any]:
    """What the journal records of a plan before its first change."""
    return {
        "how": how,
        "id": plan.id,
        "consent": consent,
        "copied": copied.isoformat() if copied else None,
        "leaderSeen": {name: moment.isoformat() for name, moment in leader_seen.items()},
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
        "nodes": account.places,
        "copy": facts.get("copy"),
        "survivor": facts.get("survivor"),
        "losses": facts.get("losses", []),
        "begun": account.steps[0].begun.isoformat(),
        "ended": account.ended.isoformat(),
        "loss": account.outage.loss if account.outage else None,
        "outage": account.outage.length if account.outage else None,
        "consent": account.consent,
        "rto": account.rto,
        "rpo": account.rpo,
        "verdict": account.verdict,
        "by": account.proof.who,
        "how": account.how,
        "runs": [
            {
                "begun": plan.begun.isoformat(),
                "by": plan.who,
                **{key: plan.facts[key] for key in OF_RUN},
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
        "next": account.next,
    }


OUTCOMES = {BEGUN: "interrupted", DONE: "done", FAILED: "failed"}
"""The outcomes as the report names them. A step that began and never ended was interrupted: its run was killed."""
