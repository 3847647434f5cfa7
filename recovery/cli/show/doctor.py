"""What the doctor found and the commands that may repair it, as lines or as JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from recovery.cli.show.cluster import conditions_code, state_code
from recovery.cli.show.contract import DEGRADED, ERROR, FINE, VERSION
from recovery.planning.conditions import Condition
from recovery.planning.diagnosis import Diagnosis
from recovery.planning.findings.finding import Finding, Proposal, Weight
from recovery.planning.guidance import Guidance

HEALTHY = "nothing is wrong"


@dataclass(frozen=True)
class Examined:
    """A cluster as the doctor sees it."""

    diagnosis: Diagnosis
    findings: tuple[Finding, ...]
    guidance: Guidance
    conditions: tuple[Condition, ...] = ()
    unseen: tuple[str, ...] = ()
    """What was not seen of nodes, a line each."""
    blind: tuple[str, ...] = ()
    """The nodes that answered and were not looked at, a line each."""

    @property
    def code(self) -> int:
        """The exit status."""
        code = doctor_code(self.diagnosis, self.guidance, self.conditions, self.findings)
        return code or (ERROR if self.blind else FINE)


def doctor_code(
    diagnosis: Diagnosis, guidance: Guidance, conditions: Sequence[Condition] = (), findings: Sequence[Finding] = ()
) -> int:
    """The exit code of the contract: fine, degraded, quorum lost or not seen; error if S3 or a node cannot tell."""
    wrong = any(one.weight is not Weight.ADVICE for one in findings)
    return state_code(diagnosis, guidance) or conditions_code(conditions) or (DEGRADED if wrong else FINE)


def doctor_json(examined: Examined) -> dict[str, Any]:
    """The findings as JSON of the contract."""
    return {
        "version": VERSION,
        "diagnosis": str(examined.diagnosis.kind),
        **examined.guidance.json,
        "warnings": list(examined.diagnosis.warnings),
        "exitCode": examined.code,
        "conditions": [one.json for one in examined.conditions],
        "unseen": [*examined.blind, *examined.unseen],
        "cases": [
            {
                "name": case.name,
                "kind": str(case.kind),
                "node": case.node,
                "trouble": case.trouble,
                "weight": str(case.weight),
                "evidence": list(case.evidence),
                "fixable": case.fix is not None,
                "proposals": [_proposal(one) for one in case.proposals],
            }
            for case in examined.findings
        ],
    }


def _proposal(of: Proposal) -> dict[str, Any]:
    runs = [{"node": run.node, "argv": list(run.argv)} for run in of.runs]
    told = {"remedy": str(of.remedy), "command": of.command, "effect": of.effect, "refused": of.refused}
    return {**told, "code": of.code, "runs": runs}


def doctor_lines(examined: Examined) -> tuple[str, ...]:
    """What is wrong with the cluster and what to run next, then the findings with their repairs, as lines."""
    guidance = examined.guidance
    lines = [*(guidance.lines if guidance.meaning else ()), *examined.diagnosis.warnings]
    for finding in examined.findings:
        lines += finding_lines(finding)
    return (*lines, *examined.blind, *examined.unseen) or (HEALTHY,)


def finding_lines(finding: Finding) -> Iterator[str]:
    """One finding: what is wrong, its name, the evidence, and the commands to try in this order."""
    advice = "advice: " if finding.weight is Weight.ADVICE else ""
    yield f"{finding.node}: {advice}{finding.trouble} [{finding.name}]"
    yield from (f"     {line}" for line in finding.evidence)
    for number, proposal in enumerate(finding.proposals, 1):
        refused = f" [not now: {proposal.refused}]" if proposal.refused else ""
        yield f"  {number}. {proposal.command}{refused}"
        yield f"     {proposal.effect}"
