"""The jobs of a pipeline that look at a cluster, and that bring it to what the stack file says."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from recovery.cli.cluster import why_refused
from recovery.cli.console import (
    FileOption,
    StackOption,
    app,
    cluster_of,
    ended,
    err,
    examples,
    fail,
    opened,
    out,
    say,
    show,
    stack_file,
)
from recovery.cli.job import FOLDER, Job, status_of
from recovery.cli.show import cluster as show_cluster
from recovery.cli.show.contract import DEGRADED, ERROR, FINE, LOST
from recovery.cli.show.plan import plan_json
from recovery.cli.status import status_of as cluster_status
from recovery.cluster import Cluster
from recovery.errors import RequorumError
from recovery.forge import publish
from recovery.forge.forge import Forge
from recovery.operations import pulumi, pulumi_locks, stack_files, updating, watch
from recovery.operations.assess import assess
from recovery.operations.page.markdown import as_markdown
from recovery.pipeline.locks import LONGEST_JOB
from recovery.pipeline.markdown import marker
from recovery.pipeline.picture import Resources, failed, preview

FolderOption = Annotated[Path, typer.Option("--artifacts", help="The folder for the job's files.")]
WaitOption = Annotated[int, typer.Option(min=0, help="Minutes to wait for another update of the stack.")]
DRIFT = "comparing the cluster with its stack file"
UNFINISHED = "the update stops after the step it works on. next: run the same job again, which goes on from there"


@app.command("ci preview", epilog=examples("requorum ci preview -s production", "requorum ci preview --config-file f"))
def preview_job(
    stack: StackOption = "",
    config_file: FileOption = None,
    resources: Annotated[
        bool, typer.Option("--resources/--no-resources", help="Also run `pulumi preview`, for the stack's resources.")
    ] = True,
    drift: Annotated[
        bool, typer.Option("--drift", help="Report what an update would change in one issue. Close it if nothing.")
    ] = False,
    artifacts: FolderOption = FOLDER,
) -> None:
    """Comment on a pull request with the state of the cluster and the plan. Changes nothing.

    Exit status: 0 if an update would work or lacks only consent, 1 if it would be refused, 3 with --drift if it would
    change something, 6 if the forge was not told.
    """
    job, file = Job(artifacts), stack_file(stack, config_file)
    name = stack or stack_of(file)
    with ended():
        try:
            stack_files.require_plain(file)
            stack_files.require_within(file, stack_file(name, None))
            status, text, changes = _previewed(job, name, file, resources=resources or drift, drift=drift)
        except RequorumError as error:
            if drift and error.code in updating.BUSY:
                raise  # what is half done is no difference
            status, text, changes = status_of(error), failed(name, str(error), job.run), True
            err.print(str(error), style="red", markup=False, soft_wrap=True)
    job.keep("comment.md", text)
    job.summarize(text)
    if drift:
        _tell_drift(job, name, text, changes)
        job.end(status or (DEGRADED if changes else FINE))
    job.tell(lambda forge: comment(forge, job.fit(text), name))
    job.end(status)


def _tell_drift(job: Job, stack: str, text: str, changes: bool) -> None:
    """Open, edit or close the issue about what an update would change."""
    mark = marker(stack, "drift")
    if changes:
        body = text.replace(marker(stack), mark, 1)
        job.tell(lambda forge: publish.issue(forge, mark, f"Stack {stack}: it differs from git", job.fit(body)))
    else:
        job.tell(lambda forge: publish.close_issue(forge, mark, "An update would change nothing."))


def comment(forge: Forge, text: str, stack: str) -> None:
    """Post or edit the stack's comment, if a pull request started this job. Raises: ForgeError."""
    if forge.target.request is not None:
        publish.comment(forge, forge.target.request, marker(stack), text)


