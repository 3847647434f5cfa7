"""What happens around a change of the cluster, whoever makes it: the Pulumi program or the command line."""

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
    """Write in the journal what was found and what is to be done, right before the first effect; nothing to do, nothing written.

    The plan of a run that did nothing is forgotten: this one takes its place.
    """
    if not assessment.plan.steps:
        return
    written = _entries(settings, say)
    if all(entry.action == PLAN for entry in written):
        with _going_on(say):
            journal.clear(settings, [entry.name for entry in written])
    up = [report.node for report in assessment.survey.workers if report.in_swarm]
    facts = report_operation.opening(assessment, workload.containers(settings, up), how)
    journal.begin(settings, PLAN, settings.cluster, say, facts)
    notify.started(settings, Subject.RECOVERY, "\n".join(assessment.plan.lines), say=say)


def unproven(settings: Settings, *, say: Say) -> bool:
    """Whether something was done that no report tells of: its run ended before the proof."""
    return any(entry.action != PLAN for entry in _entries(settings, say))


def fresh_copies(settings: Settings, *, say: Say) -> None:
    """Copy every manager after a change; silent ones are left out, and said so, as the proof does.

    Of a recovery that is a step like any other, whose failure is told. Raises: the first manager's error, once all were tried.
    """
    failed: list[RequorumError] = []
    with ExitStack() as around:
        if _entries(settings, say):
            around.enter_context(notify.telling(settings, Subject.RECOVERY, say=say))
            around.enter_context(journal.step(settings, Action.SAVE, "managers", say))
        for outcome in backup(settings, say=say):
            if isinstance(outcome.error, Silent):
                say(f"{outcome.manager} is not copied: it does not answer")
            elif outcome.error:
                failed.append(outcome.error)
            elif outcome.manifest and (fault := outcome.manifest.shortfall):
                say(f"{outcome.manager}: {fault}")
        if failed:
            raise failed[0]


def finish(settings: Settings, cluster_id: str, *, how: str, say: Say) -> Health:
    """Prove the cluster; where the journal tells of anything done since the last report, write the next.

    Consent to the recovery is used up with its proof. Agents that paused for it go on.

    Raises: as `proof.prove`; StoreError. A report that cannot be written is said: the cluster is proven all the same.
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
            say(f"report {reports.write(settings, told)}: requorum report")
    notify.went_well(settings, Subject.RECOVERY, f"proven, led by {health.leader}", say=say)
    consent.spend(settings)
    return health


def explain(settings: Settings, *, say: Say) -> tuple[str, ...]:
    """The state after a failure, and what to run next; told as a failed recovery, where there may be something to recover."""
    lines: tuple[str, ...]
    try:
        now = assess(settings)
    except RequorumError as error:
        lost = True  # as far as anybody knows
        lines = (f"the cluster's state could not be read: {error}",)
    else:
        lost = now.diagnosis.kind in NO_QUORUM
        advice = "next: requorum status, then run the same command again"
        lines = (f"the cluster is now: {now.diagnosis.kind}", *now.diagnosis.evidence, advice)
    if lost or _entries(settings, say):
        notify.failed(settings, Subject.RECOVERY, "\n".join(lines), say=say)
    return lines


def _entries(settings: Settings, say: Say) -> tuple[Entry, ...]:
    """What was done since the last report; older entries are told already, deleted or not."""
    with _going_on(say):
        return journal.read(settings, after=next(iter(reports.names(settings)), ""))
    return ()


@contextmanager
def _going_on(say: Say) -> Iterator[None]:
    """What keeps the journal from being read or written is said, and stops nothing."""
    try:
        yield
    except StoreError as error:
        say(f"journal and report: {error}")


def _before(settings: Settings, entries: Sequence[Entry]) -> Before | None:
    """What the recovery that the entries tell of began from; None where none is under way."""
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
