"""The job that recovers a lost quorum, by the consent of people who merged a plan's ID or named it."""

from pathlib import Path
from typing import Annotated

import typer

from recovery.cli.ci import UNFINISHED, FolderOption, WaitOption, stack_of, update
from recovery.cli.ci_watch import WELL, left_to_others, settle, tell_issue
from recovery.cli.console import FileOption, StackOption, app, ended, examples, opened, out, say, stack_file
from recovery.cli.job import FOLDER, Job
from recovery.cli.show.contract import FINE
from recovery.cluster import Cluster
from recovery.errors import OptionError, Refused, SettingError
from recovery.forge import publish
from recovery.forge.forge import Forge, Note
from recovery.operations import pulumi, pulumi_locks, stack_files, updating, watch
from recovery.operations.assess import Assessment, assess
from recovery.pipeline.consent_line import PLAN_ID, consented
from recovery.pipeline.markdown import marker


@app.command("ci recover", epilog=examples("requorum ci recover -s production", "requorum ci recover --show -s lab"))
def recover(
    stack: StackOption = "",
    config_file: FileOption = None,
    plan: Annotated[str, typer.Option(help="The plan's ID. Default: the ID in the stack file.")] = "",
    show: Annotated[
        bool, typer.Option("--show", help="Only set the output `plan`: the ID in the stack file, or nothing.")
    ] = False,
    wait: WaitOption = 10,
    artifacts: FolderOption = FOLDER,
) -> None:
    """Carry out the plan that a merged stack file or --plan consents to. Refuses any other plan.

    If the quorum is back already, brings the cluster to what the stack file says. So the job may be run again.
    Exit status: 0 also if no ID is given, 1 error or refusal, 6 if the forge was not told.
    """
    job, file = Job(artifacts), stack_file(stack, config_file)
    name = stack or stack_of(file)
    with ended(interrupted=UNFINISHED):
        given = plan or _merged(file)
        if plan and not PLAN_ID.fullmatch(plan):
            raise OptionError("--plan", f"{plan} is no plan ID", remedy="requorum plan", code="bad-argument")
        job.output(plan=given)
        out.print(f"consent to plan {given}" if given else "the stack file consents to no plan")
        if show or not given:
            raise typer.Exit(FINE)
        status = _recover(job, name, file, given, wait)
    job.end(status)


def _merged(file: Path) -> str:
    try:
        return consented(stack_files.text_of(file))
    except ValueError as error:
        remedy = "correct the stack file"
        raise SettingError("(stack file)", f"{file}: {error}", remedy=remedy, code="unreadable-file") from None


def _recover(job: Job, name: str, file: Path, plan_id: str, wait: int) -> int:
    with stack_files.consenting(file, plan_id) as given, opened("", given, interrupted=UNFINISHED) as cluster:
        pulumi_locks.wait_until_free(cluster, name, seconds=wait * 60, say=say)
        found = assess(cluster)
        _require_same(found, plan_id)
        status = update(job, cluster, name, given)
        if status != pulumi.INTERRUPTED:
            with left_to_others():
                _tell(job, cluster, name, ended=status == FINE)
    if status == FINE:
        job.tell(lambda forge: clean(forge, name, file))
    return status


def _tell(job: Job, cluster: Cluster, name: str, *, ended: bool) -> None:
    """Tell how the swarm is after the recovery. Raises: Refused with a code of `updating.BUSY` if another is at work."""
    doing = f"recovering stack {name}"
    with updating.alone(cluster, name, doing, say=say):
        now = assess(cluster)
        updating.require_idle(cluster, name, doing, say=say)
        if not ended:
            tell_issue(job, watch.picture(cluster, name, now), "the recovery did not end", "")
        elif not now.plan.id and not now.plan.steps:
            job.tell(lambda forge: settle(forge, name))


def _require_same(found: Assessment, plan_id: str) -> None:
    """Refuse a plan that people did not consent to. Raises: Refused."""
    if found.plan.id and found.plan.id != plan_id:
        raise Refused(
            f"recovering by plan {plan_id}",
            f"the plan is now {found.plan.id}, because something changed since people consented",
            remedy="let requorum ci watch open the request of the new plan, read it, and merge it",
            code="consent-stale",
        )


def clean(forge: Forge, stack: str, file: Path) -> Note | None:
    """Ask people to merge the stack file without the line that has done its work. Raises: ForgeError."""
    path = stack_files.in_repository(file)
    current = forge.read(forge.target.main, path) or ""
    try:
        if not consented(current):
            return None
    except ValueError:
        return None
    text = stack_files.changed(Path(path), current, "")
    title = f"Stack {stack}: remove the consent that has done its work"
    body = f"{marker(stack, 'clean')}\n{WELL} The plan's ID in `{path}` stands for that plan only, and has no effect now.\n"
    return publish.request(forge, publish.Change(f"requorum/recovered-{stack}", path, text, title, body))