def _previewed(job: Job, name: str, file: Path, *, resources: bool, drift: bool) -> tuple[int, str, bool]:
    """The exit status, the comment, and whether an update would change something.

    A drift is looked for while nobody is at work. Raises: Refused with a code of `updating.BUSY` if another is.
    """
    cluster = cluster_of("", file)
    if drift:
        updating.require_idle(cluster, name, DRIFT, say=say)
    assessment = assess(cluster)
    refused = why_refused(assessment, cluster)
    found = watch.picture(cluster, name, assessment, refused)
    job.keep("plan.json", plan_json(assessment, found.guidance, refused))
    job.keep("status.json", show_cluster.as_json(cluster_status(cluster)))
    lacks_consent = bool(assessment.plan.refusal and assessment.plan.refusal.consent)
    ok = refused is None
    seen: Resources | None = None
    if resources and ok:
        seen = pulumi.preview(["--stack", name, "--config-file", str(file.resolve())], folder=Path.cwd())
        ok = not seen.fault
    if drift:
        updating.require_idle(cluster, name, DRIFT, say=say)
    job.output(plan=assessment.plan.id, diagnosis=str(assessment.diagnosis.kind))
    changes = bool(found.lines or (seen and seen.changed) or not ok)
    return FINE if ok or lacks_consent else ERROR, preview(found, seen, job.run), changes


def stack_of(file: Path) -> str:
    """The name of the stack with this file."""
    return file.name.removeprefix("Pulumi.").removesuffix(".yaml")


@app.command("ci up", epilog=examples("requorum ci up --stack production", "requorum ci up -s production --wait 0"))
def up(
    stack: StackOption = "", config_file: FileOption = None, wait: WaitOption = 10, artifacts: FolderOption = FOLDER
) -> None:
    """Bring the cluster to what the stack file says. Never recovers a lost quorum.

    Removes a stale lock of Pulumi first, and waits for one that is not stale. Passes SIGINT and SIGTERM on to pulumi, and waits for its end.
    Exit status: 0, 1 error or refusal, 4 if a recovery needs consent (`requorum ci recover`), 6 if the forge was not told.
    """
    job, file = Job(artifacts), stack_file(stack, config_file)
    name = stack or stack_of(file)
    with without_consent(file) as (given, cluster):
        pulumi_locks.wait_until_free(cluster, name, seconds=wait * 60, say=say)
        found = assess(cluster)
        if found.plan.id:
            show((*found.shown(cluster.settings), f"next: requorum ci recover --plan {found.plan.id}"))
            job.end(LOST)
        status = update(job, cluster, name, given)
    job.end(status)


@contextmanager
def without_consent(file: Path) -> Iterator[tuple[Path, Cluster]]:
    """The cluster of a stack file without the consent in it, and the file for Pulumi. Errors end the command."""
    try:
        with stack_files.consenting(file, "") as given, opened("", given, interrupted=UNFINISHED) as cluster:
            yield given, cluster
    except RequorumError as error:
        fail(error)


def update(job: Job, cluster: Cluster, stack: str, file: Path) -> int:
    """Run `pulumi up`, and put a new report of it into the summary; the exit status. Raises: LocalError, StoreError."""
    status, made = updating.update(cluster, stack, file)
    for document in made:
        page = as_markdown(document)
        job.keep(f"report-{document['name']}.json", dict(document))
        job.keep(f"report-{document['name']}.md", page)
        job.summarize(page)
    return status if status in (FINE, pulumi.INTERRUPTED) else ERROR


@app.command("ci unlock", epilog=examples("requorum ci unlock -s production", "requorum ci unlock --after 30"))
def unlock(
    stack: StackOption = "",
    config_file: FileOption = None,
    after: Annotated[
        int, typer.Option(min=1, help="Minutes after which no job of another machine can still run.")
    ] = int(LONGEST_JOB.total_seconds() // 60),
) -> None:
    """Remove Pulumi's lock if its holder is provably dead.

    Exit status: 0 if no lock is left, 3 if a lock is left because its holder may be alive.
    """
    file = stack_file(stack, config_file)
    name = stack or stack_of(file)
    with opened("", file) as cluster:
        verdicts = pulumi_locks.clear(cluster, name, after=timedelta(minutes=after), say=say)
        for verdict in verdicts:
            out.print(
                f"{'removed' if verdict.stale else 'left'}: the lock of {verdict.lock.text}: {verdict.why}",
                markup=False,
                soft_wrap=True,
            )
        if not verdicts:
            out.print("no lock")
    raise typer.Exit(FINE if all(verdict.stale for verdict in verdicts) else DEGRADED)
