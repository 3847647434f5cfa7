"""The job that watches a cluster: it looks, and heals, reports, or asks for consent.

Another watcher, a job or an operator may be at work at any moment. So it looks again once it is alone, before it heals or tells.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from recovery.cli.ci import FolderOption, stack_of, update, without_consent
from recovery.cli.console import FileOption, StackOption, app, err, examples, out, say, stack_file
from recovery.cli.job import FOLDER, Job
from recovery.cli.show import cluster as show_cluster
from recovery.cli.show.contract import DEGRADED, FINE
from recovery.cli.status import look, shown
from recovery.cluster import Cluster
from recovery.errors import Refused, SettingError
from recovery.forge import publish
from recovery.forge.forge import Forge
from recovery.operations import notify, pulumi, pulumi_locks, stack_files, updating, watch
from recovery.operations.assess import assess
from recovery.operations.notify import Subject
from recovery.pipeline.markdown import marker
from recovery.pipeline.picture import Picture, consent, issue
from recovery.pipeline.question import by_file, question, report
from recovery.pipeline.watching import TOLD, Act, Decision, Rules, Seen, decide, topic
from recovery.planning.plan import Plan, Refusal

HealOption = Annotated[
    bool, typer.Option("--heal", envvar="REQUORUM_HEAL", help="Carry out plans that need no consent.")
]
AtMostOption = Annotated[int, typer.Option(min=1, help="How many times an hour --heal begins.")]
WELL = "The swarm is healthy again."


@dataclass(frozen=True)
class Watched:
    """What a job watches, and by which rules."""

    job: Job
    stack: str
    file: Path
    """The stack file, as git has it."""
    given: Path
    """The stack file without a consent."""
    cluster: Cluster
    rules: Rules

    @property
    def doing(self) -> str:
        """What others read who wait."""
        return f"watching stack {self.stack}"


@dataclass(frozen=True)
class Look:
    """What one look at the cluster led to."""

    seen: Seen
    now: Picture
    decision: Decision

    @property
    def text(self) -> str:
        """In words."""
        return f"{self.now.guidance.state}: {self.decision.act}: {self.decision.why}"

    @property
    def status(self) -> int:
        """The exit status for what was seen."""
        return show_cluster.state_code(self.now.diagnosis, self.now.guidance) or (
            DEGRADED if self.seen.faults else FINE
        )


@app.command("ci watch", epilog=examples("requorum ci watch -s production", "requorum ci watch -s production --heal"))
def watch_job(
    stack: StackOption = "",
    config_file: FileOption = None,
    heal: HealOption = False,
    at_most: AtMostOption = Rules.at_most,
    artifacts: FolderOption = FOLDER,
) -> None:
    """Look at the cluster once, and heal it, report it, or ask for consent.

    Exit status: as of `requorum status` for the swarm as it was seen, 0 after healing, 1 error, 6 if the forge was not told.
    """
    job, file = Job(artifacts), stack_file(stack, config_file)
    with without_consent(file) as (given, cluster):
        watched = Watched(job, stack or stack_of(file), file, given, cluster, Rules(heal, at_most))
        seen = _look(watched)
        out.print(seen.text, markup=False, soft_wrap=True)
        act, status = Act.NOTHING, seen.status
        if seen.decision.act is not Act.NOTHING:
            with left_to_others():
                act, status = _act(watched, seen)
        job.output(act=str(act))
    job.end(status)


@contextmanager
def left_to_others() -> Iterator[None]:
    """Within the context, nothing more is done once another is found at work on the cluster."""
    try:
        yield
    except Refused as error:
        if error.code not in updating.BUSY:
            raise
        err.print(str(error), style="dim", markup=False, soft_wrap=True)


def _act(watched: Watched, before: Look) -> tuple[Act, int]:
    """Look again once nobody else acts, and heal or tell; what was done, and the exit status.

    Raises: Refused with a code of `updating.BUSY` if another is at work.
    """
    with updating.alone(watched.cluster, watched.stack, watched.doing, say=say):
        found = _look(watched)
        if found.decision != before.decision:
            out.print(f"another look: {found.text}", markup=False, soft_wrap=True)
        act, status = found.decision.act, found.status
        if act is Act.HEAL:
            if before.decision.act is not Act.HEAL:
                return Act.NOTHING, status  # it is new, and the next watch heals it
            return act, _heal(watched, found)
        if act in TOLD:
            updating.require_idle(watched.cluster, watched.stack, watched.doing, say=say)
            _tell(watched, found)
        return act, status


def _heal(watched: Watched, found: Look) -> int:
    """Carry the plan out; the exit status. Raises: Refused with a code of `updating.BUSY` if another came first."""
    cluster, stack = watched.cluster, watched.stack
    pulumi_locks.wait_until_free(cluster, stack, seconds=0, say=say)
    status = update(watched.job, cluster, stack, watched.given)
    if status not in (FINE, pulumi.INTERRUPTED):
        updating.require_idle(cluster, stack, watched.doing, say=say)
        _tell(watched, replace(found, decision=Decision(Act.SAY, "healing failed")))
    return status


def _tell(watched: Watched, found: Look) -> None:
    job, stack, why = watched.job, watched.stack, found.decision.why
    if found.decision.act is Act.CLOSE:
        job.tell(lambda forge: settle(forge, stack))
    elif found.decision.act is Act.SAY:
        tell_issue(job, found.now, why, "")
    else:
        request = ask(job, found.now, watched.file, watch.copied_at(watched.cluster))
        tell_issue(job, found.now, why, request)
    if job.outside:
        _notify(watched.cluster, found)


def _notify(cluster: Cluster, found: Look) -> None:
    """Tell people as a watcher does, once for each topic. The note in S3 says what an earlier job told."""
    now, act, why = found.now, found.decision.act, found.decision.why
    if act is Act.CLOSE:
        notify.went_well(cluster, Subject.WATCH, WELL, say=say)
        return
    lines, headline = report(now, why), now.guidance.state
    if act is Act.ASK:
        lines, headline = question(now, why, watch.copied_at(cluster), by_file(now)), f"consent needed: {headline}"
    about = topic(found.seen, found.decision)
    notify.failed(cluster, Subject.WATCH, "\n".join(lines), say=say, about=about, headline=headline)


def _look(watched: Watched) -> Look:
    """What is seen. Without an identity that opens copies there is no plan, and a job that has one asks for consent."""
    cluster, stack, blind = watched.cluster, watched.stack, False
    try:
        found = assess(cluster)
        seen, now = watch.seen(cluster, found), watch.picture(cluster, stack, found)
    except SettingError as error:
        blind, status = True, look(cluster)
        plan = Plan(status.diagnosis.kind, refusal=Refusal(error.why, error.remedy, code=error.code))
        guidance = shown(cluster, status).guidance
        now = Picture(stack, status.survey, status.diagnosis, guidance, plan, refusal=error.why)
        seen = watch.unplanned(status.diagnosis, plan, status.survey)
    watched.job.output(plan=now.plan.id, diagnosis=str(seen.kind), **({"blind": "true"} if blind else {}))
    return Look(seen, now, decide(seen, watched.rules, datetime.now(UTC)))


def tell_issue(job: Job, now: Picture, why: str, request: str) -> None:
    """Open or edit the stack's issue."""
    title, text = issue(now, why, request)
    job.keep("issue.md", text)
    job.summarize(text)
    job.tell(lambda forge: publish.issue(forge, marker(now.stack, "watch"), title, job.fit(text)))


def ask(job: Job, now: Picture, file: Path, copied: str) -> str:
    """Open the request that consents to the plan, if it is not open; its address."""
    title, text = consent(now, copied)
    job.keep("request.md", text)
    path = stack_files.in_repository(file)
    try:
        return job.tell(lambda forge: publish.request(forge, _change(forge, now, path, title, job.fit(text))))
    except SettingError as error:  # main has no such file, or one of another form. The issue is opened nevertheless.
        err.print(str(error), style="yellow", markup=False, soft_wrap=True)
        return ""


def _change(forge: Forge, now: Picture, path: str, title: str, text: str) -> publish.Change:
    current = forge.read(forge.target.main, path) or ""
    wanted = stack_files.changed(Path(path), current, now.plan.id)
    return publish.Change(branch_of(now.stack), path, wanted, title, text)


def branch_of(stack: str) -> str:
    """The branch of the request that consents to a plan."""
    return f"requorum/recover-{stack}"


def settle(forge: Forge, stack: str) -> None:
    """Close the issue and the request of a loss that is over. Raises: ForgeError."""
    publish.withdraw(forge, branch_of(stack))
    publish.close_issue(forge, marker(stack, "watch"), WELL)
