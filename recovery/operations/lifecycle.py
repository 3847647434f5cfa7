"""What happens before and after a change of the cluster, by the Pulumi program or by the command line."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

from recovery.cluster import Cluster
from recovery.copies import layout
from recovery.errors import Limited, LocalError, RequorumError, Silent, SlowLogin, StoreError
from recovery.operations import consent, former, notify, reports
from recovery.operations import report as report_operation
from recovery.operations.assess import Assessment, assess
from recovery.operations.backup import backup
from recovery.operations.notify import Subject
from recovery.operations.outage import LOST
from recovery.operations.report import RecoveryReport
from recovery.planning.checks import Before
from recovery.planning.diagnosis import NO_QUORUM
from recovery.planning.steps import Action
from recovery.progress import Say
from recovery.s3.lease import operator
from recovery.steps import journal, prove
from recovery.steps.entry import PLAN, Entry
from recovery.steps.prove import Health
from recovery.survey import last_leader, workload
from recovery.whole_file import save


def begin(cluster: Cluster, assessment: Assessment, *, how: str, say: Say) -> None:
    """Write the diagnosis and the plan to the journal, right before the first change. An empty plan is not written.

    Plans of earlier runs that changed nothing are removed first. The format of what this program writes is declared.
    """
    with _going_on(say):
        layout.declare(cluster.store, cluster.settings.keys)
    if not assessment.plan.steps:
        return
    written = _entries(cluster, say)
    if all(entry.action == PLAN for entry in written):
        with _going_on(say):
            journal.clear(cluster, [entry.name for entry in written])
    plan, recover = assessment.plan, cluster.settings.recover
    facts = report_operation.opening(
        plan,
        assessment.diagnosis,
        workload.containers(cluster, [report.node for report in assessment.survey.workers if report.in_swarm]),
        how,
        consent=report_operation.consent_given(plan, recover, how),
        copied=assessment.copied,
        leader_seen=_leader_seen(cluster, assessment),
    )
    journal.begin(cluster, PLAN, cluster.settings.cluster, say, facts)
    notify.started(cluster, Subject.RECOVERY, "\n".join(assessment.plan.lines), say=say)


def _leader_seen(cluster: Cluster, assessment: Assessment) -> dict[str, datetime]:
    """When each node that is still in a swarm without a quorum last had a leader."""
    if assessment.diagnosis.kind not in LOST:
        return {}
    return last_leader.sessions_lost(cluster, [report.node for report in assessment.survey.reports if report.in_swarm])


def unproven(cluster: Cluster, *, say: Say) -> bool:
    """Whether a step was taken that no report covers, because its run ended before the proof."""
    return any(entry.action != PLAN for entry in _entries(cluster, say))


def fresh_copies(cluster: Cluster, *, empty: Collection[str] = (), say: Say) -> None:
    """Copy every manager after a change. Silent managers are left out and reported, as in the proof.

    Managers that are known to be ``empty`` have nothing to copy, and are reported too.
    In a recovery, the copies are a step of the journal, and a failure is notified. Raises: the first manager's error,
    after all managers were tried.
    """
    failed: list[RequorumError] = []
    with ExitStack() as around:
        if _entries(cluster, say):
            around.enter_context(notify.telling(cluster, Subject.RECOVERY, say=say))
            around.enter_context(journal.step(cluster, Action.SAVE, "managers", say))
        for outcome in backup(cluster, say=say):
            left_out = isinstance(outcome.error, Silent | SlowLogin | Limited) or outcome.manager in empty
            if outcome.error and left_out:
                say(f"{outcome.manager} was not copied: {outcome.error.why}")
            elif outcome.error:
                failed.append(outcome.error)
            elif outcome.manifest and (fault := outcome.manifest.shortfall):
                say(f"{outcome.manager}: {fault}")
        if failed:
            raise failed[0]


def finish(cluster: Cluster, cluster_id: str, *, how: str, recover: bool | str = False, say: Say) -> Health:
    """Prove the cluster. If the journal has steps since the last report, write the next report.

    The proof ends the consent to the recovery, which ``recover`` is as the settings of the run had it. Paused agents continue.
    Swarm directories that the recovery replaced go before the report: without a report, the next run proves and removes again.

    Raises: as `prove.prove`; StoreError. If the report cannot be written, that is reported: the proof is still valid.
    """
    entries = _entries(cluster, say)
    closing = Entry(Action.PROVE, "swarm", datetime.now(UTC), operator())
    try:
        health = prove.prove(cluster, cluster_id, before=_before(cluster, entries), say=say)
    except RequorumError as error:
        if entries:
            journal.end(cluster, closing, say, error=error.why)
            notify.failed(cluster, Subject.RECOVERY, str(error), say=say)
        raise
    finally:
        cluster.resume_agents()
    former.remove(cluster, cluster_id, health.checks, say=say)
    if entries:
        closing = closing.ended(datetime.now(UTC))
        entries = _entries(cluster, say) or entries  # the proof may have restarted an engine
        of, data, nodes = cluster.settings.cluster, tuple(cluster.settings.data), cluster.settings.nodes
        told = RecoveryReport(of, cluster_id, health.leader, entries, closing, how, health.checks, data, nodes)
        with _going_on(say):
            name, page = reports.write(cluster, told)
            say(f"the report is saved: requorum reports {name}")
            if file := cluster.settings.report_page:
                save(file, page)
                say(f"its page is written: {file}")
    notify.went_well(cluster, Subject.RECOVERY, f"the cluster is proven, its leader is {health.leader}", say=say)
    consent.settle(cluster, recover)
    return health


def explain(cluster: Cluster, *, say: Say) -> tuple[str, ...]:
    """The state after a failure. The error that the operator reads after it has the next command.

    Notifies a failed recovery, if one may be needed, with the next command for this state.
    """
    lines: tuple[str, ...]
    following: tuple[str, ...] = ()
    try:
        now = assess(cluster)
    except RequorumError as error:
        lost = True  # the state is unknown
        lines = (f"Requorum cannot read the cluster's state: {error.why}",)
    else:
        lost = now.diagnosis.kind in NO_QUORUM
        found = now.guidance(cluster.settings)
        lines = (f"the cluster is now: {found.state}", *found.text, *now.diagnosis.evidence)
        following = found.next
    if lost or _entries(cluster, say):
        notify.failed(cluster, Subject.RECOVERY, "\n".join((*lines, *following)), say=say)
    return lines


def _entries(cluster: Cluster, say: Say) -> tuple[Entry, ...]:
    """The journal's entries since the last report. Older entries, deleted or not, are in a report already."""
    with _going_on(say):
        return journal.read(cluster, after=reports.newest(cluster, cluster.store))
    return ()


@contextmanager
def _going_on(say: Say) -> Iterator[None]:
    """Go on if the journal, a report or its page cannot be read or written, and report the error."""
    try:
        yield
    except (StoreError, LocalError) as error:
        say(f"Requorum cannot read or write the journal, the report or its page: {error}")


def _before(cluster: Cluster, entries: Sequence[Entry]) -> Before | None:
    """The state before the recovery that the entries belong to; None if no recovery is under way."""
    if not entries:
        return None
    containers = report_operation.containers_before(entries)
    copies = [entry.facts["copy"] for entry in entries if entry.facts.get("copy")]
    if not copies:
        return Before(containers)
    try:
        catalog = cluster.catalog()
        return Before(containers, copies[-1], catalog.manifest(catalog.named(copies[-1])).inventory)
    except RequorumError:
        return Before(containers)
