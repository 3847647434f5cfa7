"""The zones of a cluster as a diagram, in the language of Mermaid, which forges draw."""

from recovery.planning.diagnosis import Diagnosis
from recovery.swarm.model import NodeReport, Reach, Survey

FINE, SILENT, LOST, OTHER = "fine", "silent", "lost", "other"
COLOURS = {
    FINE: "fill:#d4edda,stroke:#28a745,color:#000",
    SILENT: "fill:#fff3cd,stroke:#856404,color:#000",
    LOST: "fill:#f8d7da,stroke:#721c24,color:#000",
    OTHER: "fill:#e2e3e5,stroke:#6c757d,color:#000",
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
                text, state = _words(report, survey, diagnosis)
                name = _label(report.node.name)
                lines.append(f'    {numbered[report.node.name]}["{name}<br/>{text}"]:::{state}')
        lines.append("  end")
    return [*lines, *(f"  classDef {state} {colours}" for state, colours in COLOURS.items())]


def _words(report: NodeReport, survey: Survey, diagnosis: Diagnosis) -> tuple[str, str]:
    """What the node is, and its colour."""
    role, entry = report.node.role, survey.entry(report.node)
    if report.known_lost or report.node.name in diagnosis.missing:
        return f"{role}, lost", LOST
    if report.reach is not Reach.ANSWERS:
        return f"{role}, {report.reach}", SILENT
    if entry is None:
        return role, OTHER
    if entry.leader:
        return "leader", FINE
    ready = entry.ready and (role == "worker" or entry.reachable)
    return (role, FINE) if ready else (f"{role}, not ready", OTHER)


def _label(text: str) -> str:
    return text.replace('"', "#quot;")
