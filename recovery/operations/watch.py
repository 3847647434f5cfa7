"""Gathers what a watcher bases its decision on, and what it tells."""

from collections.abc import Sequence
from datetime import UTC, datetime

from recovery.cluster import Cluster
from recovery.copies.copy import TIME
from recovery.errors import Refused
from recovery.operations import reports
from recovery.operations.assess import Assessment
from recovery.pipeline.picture import Picture
from recovery.pipeline.watching import Seen
from recovery.planning.conditions import Condition, State, unmet
from recovery.planning.diagnosis import Diagnosis
from recovery.planning.plan import Plan
from recovery.steps import journal
from recovery.steps.entry import PLAN
from recovery.swarm.model import ACCESS_FAULTS, Reach, Survey


def seen(cluster: Cluster, found: Assessment) -> Seen:
    """What there is to decide about. Raises: StoreError."""
    return Seen(
        found.diagnosis.kind,
        found.plan,
        found.guidance(cluster.settings).well,
        silent(found.survey, found.diagnosis),
        faults(found.conditions),
        begun(cluster),
    )


def silent(survey: Survey, diagnosis: Diagnosis) -> tuple[str, ...]:
    """The nodes that Requorum cannot ask, and that are not known to be lost."""
    asked = (Reach.SILENT, *ACCESS_FAULTS)
    names = [report.node.name for report in survey.reports if report.reach in asked and not report.known_lost]
    return tuple(dict.fromkeys((*names, *diagnosis.silent)))


def faults(conditions: Sequence[Condition]) -> tuple[str, ...]:
    """The failed conditions of a recovery. A machine that only watches needs no identity."""
    return tuple(one.line for one in conditions if one.state is State.FAILED and not one.here)


def begun(cluster: Cluster) -> tuple[datetime, ...]:
    """When changes of the swarm were begun, as their plans in the journal and their reports tell. Raises: StoreError."""
    plans = [name.split("-")[0] for name in journal.names(cluster) if name.split("-")[1] == PLAN]
    return tuple(datetime.strptime(time, TIME).replace(tzinfo=UTC) for time in (*plans, *reports.names(cluster)))


def unplanned(diagnosis: Diagnosis, plan: Plan, survey: Survey) -> Seen:
    """What there is to decide about if no plan could be made, for example without an identity that opens copies."""
    return Seen(diagnosis.kind, plan, False, silent(survey, diagnosis))


def picture(cluster: Cluster, stack: str, found: Assessment, refused: Refused | None = None) -> Picture:
    """The assessment as jobs tell of it."""
    return Picture(
        stack,
        found.survey,
        found.diagnosis,
        found.guidance(cluster.settings, refused),
        found.plan,
        found.lines,
        refused.why if refused else "",
        tuple(one.line for one in unmet(found.conditions)),
    )


def copied_at(cluster: Cluster) -> str:
    """When the newest copy was taken, in words; empty if there is none. Raises: StoreError."""
    found = cluster.catalog().copies
    return f"{max(copy.dated for copy in found):%Y-%m-%d %H:%M:%S} UTC" if found else ""
