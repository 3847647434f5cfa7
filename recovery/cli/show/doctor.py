"""Unhealthy nodes and the commands that may repair them, as lines or as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from recovery.cli.show.cluster import conditions_code, state_code
from recovery.cli.show.contract import VERSION
from recovery.planning.conditions import Condition, unmet
from recovery.planning.diagnosis import Diagnosis
from recovery.planning.doctor import Finding
from recovery.planning.guidance import Guidance


def doctor_code(diagnosis: Diagnosis, guidance: Guidance, conditions: Sequence[Condition] = ()) -> int:
    """The exit code of the contract: fine, degraded, quorum lost or not seen; error if S3 or a node cannot tell."""
    return state_code(diagnosis, guidance) or conditions_code(conditions)


def doctor_json(
    diagnosis: Diagnosis, cases: Sequence[Finding], guidance: Guidance, conditions: Sequence[Condition] = ()
) -> dict[str, Any]:
    """The cases as JSON of the contract."""
    return {
        "version": VERSION,
        "diagnosis": str(diagnosis.kind),
        **guidance.json,
        "warnings": list(diagnosis.warnings),
        "exitCode": doctor_code(diagnosis, guidance, conditions),
        "conditions": [one.json for one in conditions],
        "cases": [
            {
                "node": case.node,
                "trouble": case.trouble,
                "proposals": [
                    {**asdict(proposal), "remedy": str(proposal.remedy), "code": proposal.code}
                    for proposal in case.proposals
                ],
            }
            for case in cases
        ],
    }


def doctor_lines(
    diagnosis: Diagnosis, cases: Sequence[Finding], guidance: Guidance, conditions: Sequence[Condition] = ()
) -> tuple[str, ...]:
    """What is wrong with the cluster and what to run next, then the conditions that are not met and the cases, as lines."""
    faults = [one.line for one in unmet(conditions)]
    lines = [*(guidance.lines if guidance.meaning else ()), *diagnosis.warnings, *faults]
    for case in cases:
        lines.append(f"{case.node}: {case.trouble}")
        for number, proposal in enumerate(case.proposals, 1):
            refused = f" [not now: {proposal.refused}]" if proposal.refused else ""
            lines += [f"  {number}. {proposal.command}{refused}", f"     {proposal.effect}"]
    return tuple(lines) or ("no unhealthy node",)
