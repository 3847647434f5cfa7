"""Commands that show the plan for the whole cluster, and carry it out."""

from dataclasses import replace

from recovery.cli.console import (
    FileOption,
    JsonOption,
    StackOption,
    YesOption,
    agree,
    app,
    examples,
    fail,
    opened,
    out,
    print_json,
    say,
    show,
)
from recovery.cli.progress import progress
from recovery.cli.show.plan import plan_json
from recovery.cluster import Cluster
from recovery.errors import Refused
from recovery.operations import lifecycle, notify, setup
from recovery.operations.assess import Assessment, assess
from recovery.operations.notify import Subject
from recovery.operations.recover import recover_all
from recovery.planning.plan import Plan

UNFINISHED = (
    "the plan is carried out in part, and the swarm is not proven. next: requorum recover goes on where it stopped"
)


@app.command("plan", epilog=examples("requorum plan", "requorum plan --json"))
def plan(stack: StackOption = "", config_file: FileOption = None, as_json: JsonOption = False) -> None:
    """Show what `pulumi up` would change in the swarm now, or why it would refuse. Exit status 1 if it would refuse."""
    with opened(stack, config_file, as_json=as_json) as cluster:
        with progress("asking the nodes and S3", as_json=as_json):
            assessment = assess(cluster)
        refused = why_refused(assessment, cluster)
        guidance = assessment.guidance(cluster.settings, refused)
        if as_json:
            print_json(plan_json(assessment, guidance, refused))
        else:
            idle = () if assessment.lines or refused else ("nothing to do",)
            show((*assessment.shown(cluster.settings), *idle, *(() if refused else guidance.next)))
        if refused:
            fail(refused)


@app.command("recover", epilog=examples("requorum recover", "requorum recover --stack production --yes"))
def recover(
    stack: StackOption = "",
    config_file: FileOption = None,
    yes: YesOption = False,
) -> None:
    """Carry out the plan without Pulumi, on machines that are up. A later `pulumi up` agrees with the result."""
    with (
        opened(stack, config_file, interrupted=UNFINISHED) as cluster,
        notify.telling(cluster, Subject.RECOVERY, say=say),
    ):
        with progress("asking the nodes and S3"):
            found = assess(cluster)
        show(found.shown(cluster.settings))
        assessment = replace(found, plan=found.plan.agreed())
        try:
            assessment.require_safe(cluster.settings)
        except Refused as refused:
            raise _without_pulumi(refused, assessment.plan) from None
        setup.require_ready(cluster, assessment)
        needed = bool(assessment.plan.steps) or lifecycle.unproven(cluster, say=say)
        if not assessment.plan.steps:
            out.print("prove the changes of an earlier run" if needed else "nothing to do")
        if not needed:
            return
        agree("carry out this plan", yes)
        with progress("recovering"):
            health = recover_all(cluster, assessment, say=say)
        out.print(f"cluster {cluster.settings.cluster} ({health.cluster_id}) is proven. Its leader is {health.leader}")


def _without_pulumi(refused: Refused, plan: Plan) -> Refused:
    """The refusal, with the consent that this command reads in place of the one that Pulumi takes."""
    remedy = refused.remedy.replace(
        plan.consent, f"set requorum:recover: {plan.id} in the stack file, then: requorum recover"
    )
    return Refused(refused.doing, refused.why, remedy=remedy, node=refused.node, code=refused.code)


def why_refused(assessment: Assessment, cluster: Cluster) -> Refused | None:
    """Why `pulumi up` would refuse to begin; None if it would not."""
    try:
        setup.require_for_update(cluster, assessment)
    except Refused as error:
        return error
    return None
