"""How each node of a survey stands: the word and the kind of picture for it, the same wherever a cluster is drawn. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from recovery.planning.diagnosis import Diagnosis, Kind
from recovery.swarm.model import NodeReport, Reach, Survey


class Mark(StrEnum):
    """The kinds of nodes that a picture tells apart."""

    FINE = "fine"
    SILENT = "silent"
    LOST = "lost"
    OTHER = "other"
    BACK = "back"
    """It was lost, and a recovery brought it back."""


@dataclass(frozen=True)
class Standing:
    """One node as a picture shows it."""

    role: str
    """Leader, manager or worker."""
    word: str
    """What is wrong with it; empty if nothing is, or if no leader can tell."""
    mark: Mark


def standing(report: NodeReport, survey: Survey, diagnosis: Diagnosis) -> Standing:
    """How a node stands in a survey."""
    role, entry = report.node.role, survey.entry(report.node)
    if diagnosis.kind is Kind.ABSENT:  # what never was in the swarm cannot be lost
        word = "in no swarm" if report.reach is Reach.ANSWERS else str(report.reach)
        return Standing(role, word, Mark.OTHER if report.reach in (Reach.ANSWERS, Reach.ABSENT) else Mark.SILENT)
    if report.known_lost or report.node.name in diagnosis.missing:
        return Standing(role, "lost", Mark.LOST)
    if report.reach is not Reach.ANSWERS:
        return Standing(role, str(report.reach), Mark.SILENT)
    if entry is None:
        return Standing(role, "", Mark.OTHER)
    if entry.leader:
        return Standing("leader", "", Mark.FINE)
    ready = entry.ready and (role == "worker" or entry.reachable)
    return Standing(role, "", Mark.FINE) if ready else Standing(role, "not ready", Mark.OTHER)
