"""What happens before and after a change of the cluster, by the Pulumi program or by the command line."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

from recovery.copies.catalog import Catalog
from recovery.errors import RequorumError, Silent, StoreError
from recovery.operations import consent, notify, reports
from recovery.operations import report as report_operation
from recovery.operations.assess import Assessment, assess
from recovery.operations.backup import backup
from recovery.operations.notify import Subject
from recovery.operations.report import RecoveryReport
from recovery.planning.checks import Before
from recovery.planning.diagnosis import NO_QUORUM
from recovery.planning.steps import Action
from recovery.progress import Say
from recovery.s3 import cluster_lease
from recovery.s3.lease import operator
from recovery.settings import Settings
from recovery.steps import journal, prove
from recovery.steps.entry import PLAN, Entry
from recovery.steps.prove import Health
from recovery.survey import workload


def begin(settings: Settings, assessment: Assessment, *, how: str, say: Say) -> None:
    """Write the diagnosis and the plan to the journal, right before the first change. An empty plan is not written.

    Plans of earlier runs that changed nothing are removed first.
    """
    if not assessment.plan.steps:
        return
    written = _entries(settings, say)
    if all(entry.action == PLAN for entry in written):
        with _going_on(say):
            journal.clear(settings, [entry.name for entry in written])
    up = [report.node for report in assessment.survey.workers if report.in_swarm]
    facts = report_operation.opening(assessment.plan, assessment.diagnosis, workload.containers(settings, up), how)
    journal.begin(settings, PLAN, settings.cluster, say, facts)
    notify.started(settings, Subject.RECOVERY, "\n".join(assessment.plan.lines), say=say)


def unproven(settings: Settings, *, say: Say) -> bool:
    """Whether a step was taken that no report covers, because its run ended before the proof."""
    return any(entry.action != PLAN for entry in _entries(settings, say))


def fresh_copies(settings: Settings, *, say: Say) -> None:
    """Copy every manager after a change. Silent managers are left out and reported, as in the proof.

    In a recovery, the copies are a step of the journal, and a failure is notified. Raises: the first manager's error,
    after all managers were tried.
    """
    failed: list[RequorumError] = []
    with ExitStack() as around:
        if _entries(settings, say):
            around.enter_context(notify.telling(settings, Subject.RECOVERY, say=say))
            around.enter_context(journal.step(settings, Action.SAVE, "managers", say))
        for outcome in backup(settings, say=say):
            if isinstance(outcome.error, Silent):
                say(f"{outcome.manager} was not copied, because it does not answer")
            elif outcome.error:
                failed.append(outcome.error)
            elif outcome.manifest and (fault := outcome.manifest.shortfall):
                say(f"{outcome.manager}: {fault}")
        if failed:
            raise failed[0]


def finish(settings: Settings, cluster_id: str, *, how: str, say: Say) -> Health:
    """Prove the cluster. If the journal has steps since the last report, write the next report.

    The proof ends the consent to the recovery. Paused agents continue.

    Raises: as `prove.prove`; StoreError. If the report cannot be written, that is reported: the proof is still valid.
    """
    entries = _entries(settings, say)
    closing = Entry(Action.PROVE, "swarm", datetime.now(UTC), operator())
    try:
        health = prove.prove(settings, cluster_id, before=_before(settings, entries), say=say)
    except RequorumError as error:
        if entries:
            journal.end(settings, closing, say, error=error.why)
            notify.failed(settings, Subject.RECOVERY, str(error), say=say)
        raise
    finally:
        cluster_lease.resume_agents(settings.keys)
    if entries:
        closing = closing.ended(datetime.now(UTC))
        entries = _entries(settings, say) or entries  # the proof may have restarted an engine
        told = RecoveryReport(settings.cluster, cluster_id, health.leader, entries, closing, how, health.checks)
        with _going_on(say):
            say(f"the report is saved: requorum report {reports.write(settings, told)}")
    notify.went_well(settings, Subject.RECOVERY, f"the cluster is proven, its leader is {health.leader}", say=say)
    consent.spend(settings)
    return health


def explain(settings: Settings, *, say: Say) -> tuple[str, ...]:
    """The state after a failure, and what to run next. Notifies a failed recovery, if one may be needed."""
    lines: tuple[str, ...]
    try:
        now = assess(settings)
    except RequorumError as error:
        lost = True  # the state is unknown
        lines = (f"Requorum cannot read the cluster's state: {error}",)
    else:
        lost = now.diagnosis.kind in NO_QUORUM
        advice = "next: requorum status, then run the same command again"
        lines = (f"the cluster is now: {now.diagnosis.kind}", *now.diagnosis.evidence, advice)
    if lost or _entries(settings, say):
        notify.failed(settings, Subject.RECOVERY, "\n".join(lines), say=say)
    return lines


def _entries(settings: Settings, say: Say) -> tuple[Entry, ...]:
    """The journal's entries since the last report. Older entries, deleted or not, are in a report already."""
    with _going_on(say):
        return journal.read(settings, after=next(iter(reports.names(settings)), ""))
    return ()


@contextmanager
def _going_on(say: Say) -> Iterator[None]:
    """Go on if the journal or a report cannot be read or written, and report the error."""
    try:
        yield
    except StoreError as error:
        say(f"Requorum cannot read or write the journal or the report: {error}")


def _before(settings: Settings, entries: Sequence[Entry]) -> Before | None:
    """The state before the recovery that the entries belong to; None if no recovery is under way."""
    if not entries:
        return None
    containers = report_operation.containers_before(entries)
    copies = [entry.facts["copy"] for entry in entries if entry.facts.get("copy")]
    if not copies:
        return Before(containers)
    try:
        catalog = Catalog(settings)
        return Before(containers, copies[-1], catalog.manifest(catalog.named(copies[-1])).inventory)
    except RequorumError:
        return Before(containers)
