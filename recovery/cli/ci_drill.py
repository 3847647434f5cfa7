"""The job that drills the newest copies."""

from recovery.cli.ci import FolderOption, stack_of
from recovery.cli.console import FileOption, StackOption, app, examples, opened, out, say, stack_file
from recovery.cli.job import FOLDER, Job
from recovery.cli.show.contract import DEGRADED, ERROR, FINE
from recovery.cli.show.drills import drills_json
from recovery.copies.manifest import Verdict
from recovery.forge import publish
from recovery.operations import drill as drills
from recovery.operations import notify
from recovery.operations.notify import Subject
from recovery.pipeline.markdown import marker, plain

DRILLED = "no node is changed, and the results of drills that ended are stored. next: run the same job again"


@app.command("ci drill", epilog=examples("requorum ci drill --stack production", "requorum ci drill -s production"))
def drill(stack: StackOption = "", config_file: FileOption = None, artifacts: FolderOption = FOLDER) -> None:
    """Drill the newest copy of each manager, and open an issue if a drill fails. Closes the issue when all are proven.

    Exit status: as of `requorum copies drill`, 6 if the forge was not told.
    """
    job, file = Job(artifacts), stack_file(stack, config_file)
    name = stack or stack_of(file)
    with opened("", file, interrupted=DRILLED) as cluster:
        with notify.guarded(cluster, Subject.DRILL, "of the newest copies", say=say):
            catalog = cluster.catalog()
            done = list(drills.drill(cluster, catalog, catalog.newest_of_each(), on=None, say=say))
        bad = [one for one in done if one.proof.verdict is not Verdict.PROVEN]
        faults = [f"{one.copy.name}: {one.proof.verdict}: {one.proof.detail}" for one in bad]
        faults = faults or ([] if done else ["S3 has no copy of a manager in the stack file"])
        notify.outcome(cluster, Subject.DRILL, faults, f"{len(done)} copies are proven", say=say)
        job.keep("drills.json", drills_json(cluster.settings.cluster, done))
    rows = [f"| `{one.copy.name}` | {one.node} | {one.proof.verdict} | {one.rto:.1f} s |" for one in done]
    table = "\n".join(["| copy | node | verdict | RTO |", "|---|---|---|---|", *rows])
    job.summarize(table)
    mark = marker(name, "drill")
    if faults:
        text = "\n".join([mark, *(f"- {plain(fault)}" for fault in faults), "", table, ""])
        job.tell(lambda forge: publish.issue(forge, mark, f"Stack {name}: a drill failed", job.fit(text)))
    else:
        job.tell(lambda forge: publish.close_issue(forge, mark, "Every drill succeeded."))
    out.print(f"{len(done) - len(bad)} of {len(done)} copies are proven")
    proven = len(done) - len(bad)
    job.end(FINE if not faults else DEGRADED if proven else ERROR)
