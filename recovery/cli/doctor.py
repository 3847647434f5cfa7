"""The command that lists unhealthy nodes and what may repair them."""

import typer

from recovery.cli.console import FileOption, JsonOption, StackOption, app, examples, opened, out, print_json
from recovery.cli.progress import progress
from recovery.cli.show.doctor import doctor_code, doctor_json, doctor_lines
from recovery.cli.status import conditions, differs, look
from recovery.cluster import Cluster
from recovery.errors import RequorumError
from recovery.operations.assess import assess
from recovery.planning.conditions import Condition
from recovery.planning.diagnosis import Diagnosis, Kind
from recovery.planning.doctor import examine
from recovery.planning.guidance import Guidance, guide
from recovery.planning.readiness import completed
from recovery.swarm.model import Survey


@app.command("doctor", epilog=examples("requorum doctor", "requorum doctor --json"))
def doctor(stack: StackOption = "", config_file: FileOption = None, as_json: JsonOption = False) -> None:
    """List unhealthy nodes and the commands that may repair them, least disruptive first.

    Changes nothing. Exit status as of status: 0 fine, 1 error, 3 degraded, 4 quorum lost, 5 not seen from here.
    """
    with opened(stack, config_file, as_json=as_json) as cluster:
        with progress("asking the nodes and S3", as_json=as_json):
            seen, diagnosis, guidance, known = _examined(cluster)
        cases = examine(cluster.settings, seen, diagnosis)
        code = doctor_code(diagnosis, guidance, known)
        if as_json:
            print_json(doctor_json(diagnosis, cases, guidance, known))
        else:
            lines = doctor_lines(diagnosis, cases, guidance, known)
            out.print("\n".join((f"cluster {cluster.settings.cluster}: {guidance.state}", *lines)))
    raise typer.Exit(code)


def _examined(cluster: Cluster) -> tuple[Survey, Diagnosis, Guidance, tuple[Condition, ...]]:
    """Survey, diagnosis, guidance and conditions.

    A recovery is assessed as `requorum plan` does, because its command needs the plan's ID.
    """
    settings, now = cluster.settings, look(cluster)
    if now.diagnosis.kind in (Kind.QUORUM_LOST, Kind.ALL_LOST) and now.stock.error is None:
        try:
            found = assess(cluster)
        except RequorumError:
            pass  # the guidance names `requorum plan`, which shows the error
        else:
            return found.survey, found.diagnosis, found.guidance(settings), found.conditions
    known, changed = conditions(cluster, now), differs(cluster, now).alters
    guidance = guide(settings, now.survey, now.diagnosis, changed=changed, unfinished=now.unfinished)
    return now.survey, now.diagnosis, completed(guidance, now.diagnosis.kind, known, now.stock.error), known
