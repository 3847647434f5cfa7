"""Unhealthy nodes and the commands that may repair them, as lines or as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from recovery.cli.show.contract import DEGRADED, FINE, LOST, UNSEEN, VERSION
from recovery.planning.diagnosis import NO_QUORUM, Diagnosis, Kind
from recovery.planning.doctor import Finding
from recovery.planning.guidance import Guidance


def doctor_code(diagnosis: Diagnosis, cases: Sequence[Finding]) -> int:
    """The exit code of the contract: fine, degraded, quorum lost or not seen."""
    if diagnosis.kind in NO_QUORUM:
        return LOST
    if diagnosis.kind is Kind.ACCESS:
        return UNSEEN
    return FINE if diagnosis.kind is Kind.HEALTHY and not (cases or diagnosis.warnings) else DEGRADED


def doctor_json(diagnosis: Diagnosis, cases: Sequence[Finding], guidance: Guidance) -> dict[str, Any]:
    """The cases as JSON of the contract."""
    return {
        "version": VERSION,
        "diagnosis": str(diagnosis.kind),
        **guidance.json,
        "warnings": list(diagnosis.warnings),
        "exitCode": doctor_code(diagnosis, cases),
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


def doctor_lines(diagnosis: Diagnosis, cases: Sequence[Finding], guidance: Guidance) -> tuple[str, ...]:
    """What is wrong with the cluster and what to run next, then the cases, as lines."""
    lines = [*(guidance.lines if guidance.meaning else ()), *diagnosis.warnings]
    for case in cases:
        lines.append(f"{case.node}: {case.trouble}")
        for number, proposal in enumerate(case.proposals, 1):
            refused = f" [not now: {proposal.refused}]" if proposal.refused else ""
            lines += [f"  {number}. {proposal.command}{refused}", f"     {proposal.effect}"]
    return tuple(lines) or ("no unhealthy node",)
