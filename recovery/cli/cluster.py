"""Commands that show the plan for the whole cluster, and carry it out."""

from dataclasses import replace

import typer

from recovery.cli.console import (
    FileOption,
    JsonOption,
    StackOption,
    YesOption,
    app,
    fail,
    opened,
    out,
    print_json,
    say,
    show,
)
from recovery.cli.show.contract import ERROR, FINE
from recovery.cli.show.plan import plan_json
from recovery.errors import Refused
from recovery.operations import lifecycle, notify
from recovery.operations.assess import Assessment, assess
from recovery.operations.notify import Subject
from recovery.operations.recover import recover_all
from recovery.planning import preparation
from recovery.settings import Settings


@app.command()
def plan(stack: StackOption = "", config_file: FileOption = None, as_json: JsonOption = False) -> None:
    """Show what `pulumi up` would change in the swarm now, or why it would refuse. Exit status 1 if it would refuse."""
    with opened(stack, config_file, as_json=as_json) as cluster:
        assessment = assess(cluster)
        refused = _refused(assessment, cluster.settings)
        guidance = assessment.guidance(cluster.settings, refused)
        if as_json:
            print_json(plan_json(assessment, guidance, refused))
        else:
            idle = () if assessment.lines or refused else ("nothing to do",)
            show((*assessment.shown(cluster.settings), *idle, *(() if refused else guidance.next)))
        if refused:
            fail(refused)


@app.command()
def recover(
    stack: StackOption = "",
    config_file: FileOption = None,
    yes: YesOption = False,
) -> None:
    """Carry out the plan without Pulumi, on machines that are up. A later `pulumi up` agrees with the result."""
    with opened(stack, config_file) as cluster, notify.telling(cluster, Subject.RECOVERY, say=say):
        found = assess(cluster)
        show(found.shown(cluster.settings))
        assessment = replace(found, plan=found.plan.agreed())
        assessment.require_safe(cluster.settings)
        needed = bool(assessment.plan.steps) or lifecycle.unproven(cluster, say=say)
        if not assessment.plan.steps:
            out.print("prove the changes of an earlier run" if needed else "nothing to do")
        if not needed or not (yes or typer.confirm("Continue?")):
            raise typer.Exit(ERROR if needed else FINE)
        health = recover_all(cluster, assessment, say=say)
        out.print(f"cluster {cluster.settings.cluster} ({health.cluster_id}) is proven. Its leader is {health.leader}")


def _refused(assessment: Assessment, settings: Settings) -> Refused | None:
    """Why `pulumi up` would refuse to begin; None if it would not."""
    try:
        assessment.require_safe(settings)
        preparation.require_nobody_cut_off(settings, assessment.survey)
    except Refused as error:
        return error
    return None
