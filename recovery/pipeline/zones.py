"""The zones of a cluster as a diagram, in the language of Mermaid, which forges draw."""

from recovery.planning.diagnosis import Diagnosis
from recovery.planning.standing import Mark, standing
from recovery.swarm.model import Survey

COLOURS = {
    Mark.FINE: "fill:#d4edda,stroke:#28a745,color:#000",
    Mark.SILENT: "fill:#fff3cd,stroke:#856404,color:#000",
    Mark.LOST: "fill:#f8d7da,stroke:#721c24,color:#000",
    Mark.OTHER: "fill:#e2e3e5,stroke:#6c757d,color:#000",
}


def diagram(survey: Survey, diagnosis: Diagnosis) -> list[str]:
    """A box for each zone, with its nodes: managers, workers, and which of them is the leader."""
    lines = ["flowchart LR"]
    zones = sorted({report.node.zone for report in survey.reports})
    numbered = {report.node.name: f"n{number}" for number, report in enumerate(survey.reports)}
    for number, zone in enumerate(zones):
        lines.append(f'  subgraph z{number}["zone {_label(zone)}"]')
        for report in survey.reports:
            if report.node.zone == zone:
                stands, name = standing(report, survey, diagnosis), _label(report.node.name)
                text = ", ".join(filter(None, (stands.role, stands.word)))
                lines.append(f'    {numbered[report.node.name]}["{name}<br/>{text}"]:::{stands.mark}')
        lines.append("  end")
    return [*lines, *(f"  classDef {state} {colours}" for state, colours in COLOURS.items())]


def _label(text: str) -> str:
    return text.replace('"', "#quot;")
